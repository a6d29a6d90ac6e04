"""How much of a board one network may decide. Pure.

Whoever controls a network can send many raters through it, and a lecture hall does so without meaning harm. Above a
share of the board's weight, each vote of a network counts a little less, all of its votes equally.
"""

from dataclasses import dataclass

import numpy as np

UNKNOWN = -1  # the group of a vote whose rater's is not known; such votes are never cut


@dataclass(frozen=True, eq=False)
class Capped:
    """weight: [V]. cut: int [K], the groups whose votes count less. level: what a group weighs at most, inf where none
    is cut."""

    weight: np.ndarray
    cut: np.ndarray
    level: float


def capped(weight: np.ndarray, group: np.ndarray, share: float) -> Capped:
    """Weights with which no group weighs more than `share` of all votes together.

    weight: float [V], >= 0. group: int [V]. A group of weight W_g is cut to the level t, the largest one with
    t <= share * (sum_g min(W_g, t) + the weight of votes without a group). With few groups there is none, or only one
    near 0, which would throw away nearly all votes; so no group is cut below the average group, where each vote without
    a group is one of its own. Raises ValueError unless 0 < share < 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"share is a number between 0 and 1, not {share}")
    known = group != UNKNOWN
    names, of = np.unique(group[known], return_inverse=True)
    if not names.size:
        return Capped(weight, names, np.inf)
    total = np.bincount(of, weight[known])
    average = float(weight.sum()) / (names.size + int((~known).sum()))
    level = max(_level(np.sort(total)[::-1], float(weight[~known].sum()), share), average)
    is_cut = total > level * (1 + 1e-12)
    if not is_cut.any():
        return Capped(weight, names[is_cut], np.inf)
    weight = weight.astype(float)
    weight[known] *= np.where(is_cut, level / np.maximum(total, 1e-300), 1.0)[of]
    return Capped(weight, names[is_cut], level)


def _level(total: np.ndarray, others: float, share: float) -> float:
    """The level for groups of these weights, largest first; 0 where there is none."""
    below = total.sum() + others  # the weight of all that is not cut
    for n_cut, weight in enumerate(total):
        if share * n_cut >= 1:
            return 0.0
        level = share * below / (1 - share * n_cut)  # t = share * (n_cut * t + below)
        if weight <= level:
            return float(level)
        below -= weight
    return 0.0 if share * total.size >= 1 else float(share * others / (1 - share * total.size))
