"""Where ratings do not exist or votes cannot be meant: refusals by name, and an answer wherever a ridge gives one."""

import numpy as np
import pytest

from scoring.stats.bradley_terry import NoFiniteEstimate, fit
from scoring.stats.bradley_terry.votes import codes
from tests.casts.simulated_votes import simulate

# --- no estimate, any estimate ---


def test_without_a_ridge_a_system_that_never_lost_is_named():
    with pytest.raises(NoFiniteEstimate, match=r"\{0\}, \{1, 2\}") as refusal:
        fit([0, 0, 1, 2], [1, 2, 2, 1], [1, 1, 1, 1], 3)
    assert set(refusal.value.groups) == {(0,), (1, 2)}


def test_without_a_ridge_a_tie_links_both_ways():
    assert fit([0, 0, 1, 2], [1, 2, 2, 1], [1, 0.5, 1, 1], 3).converged


def test_without_a_ridge_a_system_without_votes_is_named():
    with pytest.raises(NoFiniteEstimate) as refusal:
        fit([0, 1], [1, 0], [1, 1], 3)
    assert refusal.value.groups == ((0, 1), (2,))


def test_without_a_ridge_a_vote_of_weight_zero_links_nothing():
    with pytest.raises(NoFiniteEstimate):
        fit([0, 1], [1, 0], [1, 1], 2, weight=[1, 0])


def test_without_a_ridge_votes_too_faint_to_inform_are_refused():
    with pytest.raises(NoFiniteEstimate, match="too little information"):
        fit([0, 0], [1, 1], [1, 0], 2, offset=[-2000, 2000])


def test_with_a_ridge_a_system_without_votes_is_a_group_of_its_own():
    result = fit([0], [1], [1], 3, l2=0.05)
    assert result.groups == ((0, 1), (2,))
    assert (result.theta[2], result.stderr[2]) == (0, 0)


@pytest.mark.parametrize("seed", range(40))
def test_with_a_ridge_every_input_has_a_finite_answer(seed):
    rng = np.random.default_rng(seed)
    n, size = int(rng.integers(2, 20)), int(rng.integers(1, 150))
    a = rng.integers(n, size=size)
    b = (a + rng.integers(1, n, size=size)) % n
    outcome = [(a < b).astype(float), rng.integers(0, 2, size), rng.random(size)][seed % 3]
    offset = [None, rng.choice([-50.0, 50], size), 500 * rng.normal(size=size)][rng.integers(3)]
    weight = [None, 10 ** rng.uniform(-4, 4, size)][rng.integers(2)]
    cluster = [None, rng.integers(5, size=size)][rng.integers(2)]
    l2 = [1.0, 0.05, 1e-6, 1e-9][rng.integers(4)]
    pin = [None, 0][rng.integers(2)]
    result = fit(a, b, outcome, n, offset=offset, weight=weight, cluster=cluster, l2=l2, pin=pin)
    assert result.converged
    assert np.isfinite([result.theta, result.stderr, *result.interval()]).all()
    if pin is None:
        assert max(abs(result.theta[list(group)].sum()) for group in result.groups) < 1e-6


def test_with_a_ridge_weights_too_far_apart_for_the_arithmetic_still_have_a_finite_answer():
    a, b, weight = [0, 1, 2, 3, 0], [1, 0, 3, 2, 2], [1e15, 1e15, 1e15, 1e15, 1e-6]
    result = fit(a, b, [1, 1, 1, 1, 1], 4, weight=weight, l2=1e-4)
    assert np.isfinite([result.theta, *result.interval()]).all()


def test_separated_votes_go_as_far_as_a_tiny_ridge_lets_them():
    theta = fit([0] * 50, [1] * 50, [1] * 50, 2, l2=1e-9).theta
    assert 50 / (1 + np.exp(2 * theta[0])) == pytest.approx(2e-9 * theta[0], rel=1e-6)


# --- input that cannot be meant ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": [0, 3]}, r"a\[1\] is 3"),
        ({"b": [-1, 2]}, r"b\[0\] is -1"),
        ({"a": [0.0, 1.0]}, "whole numbers"),
        ({"a": [1, 1]}, "vote 0 compares system 1 with itself"),
        ({"a": [0]}, "shape"),
        ({"outcome": [1, 1.5]}, r"outcome\[1\] is 1.5"),
        ({"outcome": [np.nan, 1]}, r"outcome\[0\] is nan"),
        ({"weight": [1, -1]}, r"weight\[1\] is -1"),
        ({"weight": [np.inf, 1]}, r"weight\[0\] is inf"),
        ({"weight": [0, 0]}, "no votes"),
        ({"offset": [0, np.nan]}, r"offset\[1\] is nan"),
        ({"offset": 1.0}, "shape"),
        ({"cluster": ["x", None]}, "label of its own"),
        ({"cluster": np.array([1, np.nan])}, "label of its own"),
        ({"cluster": ["x"]}, "shape"),
        ({"l2": -1}, "l2"),
        ({"l2": np.nan}, "l2"),
        ({"pin": 3}, "pin 3"),
        ({"pin": -1}, "pin -1"),
        ({"a": [], "b": [], "outcome": []}, "no votes"),
    ],
)
def test_input_that_cannot_be_meant_is_refused_by_name(change, message):
    votes = {"a": [0, 1], "b": [1, 2], "outcome": [1, 0], "n_systems": 3, "l2": 1.0}
    with pytest.raises(ValueError, match=message):
        fit(**(votes | change))


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_level_that_is_no_probability_is_refused(level):
    with pytest.raises(ValueError, match="level"):
        fit([0, 1], [1, 0], [1, 1], 2).interval(level)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([30, 10, 30, 20]),
        np.array([-5, -90, -5, -7], dtype=np.int8),
        np.array([2**63, 10, 2**63, 11], dtype=np.uint64),
        [10**9, 3, 10**9, 5],
        ["zoe", "ann", "zoe", "bob"],
        [("site", 3), 1, ("site", 3), "1"],
    ],
    ids=["close", "negative", "beyond a signed integer", "far apart", "names", "mixed"],
)
def test_labels_become_codes_without_gaps(labels):
    found = codes(labels, 4).tolist()
    assert found[0] == found[2]
    assert sorted(set(found)) == [0, 1, 2]


def test_raters_may_have_any_hashable_label():
    a, b, outcome, rater = simulate()
    labels = [("site", int(r)) for r in rater]
    assert fit(a, b, outcome, 6, cluster=labels).stderr == pytest.approx(fit(a, b, outcome, 6, cluster=rater).stderr)
