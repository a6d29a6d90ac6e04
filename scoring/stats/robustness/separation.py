"""How many more votes would tell two neighbours apart?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq

from scoring.stats.bradley_terry import Fit, Linearised
from scoring.stats.bradley_terry.results import Floats, reach

from .ballots import Ballots

ASSUMPTION = "votes on these two alone, as listeners vote now, with the difference as it is now estimated"


@dataclass(frozen=True)
class Separation:
    """above, below: indices of neighbours. difference, low, high: of their ratings, logits. votes: on the two, so far.
    extra: 0 if the interval already excludes zero; None if the two are estimated to be equal."""

    above: int
    below: int
    difference: float
    low: float
    high: float
    votes: int
    extra: int | None


def separations(ballots: Ballots, fit: Fit, linear: Linearised, order: Sequence[int], level: float) -> list[Separation]:
    """Of each two neighbours in `order` (indices, highest first), the votes needed until the interval of their
    difference is expected to exclude zero.

    The assumption, in full: the m votes are all on these two; their answers are as expected at the current estimate,
    which stays; and the sandwich variance stays in its present ratio to the model's (listeners share and tie as now).
    Then the variance is s (c' (A + m E)^-1 c) / (c' A^-1 c), with s the sandwich's now, A the curvature and E the
    expected information in one vote on the two; with half-ties it is s / (1 + m p (1 - p) c' A^-1 c). The quantile is
    that of the present number of listeners, which errs to more votes. linear: the `Linearised` of the fit.
    """
    return [_separation(ballots, fit, linear, above, below, level) for above, below in pairwise(order)]


def _separation(ballots: Ballots, fit: Fit, linear: Linearised, above: int, below: int, level: float) -> Separation:
    contrast = linear.contrast(above, below)
    n = fit.theta.size
    variance = contrast[:n] @ fit.covariance @ contrast[:n]
    difference = float(fit.theta[above] - fit.theta[below])
    half = float(reach(np.sqrt(np.maximum(variance, 0.0)), fit.g_eff, level))
    on_both = np.isin(ballots.a, (above, below)) & np.isin(ballots.b, (above, below))
    extra = 0 if abs(difference) > half else _extra(linear, contrast, above, below, difference, half)
    return Separation(above, below, difference, difference - half, difference + half, int(on_both.sum()), extra)


def _extra(linear: Linearised, contrast: Floats, above: int, below: int, difference: float, half: float) -> int | None:
    if abs(difference) < 1e-6:
        return None
    where, information = linear.one_more(above, below)
    inverse, along = linear.inverse[np.ix_(where, where)], contrast[where]

    def share_left(votes: float) -> float:
        """Of the variance, by Woodbury's identity, on the parameters that these votes touch."""
        left = np.linalg.solve(np.eye(len(where)) + votes * inverse @ information, inverse @ along)
        return float(along @ left) / float(along @ inverse @ along)

    wanted = (difference / half) ** 2
    most = 1.0
    while share_left(most) > wanted:
        most *= 4
        if most > 1e12:
            return None
    return int(np.ceil(brentq(lambda votes: share_left(votes) - wanted, 0.0, most, rtol=1e-9)))
