"""How often each system wins against each other one, with counts and intervals: what the heat map of a board shows.

No model: a pair's own votes and nothing else. A tie is half a win. Source of the interval: Wilson (1927), J. Amer.
Stat. Assoc. 22; of the effective number of votes, Kish (1965), Survey Sampling, section 11.7.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from annotations.proportions import wilson


@dataclass(frozen=True)
class Pair:
    """Two systems, a < b, and what was said of them: wins and losses of a, ties. n_eff: how many votes would tell as
    much if all that a rater says of the pair were one and the same, so that the interval is never too narrow."""

    a: int
    b: int
    wins: int
    losses: int
    ties: int
    n_eff: float

    @property
    def n(self) -> int:
        return self.wins + self.losses + self.ties

    @property
    def share(self) -> float:
        """Of the votes, that a won, in [0, 1]."""
        return (self.wins + self.ties / 2) / self.n

    def interval(self) -> tuple[float, float]:
        """(low, high), 95 %."""
        return wilson(self.share * self.n_eff, self.n_eff) or (0.0, 1.0)  # the latter never: a pair has votes


def pairs(a: ArrayLike, b: ArrayLike, outcome: ArrayLike, n_systems: int, cluster: ArrayLike) -> list[Pair]:
    """The pairs that have votes, in order. outcome: float [V], 1, 0.5 or 0, credit to a; each vote counts one."""
    a, b, outcome = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64), np.asarray(outcome, dtype=float)
    if not a.size:
        return []
    swapped = a > b
    pair = np.where(swapped, b * n_systems + a, a * n_systems + b)
    credit = np.where(swapped, 1 - outcome, outcome)
    counts = [np.bincount(pair, credit == value, n_systems**2) for value in (1, 0, 0.5)]
    _, rater = np.unique(cluster, return_inverse=True)
    cell, votes = np.unique(pair * (int(rater.max()) + 1) + rater, return_counts=True)
    squares = np.bincount(cell // (int(rater.max()) + 1), votes.astype(float) ** 2, n_systems**2)
    total = counts[0] + counts[1] + counts[2]
    met = np.flatnonzero(total)
    n_eff = total[met] ** 2 / squares[met]
    wins, losses, ties = (count[met].astype(int).tolist() for count in counts)
    found = zip(
        (met // n_systems).tolist(), (met % n_systems).tolist(), wins, losses, ties, n_eff.tolist(), strict=True
    )
    return [Pair(*pair) for pair in found]
