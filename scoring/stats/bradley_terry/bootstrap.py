"""The same fit on resampled raters: a check of the sandwich that assumes neither curvature nor Student's t.

Source: the cluster bootstrap, Field & Welsh (2007), J. R. Stat. Soc. B 69; percentile intervals, Efron & Tibshirani
(1993), An Introduction to the Bootstrap, chapter 13.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .pairs import fit
from .results import Fit, Floats, Labels
from .votes import codes, floats


@dataclass(frozen=True, eq=False)
class Bootstrap(Fit):
    """A fit whose covariance and intervals are those of `draws` [B, n], its ratings on resampled raters."""

    draws: Floats

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """(low [n], high [n]) percentiles of the draws."""
        if not 0 < level < 1:
            raise ValueError(f"level is a probability between 0 and 1, not {level}")
        low, high = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high


def bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    outcome: ArrayLike,
    n_systems: int,
    *,
    cluster: Labels | None = None,
    weight: ArrayLike | None = None,
    n_draws: int = 1000,
    seed: int = 0,
    estimator: Callable[..., Fit] = fit,
    **settings: Any,
) -> Bootstrap:
    """Fit again on `n_draws` resamples of the raters (of the votes, without `cluster`), as many as there are.

    estimator: `fit`, `fit_davidson`, `fit_grounded`, ..., called with the resampled weights; settings: its l2, pin, ...
    With l2 = 0 a resample may have no finite estimate, and then neither has the bootstrap.
    """
    if n_draws < 2:
        raise ValueError(f"n_draws is at least 2, or there is no spread, not {n_draws}")
    size = len(np.asarray(outcome))
    code = np.arange(size) if cluster is None else codes(cluster, size)
    weight = np.ones(size) if weight is None else floats("weight", weight, size, 0)
    whole = estimator(a, b, outcome, n_systems, weight=weight, cluster=cluster, **settings)
    rng, raters = np.random.default_rng(seed), int(code.max()) + 1
    draws = np.empty((n_draws, n_systems))
    for draw in draws:
        times = np.bincount(rng.integers(raters, size=raters), minlength=raters)
        draw[:] = estimator(a, b, outcome, n_systems, weight=weight * times[code], **settings).theta
    covariance = np.cov(draws, rowvar=False).reshape(n_systems, n_systems)
    return Bootstrap(whole.theta, covariance, whole.n_votes, whole.converged, whole.g_eff, whole.groups, draws)
