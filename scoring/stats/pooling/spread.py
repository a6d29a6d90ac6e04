"""How far categories of one kind differ: what is known of it after the votes of all of them.

The differences d = theta_c - theta_0 that come out of the fit of a category follow the true ones as R d, and have the
noise N of the votes, so that they are Normal(0, N + spread^2 R R'). N is clustered by rater, as the intervals are: a
likelihood that takes votes to be independent would take every rater's taste for a property of the category. But of few
raters and many systems, an N that is clustered is all but singular, and noise along the axes that it has none for would
be taken for spread. So it is drawn to a multiple of the N of independent votes, the less the more surely raters show
that it is another. On a grid of spreads these likelihoods times a prior give the spread's posterior. The mean of its
square is what goes into the fits, and its variance is passed on as degrees of freedom, those of the scaled inverse
chi-squared of the same mean and variance. (The moments of version 1 were drawn to their prior's 0.3 and taken for
better known than they were: at a spread of 0.8 their intervals covered 92 to 94 %, those of small categories least, and
at 0.15 more than 98 %.)

The votes outside are themselves of a few categories, with ways of their own, so a category differs from them by more
than from what is common to all: by spread^2 (1 + the sum of their squared shares). K categories have no K independent
differences but one fewer, if nothing else is outside: the sum of their log-likelihoods counts that much less.

Sources: the posterior of a spread on a grid, Gelman et al. (2013), Bayesian Data Analysis, section 5.4; the half-Cauchy
prior, flat near zero and no obstacle to a large spread, Gelman (2006), Bayesian Analysis 1; sums of log-likelihoods of
dependent data, scaled, Varin, Reid & Firth (2011), Statist. Sinica 21, section 2; how far a covariance is drawn to one
of a simple form, Chen, Wiesel, Eldar & Hero (2010), IEEE Trans. Signal Process. 58.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ..bradley_terry.results import Floats
from .parts import Part, Votes

GRID = np.geomspace(0.05, 2.0, 80)  # logits: from about a per cent of a pair's comparisons to more than systems differ
PRIOR_SCALE = 0.3  # logits; half of the prior is below
INFORMATIVE = 8.0  # effective raters inside and outside, from which on a category has a say in the spread
MAX_CATEGORIES, MAX_DIFFERENCES = 12, 1000  # the largest categories, that have it; one difference for every system
START, NEAR = 0.4, 0.1  # where the differences are taken first; again if they are larger than that by so much
NO_NOISE = 1e-9  # share of the largest noise, below which a direction is one that no vote is about


@dataclass(frozen=True)
class Spread:
    """How far categories of a kind are from what is common to them: `value` logits, per system.

    df: degrees of freedom of its square. from_others: [K] how far each of them is from the votes outside it, which
    `fit_pooled` takes. n_categories: that had a say; without any, all this is the prior's.
    """

    value: float
    df: float
    from_others: tuple[float, ...]
    n_categories: int


def estimate_spread(votes: Votes, categories: Sequence[ArrayLike]) -> Spread:
    """The spread of categories of one kind, each a bool for every vote that `votes` was given; they may overlap.

    Only categories of at least 8 effective raters inside and as many outside are asked, the 12 largest; fewer of more
    than 83 systems, since a thousand differences tell their spread to 2 %.
    """
    members = [votes.marked(inside) for inside in categories]
    factor, others = _factors(members)
    size = [np.count_nonzero(inside) for inside in members]
    told = sorted((k for k in range(len(size)) if size[k]), key=lambda k: -size[k])
    parts = ((Part.of(votes, categories[k]), factor[k]) for k in told)
    most = min(MAX_CATEGORIES, max(2, MAX_DIFFERENCES // votes.n))
    asked = list(islice((one for one in parts if min(one[0].effective()) >= INFORMATIVE), most))
    independent = min(len(asked), others) / max(len(asked), 1)
    value = START
    for _ in range(2):  # taken at a small spread, large differences come out smaller than R has it
        taken_at = value
        likelihood = sum((_log_likelihood(part, taken_at * times, times) for part, times in asked), np.zeros(GRID.size))
        value, df = _moments(independent * likelihood)
        if value < taken_at + NEAR:
            break
    return Spread(value, df, tuple((value * factor).tolist()), len(asked))


def _log_likelihood(part: Part, taken_at: float, times: float) -> Floats:
    """[GRID] of the differences of a category, taken at that spread, if the categories' is one of the grid."""
    n, (at, _) = part.votes.n, part.minimum(taken_at)
    h = part.information(at)
    inverse: Floats = np.linalg.inv(h + part.penalty(taken_at)).astype(np.float64, copy=False)
    pick = inverse[n:] - inverse[:n]
    response = times * (pick @ h[:, n:])
    whiten = _whitening(pick @ part.meat(at, inverse) @ pick.T, pick @ h @ pick.T, min(part.effective()))
    effect, axes = np.linalg.eigh(whiten.T @ response @ response.T @ whiten)
    squared = (axes.T @ (whiten.T @ (at[n:] - at[:n]))) ** 2
    variance = 1 + np.outer(GRID**2, np.maximum(effect, 0))
    return -0.5 * (np.log(variance) + squared / variance).sum(axis=1)


def _whitening(noise: Floats, plain: Floats, n_raters: float) -> Floats:
    """[n, p] to the p axes that votes are about, scaled so that the noise along each is independent and of variance 1;
    the noise [n, n] being an estimate from so many raters, drawn to a multiple of `plain`, that of independent votes.

    Where `plain` is the identity, that is the shrinkage of Chen et al. (2010), equation 23.
    """
    size, along = np.linalg.eigh(plain)
    shown = size > NO_NOISE * size[-1]
    whiten = along[:, shown] / np.sqrt(size[shown])
    variance, axes = np.linalg.eigh(whiten.T @ noise @ whiten)
    p, mean, square = variance.size, variance.mean(), variance @ variance
    unsure = (1 - 2 / p) * square + (p * mean) ** 2
    apart = (n_raters + 1 - 2 / p) * p * variance.var()
    share = unsure / max(unsure, apart) if unsure > 0 else 1.0
    variance = share * mean + (1 - share) * variance
    some = variance > 0  # none where all votes are as expected, ties of equals
    return whiten @ axes[:, some] / np.sqrt(variance[some])


def _moments(log_likelihood: Floats) -> tuple[float, float]:
    """(root of the posterior mean of the squared spread, its degrees of freedom)."""
    log = log_likelihood - np.log1p((GRID / PRIOR_SCALE) ** 2) + np.log(GRID)  # the last for the steps of the grid
    share = np.exp(log - log.max())
    share /= share.sum()
    mean = float(share @ GRID**2)
    variance = float(share @ GRID**4) - mean**2
    return mean**0.5, min(4 + 2 * mean**2 / max(variance, 1e-12), 1e6)


def _factors(members: Sequence[NDArray[np.bool_]]) -> tuple[Floats, int]:
    """([K] how much further a category is from the votes outside than from what is common to all; how many others a
    category has). The sum is of the squared shares that the other categories have in the votes outside; what is in none
    of them is taken for one of its own."""
    if not members:
        return np.zeros(0), 0
    ends = np.cumsum([0, *(np.count_nonzero(inside) for inside in members)])
    member = np.concatenate([np.flatnonzero(inside) for inside in members])
    member = sparse.csr_array((np.ones(member.size), member, ends), shape=(len(members), members[0].size))
    outside = np.diff(ends)[None, :] - (member @ member.T).toarray()  # of category j among those outside k
    nowhere = members[0].size - np.count_nonzero(np.logical_or.reduce(members))
    counts = np.hstack([outside, np.full((len(members), 1), nowhere)])
    total = counts.sum(axis=1, keepdims=True)
    there = int((np.diff(ends) > 0).sum()) + (nowhere > 0)
    return np.sqrt(1 + ((counts / np.maximum(total, 1)) ** 2).sum(axis=1)), int(there) - 1
