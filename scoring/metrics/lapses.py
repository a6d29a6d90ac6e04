"""Votes that do not follow the reward: now and then a rater answers as a coin would, however clear the pair.

The psychometric function with lapses (Wichmann & Hill 2001, equation 1, both asymptotes alike) says what a margin m
then means:

    P(a wins) = rate / 2 + (1 - rate) sigmoid(m / temperature)

rate: the share of votes that are coin tosses, so that rate / 2 of all labels are wrong whatever the margin. At rate 0
it is temperature scaling (Guo et al. 2017, section 4.2). It rises with the margin: who wins is never turned round.
NumPy and SciPy only; margins and targets as in metrics.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import chi2

from scoring.metrics import preference

LEVEL = 0.05  # of the test whether there are lapses at all
LEAST, MOST = 1e-6, 0.99  # of the rate, where there are lapses
STEEPEST = 1e-3  # of the temperature without lapses: steeper, and all pairs alike are all but certain
STARTS = ((0.05, 0.7), (0.25, 0.3), (0.5, 0.1), (0.5, 0.02))  # rate, and temperature as a share of that without lapses


@dataclass(frozen=True)
class Lapses:
    """rate in [0, MOST], and temperature > 0 in the units of the margins, from n decided pairs."""

    rate: float
    temperature: float
    n: int

    def log_odds(self, margin: np.ndarray) -> np.ndarray:
        return log_odds(margin, self.rate, self.temperature)


def log_odds(margin: ArrayLike, rate: float, temperature: float = 1.0) -> np.ndarray:
    """log P / (1 - P), float64 [N]: itself a margin, of which all that metrics measures is that of P."""
    margin = np.asarray(margin, dtype=np.float64) / temperature
    return _log_p(margin, rate) - _log_p(-margin, rate) if rate else margin


def calibrate(margin: np.ndarray, target: np.ndarray) -> Lapses | None:
    """Rate and temperature by maximum likelihood on the decided pairs; the rate is 0 where a likelihood ratio test
    finds no lapses (at LEVEL; under none, the rate is at the edge of what it may be, so half of chi squared is 0:
    Self & Liang 1987). None where metrics.temperature has none.
    """
    plain = preference.temperature(margin, target)
    if plain is None:
        return None
    margin, target = np.asarray(margin, dtype=np.float64), np.asarray(target, dtype=np.float64)
    decided = (target != 0.5) & (margin != 0)
    signed = np.where(target > 0.5, margin, -margin)[decided] / plain.value
    bounds = [(LEAST, MOST), (np.log(STEEPEST), np.log(2.0))]
    found = min(
        (
            minimize(_loss, (rate, np.log(share)), args=(signed,), jac=True, method="L-BFGS-B", bounds=bounds)
            for rate, share in STARTS
        ),
        key=lambda one: one.fun,
    )
    without = np.logaddexp(0.0, -signed).sum()
    if 2 * (without - found.fun) <= chi2.isf(2 * LEVEL, 1):
        return Lapses(0.0, plain.value, plain.n)
    return Lapses(float(found.x[0]), plain.value * float(np.exp(found.x[1])), plain.n)


def calibrated_loss(margin: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None) -> float | None:
    """metrics.log_loss of the margins as `calibrate` reads them on these same pairs: how well a head orders clips,
    however sharp or blunt it is. Where it has nothing: for margins that are never wrong the limit of ever steeper ones,
    0, with ties and margins of 0 at ln 2, the least that either costs; otherwise, as for margins that are as often
    wrong as right, the loss of the margins as they are.
    """
    if found := calibrate(margin, target):
        return preference.log_loss(found.log_odds(margin), target, weight)
    right = np.asarray(margin, dtype=np.float64) * (np.asarray(target, dtype=np.float64) - 0.5)
    if (right > 0).any() and not (right < 0).any():
        return float(np.average(np.where(right > 0, 0.0, np.log(2.0)), weights=weight))
    return preference.log_loss(margin, target, weight)


def _loss(parameters: np.ndarray, signed: np.ndarray) -> tuple[float, np.ndarray]:
    """Negative log likelihood, in nats, and its gradient by (rate, log temperature).

    signed: the margins of the winners over the losers.
    """
    rate, log_temperature = parameters
    steep = signed * np.exp(-log_temperature)
    log_p = _log_p(steep, rate)
    heard = np.exp(-np.logaddexp(0.0, -steep) - log_p)  # sigmoid(steep) / P, at most 1 / (1 - rate)
    by_rate = (heard - 0.5 * np.exp(-log_p)).sum()
    by_log_temperature = ((1 - rate) * heard * expit(-steep) * steep).sum()
    return -log_p.sum(), np.array([by_rate, by_log_temperature])


def _log_p(margin: np.ndarray, rate: float) -> np.ndarray:
    coin = np.log(rate / 2) if rate else -np.inf
    return np.logaddexp(coin, np.log1p(-rate) - np.logaddexp(0.0, -margin))
