"""How well the raters of a study agree with each other and with themselves.

Answers on one clip pair are compared by clip, not by slot. TIE and BOTH_BAD are answers of their own. Intervals are by
the jackknife over raters, since the answers of one rater are not independent: it leaves out each rater (or each of
GROUPS groups, if there are more raters) and measures how far the value moves. A bootstrap of raters would draw a rater
twice and count the two as agreeing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from annotations.proportions import wilson

from .evidence import Floats, answers

GROUPS = 50
LEVEL = 0.95
_CODE = {"A": 0, "B": 1, "TIE": 2, "BOTH_BAD": 3}
_SWAPPED = np.array([1, 0, 2, 3])


@dataclass(frozen=True)
class Consensus:
    """A measure of agreement, its 95 % interval (None where leaving raters out leaves no data), the number n of answers
    or comparisons, and of raters. value is None, with the reason, where it is undefined; never NaN."""

    value: float | None
    interval: tuple[float, float] | None
    n: int
    n_raters: int
    reason: str = ""


def krippendorff(clip_a: ArrayLike, clip_b: ArrayLike, preference: ArrayLike, rater: ArrayLike) -> Consensus:
    """Krippendorff's alpha, nominal (Krippendorff 2018, Content Analysis, chapter 12), over clip pairs.

    clip_a, clip_b: int [V], the clips in slots A and B. preference: [V]. rater: [V] labels. A rater's first answer
    on a pair counts; repeats are for `intra_rater`. n: answers on pairs that two raters or more judged.
    """
    shared = _shared(clip_a, clip_b, preference, rater)
    value = _alpha(shared.counts())
    if value is None:
        reason = "every answer is the same" if shared.code.size else "no clip pair was judged by two raters"
        return Consensus(None, None, shared.code.size, shared.n_raters, reason)
    return Consensus(value, shared.interval(_alpha, value, (-1.0, 1.0)), shared.code.size, shared.n_raters)


def inter_rater(clip_a: ArrayLike, clip_b: ArrayLike, preference: ArrayLike, rater: ArrayLike) -> Consensus:
    """The share of equal answers among all pairs of raters on the same clip pair. Arguments as `krippendorff`;
    n: comparisons of two answers."""
    shared = _shared(clip_a, clip_b, preference, rater)
    equal, n = _equal_pairs(shared.counts())
    if not n:
        return Consensus(None, None, 0, shared.n_raters, "no clip pair was judged by two raters")
    return Consensus(equal / n, shared.interval(_agreeing, equal / n, (0.0, 1.0)), n, shared.n_raters)


def intra_rater(first: ArrayLike, second: ArrayLike, rater: ArrayLike) -> Consensus:
    """The share of repeats answered the same. first, second: [K] answers, the second with the slots swapped, all
    four kinds counted; rater: [K] labels."""
    before, after = _codes("first", first), _codes("second", second)
    rater = _labels(rater, before.size)
    if before.shape != after.shape:
        raise ValueError(f"{before.size} first answers, but {after.size} second ones: a repeat has one of each")
    if not before.size:
        return Consensus(None, None, 0, 0, "there are no repeats")
    same, n_raters = before == _SWAPPED[after], int(rater.max()) + 1
    value = float(same.mean())
    remaining = (same[rater % GROUPS != group] for group in range(min(n_raters, GROUPS)))
    left_out = [float(rest.mean()) if rest.size else None for rest in remaining]
    return Consensus(value, _jackknife(left_out, value, (0.0, 1.0), n_raters), before.size, n_raters)


# --- the answers on pairs that two raters or more judged ---


@dataclass(frozen=True, eq=False)
class _Shared:
    """One entry per answer: the clip pair [N] (0 to n_pairs - 1), the answer as a code [N], and the rater [N]."""

    pair: np.ndarray
    code: np.ndarray
    rater: np.ndarray

    @property
    def n_raters(self) -> int:
        return int(self.rater.max(initial=-1)) + 1

    def counts(self, used: np.ndarray | slice = slice(None)) -> np.ndarray:
        """[pairs, 4] how often each answer was given on each pair, over the answers `used`."""
        n_pairs = int(self.pair.max(initial=-1)) + 1
        return np.bincount(self.pair[used] * 4 + self.code[used], minlength=n_pairs * 4).reshape(n_pairs, 4)

    def interval(
        self, value_of: Callable[[np.ndarray], float | None], value: float, limits: tuple[float, float]
    ) -> tuple[float, float] | None:
        counts, group = self.counts(), self.rater % GROUPS
        left_out = [value_of(counts - self.counts(group == index)) for index in range(min(self.n_raters, GROUPS))]
        return _jackknife(left_out, value, limits, self.n_raters)


def _shared(clip_a: ArrayLike, clip_b: ArrayLike, preference: ArrayLike, rater: ArrayLike) -> _Shared:
    """The answers, as if the lower clip id were in slot A. Only counts per pair are needed: a table of raters by pairs
    would be nearly empty and take gigabytes."""
    code = _codes("preference", preference)
    rater, clip_a, clip_b = _labels(rater, code.size), np.asarray(clip_a), np.asarray(clip_b)
    if clip_a.shape != code.shape or clip_b.shape != code.shape:
        raise ValueError(f"{code.size} answers, but {clip_a.size} and {clip_b.size} clips")
    if not code.size:
        return _Shared(*np.empty((3, 0), dtype=int))
    code = np.where(clip_a <= clip_b, code, _SWAPPED[code])
    ends = np.stack([np.minimum(clip_a, clip_b), np.maximum(clip_a, clip_b)])
    pair = np.unique(ends, axis=1, return_inverse=True)[1].ravel()
    first = np.unique(pair * (rater.max() + 1) + rater, return_index=True)[1]  # a rater's first answer on a pair
    first = first[np.bincount(pair[first])[pair[first]] >= 2]
    return _Shared(_labels(pair[first], first.size), code[first], _labels(rater[first], first.size))


def _codes(name: str, preference: ArrayLike) -> np.ndarray:
    return np.array([_CODE[answer] for answer in answers(name, preference)], dtype=int)


def _labels(rater: ArrayLike, size: int) -> np.ndarray:
    rater = np.asarray(rater)
    if rater.shape != (size,):
        raise ValueError(f"{size} answers, but raters of shape {rater.shape}")
    return np.unique(rater, return_inverse=True)[1]


# --- values, from counts [pairs, 4] ---


def _alpha(counts: np.ndarray) -> float | None:
    """1 - observed / expected disagreement; None where all answers are the same, so none is expected."""
    counts = counts[counts.sum(axis=1) >= 2]
    of_kind, answered = counts.sum(axis=0), counts.sum(axis=1)
    n = int(answered.sum())
    expected = n * (n - 1) - (of_kind * (of_kind - 1)).sum()
    if not expected:
        return None
    apart = answered * (answered - 1) - (counts * (counts - 1)).sum(axis=1)
    return float(1 - (apart / (answered - 1)).sum() * (n - 1) / expected)


def _equal_pairs(counts: np.ndarray) -> tuple[int, int]:
    """(pairs of equal answers, pairs of answers) over the clip pairs."""
    answered = counts.sum(axis=1)
    return int((counts * (counts - 1)).sum() // 2), int((answered * (answered - 1)).sum() // 2)


def _agreeing(counts: np.ndarray) -> float | None:
    equal, n = _equal_pairs(counts)
    return equal / n if n else None


def _jackknife(
    left_out: list[float | None], value: float, limits: tuple[float, float], n_raters: int
) -> tuple[float, float] | None:
    """Interval of a value from the values without each group of raters (Efron & Stein 1981, Annals of Statistics 9),
    with Student t. A share that never moves gets the Wilson interval of as many trials as there are raters."""
    n_groups = len(left_out)
    known = [estimate for estimate in left_out if estimate is not None]
    if n_groups < 3 or len(known) < n_groups:
        return None
    moved: Floats = np.array(known) - np.mean(known)
    if not moved.any() and limits == (0.0, 1.0):
        return wilson(round(value * n_raters), n_raters, LEVEL)
    reach = float(stdtrit(n_groups - 1, (1 + LEVEL) / 2) * np.sqrt((n_groups - 1) / n_groups * (moved @ moved)))
    return max(value - reach, limits[0]), min(value + reach, limits[1])
