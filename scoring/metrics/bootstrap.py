"""How far a measure of a set of clips would move with other clips: a bootstrap standard error and its interval."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

LEVEL, ROUNDS = 0.95, 200


@dataclass(frozen=True)
class Estimate:
    """value: of all clips; low, high: its interval at `level`, both None where there were fewer than 3 units."""

    value: float
    low: float | None
    high: float | None
    n: int


def estimate(
    measure: Callable[[np.ndarray], float],
    unit: np.ndarray,
    rng: np.random.Generator,
    *,
    rounds: int = ROUNDS,
    level: float = LEVEL,
) -> Estimate:
    """The measure of all rows with an interval: value ± t · standard error, the latter from resampled units.

    measure: of the rows chosen, int [n], to a number. unit: int [N] for each row what it is drawn with: rows of one
    prompt, or votes of one rater, are not independent and are drawn together (Davison & Hinkley 1997, section 3.8).

    The percentiles of the resampled values are not used: a Fréchet distance, for example, rises with each row that is
    drawn twice, and its percentiles may lie above its value altogether. ValueError from `measure` passes through.
    """
    rows_of = [np.flatnonzero(unit == key) for key in np.unique(unit)]
    n = len(rows_of)
    value = float(measure(np.arange(len(unit))))
    if n < 3:
        return Estimate(value, None, None, n)
    values = np.array(
        [measure(np.concatenate([rows_of[i] for i in rng.integers(n, size=n)])) for _ in range(rounds)], dtype=float
    )
    margin = student.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) * np.sqrt(n / (n - 1))
    return Estimate(value, float(value - margin), float(value + margin), n)
