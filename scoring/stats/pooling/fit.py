"""The ratings of a category and their intervals.

The intervals are those of theta_c under the model of this package, theta_0 being estimated too: with Q the curvature of
the penalties and A = H + Q, the errors have the covariance A^-1 (M + Q) A^-1. M is clustered by rater over both parts
at once, so a rater who votes inside and outside is one rater; Q is in the middle because that is the variance of what
the penalties stand for.

Sources: with H for M the intervals are Henderson's, Robinson (1991), Statist. Sci. 6, section 5; degrees of freedom,
Satterthwaite (1946), Biometrics Bulletin 2, where those of a clustered variance are one less than the raters there are
in effect for that very rating, as Carter, Schnepel & Steigerwald (2017), Rev. Econ. Stat. 99, count them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from ..bradley_terry.results import Floats
from .parts import Part, Votes

FEW_RATERS = 10.0  # below which the differences between raters say too little about how much raters differ


@dataclass(frozen=True, eq=False)
class Pooled:
    """The ratings of a category.

    theta: [n] logits, sum zero within each of `groups`, those of all votes. covariance: [n, n]. df: [n] degrees of
    freedom of each rating's interval. outside: [n] the ratings by the votes outside, centred alike. own_share: [n] in
    [0, 1], how far the rating follows the category's own votes; 0 is the board of the others. n_votes: inside.
    """

    theta: Floats
    covariance: Floats
    df: Floats
    outside: Floats
    own_share: Floats
    n_votes: int
    converged: bool
    groups: tuple[tuple[int, ...], ...]

    @property
    def stderr(self) -> Floats:
        return np.sqrt(np.diagonal(self.covariance))

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """(low [n], high [n]), Student t."""
        if not 0 < level < 1:
            raise ValueError(f"level is a probability between 0 and 1, not {level}")
        half = stdtrit(self.df, (1 + level) / 2) * self.stderr
        return self.theta - half, self.theta + half


def fit_pooled(votes: Votes, inside: ArrayLike, *, spread: float, spread_df: float = np.inf) -> Pooled:
    """The board of the votes `inside`, a bool for each that `votes` was given.

    spread: logits, how far it is thought to be from the votes outside; spread_df: the degrees of freedom of its square
    where it was estimated.
    With fewer than 10 effective raters inside, no variance is less than if votes were independent. ValueError for
    input that cannot be meant.
    """
    if not (np.isfinite(spread) and spread > 0):
        raise ValueError(f"spread is a finite number above 0, not {spread}")
    part, gauge, n = Part.of(votes, inside), votes.gauge, votes.n
    at, converged = part.minimum(spread)
    h, q = part.information(at), part.penalty(spread)
    inverse: Floats = np.linalg.inv(h + q).astype(np.float64, copy=False)
    meat = part.meat(at, inverse)
    pick = gauge.project(inverse[n:])  # [n, 2n] from a score to the rating that it moves
    covariance = pick @ (meat + q) @ pick.T
    outer, inner = diagonal(pick[:, :n], meat[:n, :n]), diagonal(pick[:, n:], meat[n:, n:])
    if part.effective()[1] < FEW_RATERS:
        inner = np.maximum(inner, diagonal(pick[:, n:], h[n:, n:]))
        covariance = _at_least(covariance, gauge.project(gauge.project(inverse[n:, n:]).T))
    return Pooled(
        theta=gauge.project(at[n:]),
        covariance=covariance,
        df=_satterthwaite(outer, inner, diagonal(pick, q), part.effective_by_system(), spread_df),
        outside=gauge.project(at[:n]),
        own_share=_own_share(pick @ h[:, n:], gauge.project(np.eye(n))),
        n_votes=int(np.count_nonzero(part.inside)),
        converged=converged,
        groups=votes.groups,
    )


def diagonal(rows: Floats, matrix: Floats) -> Floats:
    """diag(rows matrix rows')."""
    return np.einsum("ij,ij->i", rows @ matrix, rows)


def _own_share(response: Floats, centred: Floats) -> Floats:
    """[n] how the rating that comes out follows the category's own; of what the votes can show, which is no mean."""
    shown = np.diagonal(centred)
    return np.clip(np.diagonal(response) / np.where(shown > 0, shown, 1), 0, 1)


def _at_least(covariance: Floats, least: Floats) -> Floats:
    """The covariance, scaled so that no variance is below that of `least`."""
    now, wanted = np.diagonal(covariance), np.diagonal(least)
    scale = np.sqrt(np.maximum(wanted / np.where(now > 0, now, 1), 1))
    return covariance * scale * scale[:, None]


def _satterthwaite(
    outside: Floats, inside: Floats, between: Floats, raters: tuple[Floats, Floats], spread_df: float
) -> Floats:
    """[n] degrees of freedom of a variance of three parts, each estimated with some; at least one."""
    of_outside, of_inside = (np.maximum(effective - 1, 1) for effective in raters)
    spent = outside**2 / of_outside + inside**2 / of_inside + between**2 / spread_df
    total = (outside + inside + between) ** 2
    return np.where(spent > 0, np.maximum(total / np.where(spent > 0, spent, 1), 1), 1e6)
