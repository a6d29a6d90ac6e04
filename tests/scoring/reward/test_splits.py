"""Splits: what no two sides share, what is dropped for it, and that a leak is caught."""

import json

import numpy as np
import pytest

from scoring.reward.splits import DROPPED, SIDES, SPLITS, TEST, TRAIN, VALIDATION, Labels, assert_no_leak, cut

FRACTIONS = (0.7, 0.15, 0.15)


def votes(n=900, n_systems=12, n_prompts=40, n_raters=30, seed=0):
    """One clip per system and prompt; raters of two studies meet whatever is there."""
    rng = np.random.default_rng(seed)
    prompt = rng.integers(n_prompts, size=n)
    first = rng.integers(n_systems, size=n)
    second = (first + rng.integers(1, n_systems, size=n)) % n_systems
    names = np.array([f"system {i}" for i in range(n_systems)])
    return Labels(
        a=prompt * n_systems + first,
        b=prompt * n_systems + second,
        prompt=prompt,
        rater=rng.integers(n_raters, size=n),
        system_a=names[first],
        system_b=names[second],
        source=np.array(["radio", "stage"])[rng.integers(2, size=n)],
        time=rng.permutation(n),
    )


def on_sides(side, *columns):
    """For each side, the values that its pairs have in the columns."""
    return [set(np.concatenate([column[side == i] for column in columns]).tolist()) for i in range(len(SIDES))]


def disjoint(sets):
    return sum(map(len, sets)) == len(set.union(*sets))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("split", "kept_apart"),
    [
        ("prompt", [("prompt",), ("a", "b")]),
        ("rater", [("rater",)]),
        ("system", [("system_a", "system_b"), ("a", "b")]),
        ("time", [("time",)]),
    ],
)
def test_no_two_sides_share_what_the_split_keeps_apart(split, kept_apart, seed):
    labels = votes(seed=seed)
    side, facts = cut(labels, split, fractions=FRACTIONS, seed=seed)
    for names in kept_apart:
        assert disjoint(on_sides(side, *(getattr(labels, name) for name in names)))
    assert facts["by"] == split
    assert facts["pairs"] == {name: (side == i).sum() for i, name in enumerate(SIDES)}
    assert min(facts["pairs"].values()) > 0
    assert sum(facts["pairs"].values()) + facts["dropped"] == len(side)
    assert (facts["dropped"] > 0) == (split == "system")
    json.dumps(facts, allow_nan=False)


def test_a_split_by_time_tests_on_the_newest_votes_and_never_cuts_one_moment():
    labels = votes()
    _, facts = cut(labels, "time", fractions=FRACTIONS, seed=0)
    assert facts["time"] == {"train": [0, 629], "validation": [630, 764], "test": [765, 899]}
    days = Labels(labels.a, labels.b, labels.prompt, time=labels.time // 300)
    _, facts = cut(days, "time", fractions=FRACTIONS, seed=0)
    assert facts["time"] == {"train": [0, 0], "validation": [1, 1], "test": [2, 2]}
    with pytest.raises(ValueError, match="2 moment"):
        cut(Labels(labels.a, labels.b, labels.prompt, time=labels.time // 450), "time", fractions=FRACTIONS, seed=0)


def test_in_a_split_by_system_the_pairs_across_sides_are_dropped_and_no_others():
    labels = votes()
    side, facts = cut(labels, "system", fractions=FRACTIONS, seed=0)
    side_of = {system: i for i, name in enumerate(SIDES) for system in facts["systems"][name]}
    for a, b, on in zip(labels.system_a, labels.system_b, side, strict=True):
        assert on == (side_of[a] if side_of[a] == side_of[b] else DROPPED)


def test_held_out_pairs_with_a_clip_that_was_trained_on_are_counted():
    labels = votes(n_prompts=4)
    _, by_prompt = cut(labels, "prompt", fractions=(0.5, 0.25, 0.25), seed=0)
    assert by_prompt["pairs_with_a_clip_trained_on"] == {"validation": 0, "test": 0}
    side, by_rater = cut(labels, "rater", fractions=FRACTIONS, seed=0)
    learnt = on_sides(side, labels.a, labels.b)[TRAIN]
    count = sum(a in learnt or b in learnt for a, b in zip(labels.a[side == TEST], labels.b[side == TEST], strict=True))
    assert by_rater["pairs_with_a_clip_trained_on"]["test"] == count > 0


def test_raters_are_counted_and_not_named():
    _, facts = cut(votes(), "rater", fractions=FRACTIONS, seed=0)
    assert sum(facts["raters"].values()) == 30


@pytest.mark.parametrize("split", SPLITS)
def test_a_source_left_out_is_the_test_side_and_takes_along_what_it_shares(split):
    n = 900
    labels = votes(n, n_prompts=400, n_raters=300, n_systems=40)
    if split == "system":  # two studies of their own systems, but for one
        own = np.where(labels.source == "radio", "radio ", "stage ")
        both = [np.char.add(own, column) for column in (labels.system_a, labels.system_b)]
        both[0][::50] = "guest"
        shift = np.where(labels.source == "radio", 0, 10**6)
        guest_clip = np.where(np.arange(n) % 50 == 0, 10**7 + np.arange(n), labels.a + shift)
        labels = Labels(
            guest_clip, labels.b + shift, labels.prompt, system_a=both[0], system_b=both[1], source=labels.source
        )
    side, facts = cut(labels, split, fractions=FRACTIONS, seed=1, leave_out="radio")
    assert ((labels.source == "radio") == (side == TEST)).all()
    assert facts["left_out"] == "radio"
    assert facts["pairs"]["train"] > facts["pairs"]["validation"] > 0
    for columns in labels.apart(split).values():
        assert disjoint(on_sides(side, *columns))
    if split == "time":
        assert labels.time[side == TRAIN].max() < labels.time[side == VALIDATION].min()
    else:
        assert facts["dropped"] > 0


def test_a_source_that_is_not_there_or_shares_everything_cannot_be_left_out():
    labels = votes()
    with pytest.raises(ValueError, match="'opera' cannot be left out: the votes are of radio, stage"):
        cut(labels, "prompt", fractions=FRACTIONS, seed=0, leave_out="opera")
    with pytest.raises(ValueError, match="every vote shares a prompt with the source 'radio'"):
        cut(votes(n_prompts=5), "prompt", fractions=FRACTIONS, seed=0, leave_out="radio")


# ---- planted leaks ----


@pytest.mark.parametrize("split", SPLITS)
def test_one_vote_moved_to_another_side_is_caught(split):
    labels = votes()
    side, _ = cut(labels, split, fractions=FRACTIONS, seed=0)
    assert_no_leak(labels, side, split)
    for one in np.flatnonzero(side == TRAIN)[:50]:
        moved = side.copy()
        moved[one] = TEST
        with pytest.raises((AssertionError, ValueError), match=r"two sides|is older|different sides"):
            assert_no_leak(labels, moved, split)


def test_a_vote_of_the_source_left_out_that_trains_is_caught():
    labels = votes(n_prompts=400)
    side, _ = cut(labels, "time", fractions=FRACTIONS, seed=0, leave_out="radio")
    side[np.flatnonzero(side == TEST)[np.argmin(labels.time[side == TEST])]] = TRAIN
    with pytest.raises(AssertionError, match="radio"):
        assert_no_leak(labels, side, "time", "radio")


def test_a_clip_under_two_prompts_of_different_sides_is_the_inputs_fault():
    labels = votes()
    clips = np.arange(len(labels.a)) % 7
    with pytest.raises(ValueError, match="a clip belongs to one prompt"):
        cut(Labels(clips, clips + 7, labels.prompt), "prompt", fractions=FRACTIONS, seed=0)


# ---- too little to cut ----


@pytest.mark.parametrize(
    ("labels", "split", "says"),
    [
        (votes(n_prompts=2), "prompt", r"2 prompt\(s\).*at least 3"),
        (votes(n_raters=2), "rater", r"2 rater\(s\).*at least 3"),
        (votes(n_systems=5), "system", r"5 system\(s\).*at least 6"),
        (votes(), "mood", "no split by 'mood'; there are: prompt, rater, system, time"),
    ],
)
def test_what_is_too_little_to_cut_says_how_much_there_is_and_what_is_needed(labels, split, says):
    with pytest.raises(ValueError, match=says):
        cut(labels, split, fractions=FRACTIONS, seed=0)


@pytest.mark.parametrize(("split", "n"), [("prompt", 3), ("rater", 3), ("system", 6)])
def test_the_least_that_can_be_cut_is_cut(split, n):
    labels = votes(**{f"n_{split}s": n})
    _, facts = cut(labels, split, fractions=FRACTIONS, seed=0)
    assert min(facts["pairs"].values()) > 0


def test_systems_that_never_met_within_a_side_cannot_be_cut():
    ring = np.arange(6)
    names = np.array([f"system {i}" for i in ring])
    star = Labels(ring[1:], ring[:-1] * 0 + 99, ring[1:] * 0, system_a=names[1:], system_b=names[[0] * 5])
    with pytest.raises(ValueError, match="no cut of the 6 systems"):
        cut(star, "system", fractions=FRACTIONS, seed=0)
