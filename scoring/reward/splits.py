"""Which votes train, which stop the training, and which test it: what no two of these sides share. NumPy only.

| split  | no two sides share          | shared on purpose       | so the test says how the model does on |
|--------|-----------------------------|-------------------------|----------------------------------------|
| prompt | a prompt, so no clip either | raters, systems         | prompts that it never met              |
| rater  | a rater                     | prompts, clips, systems | people it never met, on music it knows |
| system | a system, so no clip either | prompts, raters         | systems that it never met              |
| time   | a moment: test after the    | all else                | the votes to come, in this very arena  |
|        | validation, that after the  |                         |                                        |
|        | training                    |                         |                                        |

Where clips are shared, the facts count the held-out pairs that have a clip which was trained on. In a split by system
a pair whose systems lie on different sides would tie these to each other: it is dropped, and counted.

With a source left out, that source is the test side and the split only divides the others into train and validation.
What they share with it (a prompt, a rater, a system or a clip, whichever the split keeps apart) is dropped and
counted; a split by time then orders train and validation only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

SIDES = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
DROPPED = -1
TRIES = 200  # shuffles of the systems, before there is said to be no cut with pairs on every side


@dataclass(frozen=True)
class Labels:
    """Of each of N pairs, what a split may keep apart; arrays [N], whatever their values are. None: not known.

    a, b: clips. time: numbers that grow, such as places in the ledger. A vote without a rater has a label of its own.
    """

    a: np.ndarray
    b: np.ndarray
    prompt: np.ndarray
    rater: np.ndarray | None = None
    system_a: np.ndarray | None = None
    system_b: np.ndarray | None = None
    source: np.ndarray | None = None
    time: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name, column in vars(self).items():
            if column is None:
                continue
            object.__setattr__(self, name, np.asarray(column))
            if getattr(self, name).shape != np.shape(self.a):
                raise ValueError(f"{name} must be [N] like the pairs, not {list(np.shape(column))}")

    def apart(self, split: str) -> dict[str, list[np.ndarray]]:
        """{what: its labels, one or two columns [N]} that no two sides of the split may share."""
        clips: dict[str, list[Any]] = {"clip": [self.a, self.b]}
        apart: dict[str, dict[str, list[Any]]] = {
            "prompt": {"prompt": [self.prompt], **clips},
            "rater": {"rater": [self.rater]},
            "system": {"system": [self.system_a, self.system_b], **clips},
            "time": {},
        }
        return apart[split]


SPLITS = ("prompt", "rater", "system", "time")
_NEEDS = {"prompt": ("prompt",), "rater": ("rater",), "system": ("system_a", "system_b"), "time": ("time",)}


def cut(
    labels: Labels, split: str, *, fractions: tuple[float, float, float], seed: int, leave_out: str | None = None
) -> tuple[np.ndarray, dict[str, Any]]:
    """(side of each pair, int [N]: an index of SIDES or DROPPED; the facts to record, as plain JSON).

    fractions: shares of the prompts, raters, systems or votes for train, validation and test; one of each at least,
    two systems. Raises ValueError for labels that are not there or too few, and for a clip under two prompts (or
    systems) that fall on different sides.
    """
    if split not in SPLITS:
        raise ValueError(f"there is no split by {split!r}; there are: {', '.join(SPLITS)}")
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"fractions {fractions} must be three positive shares that sum to 1")
    for name in (*_NEEDS[split], *(("source",) if leave_out is not None else ())):
        if getattr(labels, name) is None:
            raise ValueError(f"a split by {split}{' with a source left out' * (name == 'source')} needs each {name}")

    known: dict[str, Any] = vars(labels)  # of which those that are needed are there
    side = np.full(len(labels.prompt), TRAIN)
    kept, shares = np.ones(len(side), dtype=bool), list(fractions)
    if leave_out is not None:
        side[labels.source == leave_out] = TEST
        kept = side != TEST
        if kept.all() or not kept.any():
            there = ", ".join(sorted(map(str, np.unique(known["source"]))))
            raise ValueError(f"the source {leave_out!r} cannot be left out: the votes are of {there}")
        for columns in labels.apart(split).values():
            held_out = np.unique(np.concatenate([column[~kept] for column in columns]))
            for column in columns:
                side[kept & np.isin(column, held_out)] = DROPPED
        kept &= side != DROPPED
        if not kept.any():
            raise ValueError(f"every vote shares a {split} with the source {leave_out!r}: nothing is left to train on")
        shares = [fraction / sum(fractions[:2]) for fraction in fractions[:2]]

    rng = np.random.default_rng(seed)
    if split == "system":
        side[kept] = _by_system(known["system_a"][kept], known["system_b"][kept], shares, rng)
    elif split == "time":
        side[kept] = _by_time(known["time"][kept], shares)
    else:
        side[kept] = _by_group(known[split][kept], split, shares, rng)
    assert_no_leak(labels, side, split, leave_out)
    return side, _facts(labels, side, split, seed, shares, leave_out)


def assert_no_leak(labels: Labels, side: np.ndarray, split: str, leave_out: str | None = None) -> None:
    """Nothing that the split keeps apart is on two sides. A clip there was given under two prompts, or systems; that
    is a ValueError; anything else is our bug, an AssertionError.
    """
    used = side != DROPPED
    for what, columns in labels.apart(split).items():
        values = np.unique(np.concatenate([column[used] for column in columns]), return_inverse=True)
        sides_met = np.zeros((len(values[0]), len(SIDES)), dtype=bool)
        sides_met[values[1], np.tile(side[used], len(columns))] = True
        twice = values[0][sides_met.sum(axis=1) > 1]
        if what == "clip" and len(twice):
            raise ValueError(
                f"clip {twice[0]} has votes under {split}s of different sides: a clip belongs to one {split}"
            )
        assert not len(twice), f"the {what} {twice[0]} is on two sides of a split by {split}"
    if split == "time" and labels.time is not None:
        ordered = (TRAIN, VALIDATION) if leave_out is not None else (TRAIN, VALIDATION, TEST)
        for earlier, later in pairwise(ordered):
            learnt, held_out = labels.time[side == earlier], labels.time[side == later]
            assert learnt.max() < held_out.min(), f"a {SIDES[later]} vote is older than a {SIDES[earlier]} vote"
    if leave_out is not None:
        assert ((labels.source == leave_out) == (side == TEST)).all(), f"votes of {leave_out} are not only the test"


def _by_group(group: np.ndarray, what: str, fractions: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """Side of each pair, [N]: the groups are shuffled and cut at the fractions."""
    ids, index = np.unique(group, return_inverse=True)
    if len(ids) < len(fractions):
        raise ValueError(
            f"the votes cover {len(ids)} {what}(s); {_and(SIDES[: len(fractions)])} need one each, so at least "
            f"{len(fractions)}: collect votes on more {what}s"
        )
    return _shuffled(len(ids), fractions, 1, rng)[index]


def _by_system(a: np.ndarray, b: np.ndarray, fractions: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """Side of each pair, [N]; DROPPED where its two systems lie on different sides."""
    ids, index = np.unique(np.concatenate([a, b]), return_inverse=True)
    least = 2 * len(fractions)
    if len(ids) < least:
        raise ValueError(
            f"the votes cover {len(ids)} system(s); {_and(SIDES[: len(fractions)])} need two each, so at least "
            f"{least}: split by prompt or rater, or collect votes on more systems"
        )
    for _ in range(TRIES):
        of_system = _shuffled(len(ids), fractions, 2, rng)
        side_a, side_b = of_system[index[: len(a)]], of_system[index[len(a) :]]
        side = np.where(side_a == side_b, side_a, DROPPED)
        if set(range(len(fractions))) <= set(side.tolist()):
            return side
    raise ValueError(f"no cut of the {len(ids)} systems in {TRIES} leaves votes between systems of each side")


def _by_time(time: np.ndarray, fractions: Sequence[float]) -> np.ndarray:
    """Side of each pair, [N]: the votes in order of time, cut at the fractions, never within one moment."""
    moments, index = np.unique(time, return_inverse=True)
    if len(moments) < len(fractions):
        raise ValueError(f"the votes are of {len(moments)} moment(s); a split by time needs {len(fractions)} at least")
    votes_until = np.cumsum(np.bincount(index))
    edges = np.searchsorted(votes_until, np.cumsum(fractions)[:-1] * len(time) * (1 - 1e-9)) + 1
    for i in range(len(edges)):  # a moment at least on each side
        edges[i] = np.clip(edges[i], edges[i - 1] + 1 if i else 1, len(moments) - len(edges) + i)
    return np.searchsorted(edges, np.arange(len(moments)), side="right")[index]


def _shuffled(n: int, fractions: Sequence[float], least: int, rng: np.random.Generator) -> np.ndarray:
    """Side of each of n groups, `least` of them on every side."""
    counts = [max(least, round(n * fraction)) for fraction in fractions]
    counts[0] = max(least, n - sum(counts[1:]))
    for i in range(1, len(counts)):  # where rounding up took too many
        counts[i] = min(counts[i], n - sum(counts[:i]) - least * (len(counts) - 1 - i))
    side = np.empty(n, dtype=int)
    side[rng.permutation(n)] = np.repeat(np.arange(len(counts)), counts)
    return side


def _facts(
    labels: Labels, side: np.ndarray, split: str, seed: int, fractions: Sequence[float], leave_out: str | None
) -> dict[str, Any]:
    known: dict[str, Any] = vars(labels)
    of_side = {name: side == i for i, name in enumerate(SIDES)}
    trained_on = np.union1d(labels.a[of_side["train"]], labels.b[of_side["train"]])
    facts = {
        "by": split,
        "seed": seed,
        "fractions": [round(float(fraction), 6) for fraction in fractions],
        "left_out": leave_out,
        "pairs": {name: int(on.sum()) for name, on in of_side.items()},
        "dropped": int((side == DROPPED).sum()),
        "pairs_with_a_clip_trained_on": {
            name: int((on & (np.isin(labels.a, trained_on) | np.isin(labels.b, trained_on))).sum())
            for name, on in of_side.items()
            if name != "train"
        },
    }
    if split == "time":
        times = {name: known["time"][on] for name, on in of_side.items()}
        facts["time"] = {name: [time.min().item(), time.max().item()] for name, time in times.items()}
    elif split == "rater":  # how many, not who
        facts["raters"] = {name: len(np.unique(known["rater"][on])) for name, on in of_side.items()}
    else:
        columns = next(iter(labels.apart(split).values()))
        facts[f"{split}s"] = {
            name: np.unique(np.concatenate([column[on] for column in columns])).tolist() for name, on in of_side.items()
        }
    return facts


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
