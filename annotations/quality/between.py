"""How far the raters of a study agree, with each other and with themselves.

Answers on one clip pair are compared after turning them the same way round: what was preferred is the clip, not
the slot. TIE and BOTH_BAD are answers of their own. Intervals are by the jackknife over raters, since the answers
of one rater are not independent: leave out each rater (or each of GROUPS groups, if there are more), see how far
the value moves. A bootstrap of raters would draw a rater twice and count the two as agreeing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from .evidence import Floats, answers, wilson

GROUPS = 50
LEVEL = 0.95
_CODE = {"A": 0, "B": 1, "TIE": 2, "BOTH_BAD": 3}
_SWAPPED = np.array([1, 0, 2, 3])


@dataclass(frozen=True)
class Consensus:
    """A value, its 95 % interval (None where leaving raters out leaves nothing), the n answers or comparisons it
    rests on, and by how many raters. value is None, with the reason, where it is not defined; never NaN."""

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
    table = _table(clip_a, clip_b, preference, rater)
    shared = table[:, (table >= 0).sum(axis=0) >= 2] if table.size else table
    n, n_raters = int((shared >= 0).sum()), int((shared >= 0).any(axis=1).sum())
    value = _alpha(shared)
    if value is None:
        reason = "every answer is the same" if n else "no clip pair was judged by two raters"
        return Consensus(None, None, n, n_raters, reason)
    return Consensus(value, _jackknife(_alpha, shared, value, (-1.0, 1.0)), n, n_raters)


def inter_rater(clip_a: ArrayLike, clip_b: ArrayLike, preference: ArrayLike, rater: ArrayLike) -> Consensus:
    """The share of equal answers among all pairs of raters on the same clip pair. Arguments as `krippendorff`;
    n: comparisons of two answers."""
    table = _table(clip_a, clip_b, preference, rater)
    equal, n = _equal_pairs(table)
    n_raters = int((table >= 0).any(axis=1).sum()) if table.size else 0
    if not n:
        return Consensus(None, None, 0, n_raters, "no clip pair was judged by two raters")
    return Consensus(equal / n, _jackknife(_agreeing, table, equal / n, (0.0, 1.0)), n, n_raters)


def intra_rater(first: ArrayLike, second: ArrayLike, rater: ArrayLike) -> Consensus:
    """The share of repeats answered the same. first, second: [K] answers, the second with the slots swapped, all
    four kinds counted; rater: [K] labels."""
    before, after = _codes("first", first), _codes("second", second)
    rater = _labels(rater, before.size)
    if before.shape != after.shape:
        raise ValueError(f"{before.size} first answers, but {after.size} second ones: a repeat has one of each")
    if not before.size:
        return Consensus(None, None, 0, 0, "there are no repeats")
    same = before == _SWAPPED[after]
    counts = np.stack([np.bincount(rater, same), np.bincount(rater)], axis=1)
    value = float(same.mean())
    interval = _jackknife(lambda rows: float(rows[:, 0].sum() / rows[:, 1].sum()), counts, value, (0.0, 1.0))
    return Consensus(value, interval, before.size, len(counts))


# --- one row per rater ---


def _table(clip_a: ArrayLike, clip_b: ArrayLike, preference: ArrayLike, rater: ArrayLike) -> np.ndarray:
    """int [raters, clip pairs]: the answer, the lower clip id in slot A; -1 where there is none."""
    code = _codes("preference", preference)
    rater, clip_a, clip_b = _labels(rater, code.size), np.asarray(clip_a), np.asarray(clip_b)
    if clip_a.shape != code.shape or clip_b.shape != code.shape:
        raise ValueError(f"{code.size} answers, but {clip_a.size} and {clip_b.size} clips")
    if not code.size:
        return np.empty((0, 0), dtype=int)
    code = np.where(clip_a <= clip_b, code, _SWAPPED[code])
    ends = np.stack([np.minimum(clip_a, clip_b), np.maximum(clip_a, clip_b)])
    pair = np.unique(ends, axis=1, return_inverse=True)[1].ravel()
    table = np.full((rater.max() + 1, pair.max() + 1), -1)
    table[rater[::-1], pair[::-1]] = code[::-1]  # backwards, so that the first answer is the one that stays
    return table


def _codes(name: str, preference: ArrayLike) -> np.ndarray:
    return np.array([_CODE[answer] for answer in answers(name, preference)], dtype=int)


def _labels(rater: ArrayLike, size: int) -> np.ndarray:
    rater = np.asarray(rater)
    if rater.shape != (size,):
        raise ValueError(f"{size} answers, but raters of shape {rater.shape}")
    return np.unique(rater, return_inverse=True)[1]


# --- values, from the rows of some raters ---


def _alpha(table: np.ndarray) -> float | None:
    table = table[:, (table >= 0).sum(axis=0) >= 2] if table.size else table
    if not table.size or np.unique(table[table >= 0]).size < 2:
        return None  # nothing to expect disagreement of: evalica would call it 1
    import evalica  # with pandas a second and 60 MB: not for every process that asks for a rater's interval
    import pandas as pd

    return float(evalica.alpha(pd.DataFrame(np.where(table >= 0, table, np.nan)), distance="nominal").alpha)


def _equal_pairs(table: np.ndarray) -> tuple[int, int]:
    """(pairs of equal answers, pairs of answers) over the columns."""
    of_kind = np.stack([(table == code).sum(axis=0) for code in _CODE.values()])
    answered = of_kind.sum(axis=0)
    return int((of_kind * (of_kind - 1)).sum() // 2), int((answered * (answered - 1)).sum() // 2)


def _agreeing(table: np.ndarray) -> float | None:
    equal, n = _equal_pairs(table)
    return equal / n if n else None


def _jackknife(
    value_of: Callable[[np.ndarray], float | None], rows: np.ndarray, value: float, limits: tuple[float, float]
) -> tuple[float, float] | None:
    """Interval of a value by leaving out groups of rows (Efron & Stein 1981, Annals of Statistics 9), with Student
    t. A share that never moves gets the interval of as many coin tosses as there are raters."""
    group = np.arange(len(rows)) % GROUPS
    n_groups = int(group.max()) + 1
    if n_groups < 3:
        return None
    left_out: list[float | None] = [value_of(rows[group != one]) for one in range(n_groups)]
    if any(one is None for one in left_out):
        return None
    moved: Floats = np.array(left_out) - np.mean(left_out)
    if not moved.any() and limits == (0.0, 1.0):
        return wilson(round(value * len(rows)), len(rows), LEVEL)
    reach = float(stdtrit(n_groups - 1, (1 + LEVEL) / 2) * np.sqrt((n_groups - 1) / n_groups * (moved @ moved)))
    return max(value - reach, limits[0]), min(value + reach, limits[1])
