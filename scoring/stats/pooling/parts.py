"""The votes inside a category and those outside as one set of votes on 2n systems: 0 .. n-1 outside, n .. 2n-1 inside.

What all categories of a study share is counted once, in `Votes`; a category then costs a few passes over the votes, and
every step of its fit as much as there are pairs.

Source of the middle of the sandwich: Liang & Zeger (1986), Biometrika 73; of its residuals, each divided by the root of
what its vote left of them, HC2 of MacKinnon & White (1985), J. Econometrics 29.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.special import expit

from scoring.stats.bradley_terry.results import Labels

from ..bradley_terry import groups, newton, sums
from ..bradley_terry.results import Floats, Ints
from ..bradley_terry.votes import check

DENSE_CELLS = 2**18  # of a block of raters times systems: 2 MiB, which a processor's cache holds
SPARSE_BELOW = 0.05  # share of them that are not zero, below which sparse arithmetic is faster
MOST_LEVERAGE = 0.99  # of a vote, the rest being what rounding leaves of one that all but settles its own probability


@dataclass(frozen=True, eq=False)
class Votes:
    """The V votes of weight > 0, those of a rater one after the other, and the P pairs of systems that met.

    first, second: [P] the systems of a pair. Of each vote: pair [V]; won and lost [V], in weight, by the first; rater
    [V], 0, 1, ..., ascending; system [V, 2], first and second. by_rater: [raters, n] weight of the votes of each on
    each system. given: how many votes there were, of which these are the `kept` ones.
    """

    n: int
    l2: float
    first: Ints
    second: Ints
    pair: Ints
    won: Floats
    lost: Floats
    rater: Ints
    system: Ints
    by_rater: sparse.csr_array
    given: int
    kept: Ints
    gauge: groups.Gauge
    groups: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls,
        a: ArrayLike,
        b: ArrayLike,
        outcome: ArrayLike,
        n_systems: int,
        *,
        weight: ArrayLike | None = None,
        cluster: Labels | None = None,
        l2: float = 0.05,
    ) -> "Votes":
        """As for `bradley_terry.fit`, but l2 > 0. ValueError for input that cannot be meant."""
        if not (np.isfinite(l2) and l2 > 0):
            raise ValueError(f"l2 is a finite number above 0, not {l2}")
        outcome = np.asarray(outcome)
        votes = check(a, b, outcome, n_systems, weight, cluster)
        kept = np.arange(len(outcome)) if weight is None else np.flatnonzero(np.asarray(weight) > 0)
        order = np.arange(kept.size) if votes.cluster is None else np.argsort(votes.cluster, kind="stable")
        rater = order if votes.cluster is None else votes.cluster[order]
        a, b = np.minimum(votes.a, votes.b)[order], np.maximum(votes.a, votes.b)[order]
        first_is_a = (votes.a < votes.b)[order]
        won, lost = votes.weighed(votes.outcome)[order], votes.weighed(1 - votes.outcome)[order]
        met, pair = _numbered(a * votes.n + b, votes.n**2)
        system, size = np.column_stack([a, b]), (int(rater[-1]) + 1, votes.n)
        label = groups.components(votes.n, met // votes.n, met % votes.n, "weak")
        return cls(
            n=votes.n,
            l2=l2,
            first=met // votes.n,
            second=met % votes.n,
            pair=pair,
            won=np.where(first_is_a, won, lost),
            lost=np.where(first_is_a, lost, won),
            rater=rater,
            system=system,
            by_rater=_summed(_rows(rater, system.copy(), np.column_stack([won + lost] * 2), size)),  # sorts in place
            given=len(outcome),
            kept=kept[order],
            gauge=groups.Gauge.of(label, None),
            groups=groups.members(label),
        )

    @property
    def n_raters(self) -> int:
        return self.by_rater.shape[0]

    def marked(self, inside: ArrayLike) -> NDArray[np.bool_]:
        """[V] which of these votes are inside, of a bool for each that was given."""
        inside = np.asarray(inside)
        if inside.shape != (self.given,) or inside.dtype != bool:
            raise ValueError(f"inside is one bool for each of {self.given} votes, not {inside.dtype} {inside.shape}")
        return inside[self.kept]

    def rows(self, which: Ints, first: Floats, second: Floats) -> sparse.csr_array:
        """[raters, n] what these votes (indices) give their two systems, those of a rater on a system not yet added."""
        given = np.column_stack([first, second])
        return _rows(self.rater[which], self.system[which], given, self.by_rater.shape)


@dataclass(frozen=True, eq=False)
class Part:
    """A category: inside [V] of `votes`; and of the curves of its pairs and of those outside: a, b, won, lost."""

    votes: Votes
    inside: NDArray[np.bool_]
    curves: tuple[Ints, Ints, Floats, Floats]

    @classmethod
    def of(cls, votes: Votes, inside: ArrayLike) -> "Part":
        inside = votes.marked(inside)
        curve, size = _curve(votes, inside), 2 * votes.first.size
        won, lost = sums.totals(curve, votes.won, size), sums.totals(curve, votes.lost, size)
        (there,) = np.nonzero(won + lost)
        a, b = _ends(votes)
        return cls(votes, inside, (a[there], b[there], won[there], lost[there]))

    def penalty(self, spread: float) -> Floats:
        """Q [2n, 2n]."""
        one, near = np.eye(self.votes.n), spread**-2
        return np.block([[(near + 2 * self.votes.l2) * one, -near * one], [-near * one, near * one]])

    def minimum(self, spread: float) -> tuple[Floats, bool]:
        size = 2 * self.votes.n
        objective = Objective(self.curves, self.penalty(spread), self.votes.l2)
        return newton.minimise(objective, np.zeros(size), groups.Gauge.none(size))

    def information(self, at: Floats) -> Floats:
        """H [2n, 2n], block by block."""
        a, b, won, lost = self.curves
        p = expit(at[a] - at[b])
        return sums.laplacian(a, b, 2 * self.votes.n, (won + lost) * p * (1 - p))

    def meat(self, at: Floats, inverse: Floats) -> Floats:
        """G/(G-1) M [2n, 2n], over raters, of residuals as if none had drawn the fit to itself; `inverse` of H + Q. One
        rater alone shows no spread: M is then over the votes."""
        votes, n, (a, b) = self.votes, self.votes.n, _ends(self.votes)
        p, curve = expit(at[a] - at[b]), _curve(self.votes, self.inside)
        leverage = p * (1 - p) * (inverse[a, a] + inverse[b, b] - 2 * inverse[a, b])
        weight = votes.won + votes.lost
        score = (votes.won - weight * p[curve]) / np.sqrt(1 - np.minimum(weight * leverage[curve], MOST_LEVERAGE))
        score *= np.sqrt(_small_sample(votes.n_raters if votes.n_raters > 1 else score.size))
        if votes.n_raters == 1:
            return sums.matrix(a[curve], b[curve], 2 * n, 0, lambda i, j: score**2 if i == j else -(score**2))
        inside_is_less = 2 * np.count_nonzero(self.inside) <= self.inside.size
        more, across, less = _gram(votes, score, self.inside if inside_is_less else ~self.inside)
        (outer, across, inner) = (more, across, less) if inside_is_less else (less, across.T, more)
        return np.block([[outer, across.T], [across, inner]])

    def effective(self) -> tuple[float, float]:
        """The effective number of raters outside and inside."""
        weight, n = self.votes.won + self.votes.lost, self.votes.n_raters
        total, inside = (np.bincount(self.votes.rater, one, n) for one in (weight, weight * self.inside))
        outer, inner = (float(_kish(size.sum(), size @ size)) for size in (total - inside, inside))
        return outer, inner

    def effective_by_system(self) -> tuple[Floats, Floats]:
        """[n] the effective numbers of raters outside and inside, of those who voted on the system."""
        votes, which = self.votes, np.flatnonzero(self.inside)
        weight = (votes.won + votes.lost)[which]
        inside = _summed(votes.rows(which, weight, weight))
        outer, inner = (
            _kish(np.bincount(part.indices, part.data, votes.n), np.bincount(part.indices, part.data**2, votes.n))
            for part in (votes.by_rater - inside, inside)
        )
        return outer, inner


@dataclass(frozen=True, eq=False)
class Objective:
    """As `newton.minimise` takes it."""

    curves: tuple[Ints, Ints, Floats, Floats]
    penalty: Floats
    l2: float

    def value(self, at: Floats) -> float:
        a, b, won, lost = self.curves
        z = at[a] - at[b]
        return float(won @ np.logaddexp(0, -z) + lost @ np.logaddexp(0, z) + at @ self.penalty @ at / 2)

    def gradient(self, at: Floats) -> Floats:
        a, b, won, lost = self.curves
        slope = (won + lost) * expit(at[a] - at[b]) - won
        return sums.vector(a, b, at.size, (slope, -slope)) + self.penalty @ at

    def hessian(self, at: Floats) -> Floats:
        a, b, won, lost = self.curves
        p = expit(at[a] - at[b])
        return sums.laplacian(a, b, at.size, (won + lost) * p * (1 - p)) + self.penalty

    def safe_curvature(self, at: Floats) -> Floats:
        a, b, won, lost = self.curves
        return sums.laplacian(a, b, at.size, (won + lost) / 4) + self.penalty

    def reach(self, step: Floats) -> float:
        a, b, _, _ = self.curves
        return float(np.abs(step[a] - step[b]).max())


def _curve(votes: Votes, inside: NDArray[np.bool_]) -> Ints:
    """[V] in a table of 2P: each pair's curve outside, then inside."""
    return votes.pair + votes.first.size * inside


def _ends(votes: Votes) -> tuple[Ints, Ints]:
    """([2P], [2P]) the systems of each curve."""
    return (
        np.concatenate([votes.first, votes.first + votes.n]),
        np.concatenate([votes.second, votes.second + votes.n]),
    )


def _numbered(labels: Ints, size: int) -> tuple[Ints, Ints]:
    """(the labels that occur, of 0 .. size - 1; which of these each is)."""
    there = np.bincount(labels, minlength=size) > 0
    return np.flatnonzero(there), (np.cumsum(there) - 1)[labels]


def _rows(rater: Ints, system: Ints, given: Floats, size: tuple[int, int]) -> sparse.csr_array:
    """[raters, n] of what votes, by raters in ascending order, give [v, 2] to their systems [v, 2]."""
    ends = np.concatenate([[0], 2 * np.cumsum(np.bincount(rater, minlength=size[0]))])
    return sparse.csr_array((given.ravel(), system.ravel(), ends), shape=size)


def _summed(by_rater: sparse.csr_array) -> sparse.csr_array:
    by_rater.sum_duplicates()
    return by_rater


def _gram(votes: Votes, score: Floats, few: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """many' many, few' many and few' few, each [n, n]: the scores of the raters, of the few votes and of all others."""
    which = np.flatnonzero(few)
    small = votes.rows(which, score[which], -score[which])
    turned, (n_raters, n), score = small.T.tocsr(), small.shape, np.where(few, 0, score)
    within = (turned @ small).toarray()
    if 2 * score.size < SPARSE_BELOW * n_raters * n:
        large = votes.rows(np.arange(score.size), score, -score)
        return (large.T @ large).toarray(), (turned @ large).toarray(), within
    total, across, step = np.zeros((n, n)), np.zeros((n, n)), max(1, DENSE_CELLS // n)
    starts = np.arange(0, n_raters, step)
    for start, first, last in zip(starts, *np.searchsorted(votes.rater, [starts, starts + step]), strict=True):
        rater, (a, b), given = votes.rater[first:last] - start, votes.system[first:last].T, score[first:last]
        cells = min(step, n_raters - start) * n
        block = (np.bincount(rater * n + a, given, cells) - np.bincount(rater * n + b, given, cells)).reshape(-1, n)
        total += block.T @ block
        across += small[start : start + step].T @ block
    return total, across, within


def _small_sample(clusters: int) -> float:
    return clusters / (clusters - 1) if clusters > 1 else 1.0


def _kish(total: Any, squares: Any) -> Any:
    """The effective number of raters of whom these are the sums of weights and of their squares; 0 of none."""
    return total**2 / np.where(squares > 0, squares, 1)
