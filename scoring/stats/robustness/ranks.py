"""How sure is the order? Ranks over draws from the joint distribution that the intervals are of.

Source: the parametric bootstrap of ranks, Goldstein & Spiegelhalter (1996), J. R. Stat. Soc. A 159, section 3; Xie,
Singh & Zhang (2009), J. Amer. Stat. Assoc. 104, on what it says of systems that are nearly equal: too little doubt
about exact ties, which no draw has.
"""

from dataclasses import dataclass

import numpy as np

from scoring.stats.bradley_terry.results import Floats

DRAWS = 10_000
BLOCK = 2**22  # ratings drawn at a time: 32 MiB


@dataclass(frozen=True, eq=False)
class Ranks:
    """counts: int [m, m], in how many of the `draws` a system (row) had a rank (column), 0 the best."""

    counts: np.ndarray
    draws: int

    @property
    def p_best(self) -> Floats:
        """float [m]; its standard error is at most 0.5 / sqrt(draws)."""
        return self.counts[:, 0] / self.draws

    def within(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """(best, worst): int [m] each, counted from 1, the central range of ranks that holds `level` of the draws."""
        below = np.cumsum(self.counts, axis=1) / self.draws
        tail = (1 - level) / 2
        return 1 + (below <= tail).sum(axis=1), 1 + (below < 1 - tail).sum(axis=1)


def draw_ranks(theta: Floats, covariance: Floats, g_eff: float, *, seed: int, draws: int = DRAWS) -> Ranks:
    """Ranks of systems that can be compared. theta: float [m], covariance: float [m, m], their sandwich.

    Draws are theta + L z sqrt(df / chi2_df), multivariate Student t with df = g_eff - 1 degrees of freedom (at least
    1): what each interval is of, jointly. Ranks depend on differences only, so it is differences to the first system
    that are drawn; their covariance has a Cholesky factor, which unlike an eigenvector has but one sign.
    """
    m = len(theta)
    counts, rng, df = np.zeros((m, m), dtype=np.int64), np.random.default_rng(seed), max(g_eff - 1, 1.0)
    difference = theta[1:] - theta[0]
    factor = _factor(covariance[1:, 1:] - covariance[1:, :1] - covariance[:1, 1:] + covariance[0, 0])
    step = max(1, BLOCK // m)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        spread = np.sqrt(df / rng.chisquare(df, size))[:, None]
        drawn = np.zeros((size, m))
        drawn[:, 1:] = difference + rng.standard_normal((size, m - 1)) @ factor.T * spread
        rank = np.argsort(np.argsort(-drawn, axis=1, kind="stable"), axis=1, kind="stable")
        counts += np.bincount((np.arange(m) * m + rank).ravel(), minlength=m * m).reshape(m, m)
    return Ranks(counts, draws)


def _factor(covariance: Floats) -> Floats:
    """Cholesky's, of a matrix that may have lost rank: with one rater a difference may have no spread of its own."""
    if not covariance.size:
        return covariance
    jitter = 1e-12 * max(float(np.trace(covariance)) / len(covariance), 1e-300)
    return np.linalg.cholesky(covariance + jitter * np.eye(len(covariance))).astype(np.float64, copy=False)
