"""The board of a part of the votes, pulled towards the board of the others as far as its own votes leave it open.

With theta_0 the ratings by the votes outside a category and theta_c those inside it,

    logit P(a beats b) = theta_0[a] - theta_0[b] outside, theta_c[a] - theta_c[b] inside,
    theta_c ~ Normal(theta_0, spread^2 I),

both are fitted together: minus the log-likelihood plus ||theta_c - theta_0||^2 / (2 spread^2) plus l2 ||theta_0||^2.
A category without votes has the overall board, one with endlessly many its own, and between them every system goes
its own way by as much as its votes there say. "Outside" and not "all", or a category would be its own evidence. The
votes outside are themselves of a few categories, with ways of their own, so a category differs from them by more than
from what is common to all: by spread^2 (1 + sum of their squared shares), see `estimate_spread`.

The intervals are those of theta_c under this model, theta_0 being estimated too: with Q the curvature of the penalties
and A = H + Q, the errors have the covariance A^-1 (M + Q) A^-1. M is clustered by rater over both parts at once, so a
rater who votes inside and outside is one rater; Q is in the middle because that is the variance of what the penalties
stand for. The spread between categories is estimated from all of one kind by moments, with the same clustered M, since
a likelihood that takes votes to be independent would take every rater's taste for a property of the category.

Sources: partial pooling and its intervals, Robinson (1991), Statist. Sci. 6, sections 2 and 5 (with H for M they are
Henderson's); moments of the estimated effects, Searle, Casella & McCulloch (1992), Variance Components, chapter 5; the
prior that keeps a spread off zero, a scaled inverse chi-squared whose posterior mean is taken, Gelman et al. (2013),
Bayesian Data Analysis, section 2.6; degrees of freedom, Satterthwaite (1946), Biometrics Bulletin 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.special import expit, stdtrit

from .bradley_terry import groups, newton, sums
from .bradley_terry.results import Floats, Ints
from .bradley_terry.votes import Votes, check

LIMITS = 0.05, 2.0  # of the spread, logits: about a per cent of a pair's comparisons; more than systems differ
PRIOR_SPREAD, PRIOR_CONTRASTS = 0.3, 4.0  # the estimate is as if so many more differences of that size had been seen
FEW_RATERS = 20.0  # below which the differences between raters say too little about how much raters differ
INFORMATIVE = 8.0  # effective raters inside and outside, from which on a category has a say in the spread
MAX_CATEGORIES = 20  # the largest ones, that have it
MAX_ROUNDS = 30


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


@dataclass(frozen=True)
class Spread:
    """How far categories of a kind are from what is common to them: `value` logits, per system.

    from_others: [K] how far each of them is from the votes outside it, which `fit_pooled` takes. n_categories: that had
    a say. n_contrasts: the effective number of differences seen; below a few of them `value` is mostly the prior's.
    """

    value: float
    df: float
    from_others: tuple[float, ...]
    n_categories: int


def fit_pooled(
    a: ArrayLike,
    b: ArrayLike,
    outcome: ArrayLike,
    n_systems: int,
    inside: ArrayLike,
    *,
    spread: float,
    spread_df: float = np.inf,
    weight: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    l2: float = 0.05,
) -> Pooled:
    """The board of the votes `inside` (bool [V]); the rest is as for `bradley_terry.fit`, but l2 > 0.

    spread: logits, how far it is thought to be from the votes outside; spread_df: the degrees of freedom of its square
    where it was estimated.
    With fewer than 20 effective raters inside, no variance is less than if votes were independent. ValueError for
    input that cannot be meant.
    """
    part = _Part.of(a, b, outcome, n_systems, inside, weight, cluster, l2)
    if not (np.isfinite(spread) and spread > 0):
        raise ValueError(f"spread is a finite number above 0, not {spread}")
    at, converged = part.minimum(spread)
    h, q = part.information(at), part.penalty(spread)
    meat, (g_out, g_in) = part.meat(at), part.effective()
    inverse = np.linalg.inv(h + q)
    gauge, n = part.gauge, n_systems
    pick = gauge.project(inverse[n:])  # [n, 2n] from a score to the rating that it moves
    covariance = pick @ (meat + q) @ pick.T
    inner = _diagonal(pick[:, n:], meat[n:, n:])
    if g_in < FEW_RATERS:
        inner = np.maximum(inner, _diagonal(pick[:, n:], h[n:, n:]))
        covariance = _at_least(covariance, gauge.project(gauge.project(inverse[n:, n:]).T))
    outer = _diagonal(pick[:, :n], meat[:n, :n])
    return Pooled(
        theta=gauge.project(at[n:]),
        covariance=covariance,
        df=_satterthwaite(outer, inner, _diagonal(pick, q), g_out, g_in, spread_df),
        outside=gauge.project(at[:n]),
        own_share=_own_share(pick @ h[:, n:], gauge.project(np.eye(n))),
        n_votes=int(part.inside.sum()),
        converged=converged,
        groups=part.groups,
    )


def estimate_spread(
    a: ArrayLike,
    b: ArrayLike,
    outcome: ArrayLike,
    n_systems: int,
    categories: Sequence[ArrayLike],
    *,
    weight: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    l2: float = 0.05,
) -> Spread:
    """The spread of categories of one kind, each the votes (bool [V]) inside it; they may overlap.

    The value at which the squared differences theta_c - theta_0 that come out add up to what they would be made of: the
    noise of the votes, and the spread. Only categories of at least 8 effective raters inside and as many outside are
    asked, the 20 largest.
    """
    factor = np.sqrt(1 + _concentration(np.array(categories, dtype=bool).reshape(len(categories), -1)))
    parts = [_Part.of(a, b, outcome, n_systems, inside, weight, cluster, l2) for inside in categories]
    told = [k for k, part in enumerate(parts) if part.inside.any() and not part.inside.all()]
    told = sorted(told, key=lambda k: -parts[k].inside.sum())[:MAX_CATEGORIES]
    asked = [(parts[k], factor[k]) for k in told if min(parts[k].effective()) >= INFORMATIVE]
    spread, contrasts = PRIOR_SPREAD, 0.0
    for _ in range(2):  # what the noise is made of depends on the spread, a little
        noise_at = spread
        meats = [part.meat(part.minimum(spread * times)[0]) for part, times in asked]
        for _ in range(MAX_ROUNDS):
            left, contrasts = 0.0, 0.0
            for (part, times), meat in zip(asked, meats, strict=True):
                squared, noise, seen = part.moments(spread * times, meat)
                left, contrasts = left + (squared - noise) / times**2, contrasts + seen
            square = (left + PRIOR_CONTRASTS * PRIOR_SPREAD**2) / (contrasts + PRIOR_CONTRASTS - 2)
            before, spread = spread, float(np.clip(np.sqrt(max(square, 0)), *LIMITS))
            if abs(spread - before) < 1e-3:
                break
        if abs(spread - noise_at) < 0.1:
            break
    return Spread(spread, contrasts + PRIOR_CONTRASTS, tuple((spread * factor).tolist()), len(asked))


def _concentration(categories: NDArray[np.bool_]) -> Floats:
    """[K] the sum of squared shares that the other categories have in the votes outside each; what is in none of them
    is taken for one of its own. 1 where the rest is of one kind, near 0 where it is of many."""
    member = sparse.csr_array(categories.astype(float))
    outside = member.sum(axis=1)[None, :] - (member @ member.T).toarray()  # of category j among those outside k
    nowhere = float((~categories.any(axis=0)).sum())
    counts = np.hstack([outside, np.full((len(categories), 1), nowhere)])
    total = counts.sum(axis=1, keepdims=True)
    return ((counts / np.maximum(total, 1)) ** 2).sum(axis=1)


# --- both parts as one set of votes on 2n systems: 0 .. n-1 outside, n .. 2n-1 inside ---


@dataclass(frozen=True, eq=False)
class _Part:
    votes: Votes
    inside: NDArray[np.bool_]
    curves: tuple[Ints, Ints, Floats, Floats]  # of each pair: a, b, and what a won and lost
    n: int
    l2: float
    gauge: groups.Gauge
    groups: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, a, b, outcome, n, inside, weight, cluster, l2) -> "_Part":
        inside = np.asarray(inside)
        if inside.shape != (len(outcome),) or inside.dtype != bool:
            raise ValueError(f"inside is one bool for each of {len(outcome)} votes, not {inside.dtype} {inside.shape}")
        if not (np.isfinite(l2) and l2 > 0):
            raise ValueError(f"l2 is a finite number above 0, not {l2}")
        check(a, b, outcome, n, weight, cluster)  # an error names the systems as the caller knows them
        move = n * inside
        votes = check(np.asarray(a) + move, np.asarray(b) + move, outcome, 2 * n, weight, cluster)
        label = groups.components(n, votes.a % n, votes.b % n, "weak")
        curves = _pairs(votes)
        return cls(votes, votes.a >= n, curves, n, l2, groups.Gauge.of(label, None), groups.members(label))

    def penalty(self, spread: float) -> Floats:
        """Q [2n, 2n]."""
        one, near = np.eye(self.n), spread**-2
        return np.block([[(near + 2 * self.l2) * one, -near * one], [-near * one, near * one]])

    def minimum(self, spread: float) -> tuple[Floats, bool]:
        objective = _Objective(self.curves, self.penalty(spread), self.l2)
        return newton.minimise(objective, np.zeros(2 * self.n), groups.Gauge.none(2 * self.n))

    def information(self, at: Floats) -> Floats:
        """H [2n, 2n], block by block."""
        a, b, won, lost = self.curves
        p = expit(at[a] - at[b])
        return sums.laplacian(a, b, 2 * self.n, (won + lost) * p * (1 - p))

    def meat(self, at: Floats) -> Floats:
        """M [2n, 2n]."""
        votes = self.votes
        score = votes.weighed(votes.outcome - expit(at[votes.a] - at[votes.b]))
        return sums.meat(votes.a, votes.b, 2 * self.n, (score, -score), votes.weight, votes.cluster)[0]

    def effective(self) -> tuple[float, float]:
        """The effective number of clusters outside and inside."""
        return self._effective(~self.inside), self._effective(self.inside)

    def _effective(self, which) -> float:
        weight = np.ones(which.sum()) if self.votes.weight is None else self.votes.weight[which]
        size = weight if self.votes.cluster is None else np.bincount(self.votes.cluster[which], weight)
        return float(size.sum() ** 2 / (size @ size)) if size.any() else 0.0

    def moments(self, spread: float, meat: Floats) -> tuple[float, float, float]:
        """(squared differences, what of them is noise, what a spread of 1 would add to them)."""
        at, _ = self.minimum(spread)
        h = self.information(at)
        inverse = np.linalg.inv(h + self.penalty(spread))
        difference = at[self.n :] - at[: self.n]
        pick = inverse[self.n :] - inverse[: self.n]
        noise = float(_diagonal(pick, meat).sum())
        return float(difference @ difference), noise, float((_response(inverse, h, self.n) ** 2).sum())


@dataclass(frozen=True, eq=False)
class _Objective:
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


def _pairs(votes: Votes) -> tuple[Ints, Ints, Floats, Floats]:
    size, ordered = votes.n, votes.a < votes.b
    pair = np.minimum(votes.a, votes.b) * size + np.maximum(votes.a, votes.b)
    won, lost = votes.weighed(votes.outcome), votes.weighed(1 - votes.outcome)
    first = np.bincount(pair, np.where(ordered, won, lost), size * size)
    second = np.bincount(pair, np.where(ordered, lost, won), size * size)
    (kept,) = np.nonzero(first + second)
    return kept // size, kept % size, first[kept], second[kept]


def _own_share(response: Floats, centred: Floats) -> Floats:
    """[n] how the rating that comes out follows the category's own; of what the votes can show, which is no mean."""
    shown = np.diagonal(centred)
    return np.clip(np.diagonal(response) / np.where(shown > 0, shown, 1), 0, 1)


def _response(inverse: Floats, h: Floats, n: int) -> Floats:
    """[n, n] how the difference that comes out follows the one that is there."""
    return (inverse[n:] - inverse[:n]) @ h[:, n:]


def _diagonal(rows: Floats, matrix: Floats) -> Floats:
    """diag(rows matrix rows')."""
    return np.einsum("ij,ij->i", rows @ matrix, rows)


def _at_least(covariance: Floats, least: Floats) -> Floats:
    """The covariance, scaled so that no variance is below that of `least`."""
    now, wanted = np.diagonal(covariance), np.diagonal(least)
    scale = np.sqrt(np.maximum(wanted / np.where(now > 0, now, 1), 1))
    return covariance * scale * scale[:, None]


def _satterthwaite(outside, inside, between, g_out: float, g_in: float, spread_df: float) -> Floats:
    """[n] degrees of freedom of a variance of three parts, each estimated with some; at least one."""
    spent = outside**2 / max(g_out - 1, 1.0) + inside**2 / max(g_in - 1, 1.0) + between**2 / spread_df
    total = (outside + inside + between) ** 2
    return np.where(spent > 0, np.maximum(total / np.where(spent > 0, spent, 1), 1.0), 1e6)
