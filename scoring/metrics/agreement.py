"""Whether a metric says what listeners said: of pairs, and of systems. NumPy and SciPy only."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from . import preference
from .bootstrap import Estimate, estimate


@dataclass(frozen=True)
class Agreement:
    """A metric beside n_pairs decided votes, of n_raters raters.

    accuracy: share of pairs whose winner has the better value, with its interval, drawn by rater. temperature: the T
    for which sigmoid(difference / T) is calibrated, and calibration_error then, both None where the differences say
    nothing. by_system: Kendall's tau-b between the systems' mean values and their ratings, -1 to 1; None with fewer
    than three systems.
    """

    n_pairs: int
    n_raters: int
    accuracy: Estimate
    temperature: float | None
    calibration_error: float | None
    by_system: float | None


def agreement(
    difference: np.ndarray,
    a_wins: np.ndarray,
    rater: np.ndarray,
    value_of: Mapping[str, float],
    rating_of: Mapping[str, float],
    rng: np.random.Generator,
) -> Agreement:
    """difference: float [V], the metric's value of a less that of b, larger being better; a_wins: [V], 1 or 0; rater:
    [V], who voted; value_of, rating_of: {system: number}. ValueError where there is no pair, or one is undecided."""
    difference, a_wins = np.asarray(difference, dtype=float), np.asarray(a_wins, dtype=float)
    if not difference.size:
        raise ValueError("there is no decided vote on two clips that both have a value")
    if not np.isin(a_wins, (0, 1)).all():
        raise ValueError("a_wins must be 1 or 0: leave out votes that nobody won")
    correct = np.where(difference == 0, 0.5, (difference > 0) == (a_wins == 1))
    accuracy = estimate(lambda rows: float(correct[rows].mean()), np.asarray(rater), rng)
    scale = preference.temperature(difference, a_wins)
    informative = scale is not None and np.isfinite(scale.value) and scale.value > 0
    margins = difference / scale.value if scale is not None and informative else None
    shared = sorted(value_of.keys() & rating_of.keys())
    return Agreement(
        n_pairs=difference.size,
        n_raters=accuracy.n,
        accuracy=accuracy,
        temperature=scale.value if scale is not None and informative else None,
        calibration_error=None if margins is None else preference.expected_calibration_error(margins, a_wins),
        by_system=preference.kendall(
            np.array([value_of[system] for system in shared]), np.array([rating_of[system] for system in shared])
        )
        if len(shared) > 2
        else None,
    )
