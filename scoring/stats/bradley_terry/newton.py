"""The minimum of an objective, by Newton's method with a curvature to fall back on, and the covariance there."""

from typing import Protocol

import numpy as np
from scipy.linalg import LinAlgError

from .groups import Gauge
from .results import Floats

MAX_STEPS = 500
STEP_TOLERANCE = 1e-8  # logits; Newton's error after a step this short is of the order of its square
LAST_STEP = 1e-4  # taken on trust, where it promises so small a share of the value that rounding hides the fall
UNTOLD = 1e-12


class Objective(Protocol):
    """A penalised negative log-likelihood of the parameters [n + k]. l2: the ridge on the ratings."""

    @property
    def l2(self) -> float: ...
    def value(self, at: Floats) -> float: ...
    def gradient(self, at: Floats) -> Floats: ...
    def hessian(self, at: Floats) -> Floats: ...
    def safe_curvature(self, at: Floats) -> Floats:
        """Positive where the Hessian is not, or is lost to rounding."""
        ...

    def reach(self, step: Floats) -> float:
        """The largest change of a margin that the step makes, logits."""
        ...


def minimise(objective: Objective, start: Floats, gauge: Gauge, last_step: float = LAST_STEP) -> tuple[Floats, bool]:
    """(where, whether the minimum was reached)."""
    at, value = start, objective.value(start)
    for _ in range(MAX_STEPS):
        gradient, moved = objective.gradient(at), None
        for curvature in (objective.hessian, objective.safe_curvature):
            try:
                step = gauge.solve(curvature(at), -gradient, objective.l2)
            except LinAlgError:
                if curvature == objective.safe_curvature:
                    raise
                continue
            slope = float(gradient @ step)
            if np.abs(step).max() <= max(STEP_TOLERANCE, last_step * (-slope < UNTOLD * value)):
                return gauge.project(at + step), True
            moved = _descend(objective, at, step, value, slope)
            if moved is not None:
                break
        if moved is None:  # no lower value can be told from this one
            return at, bool(abs(slope) <= 1e-9 * value)
        at, value = moved
    return at, False


def _descend(objective: Objective, at: Floats, step: Floats, value: float, slope: float) -> tuple[Floats, float] | None:
    """Backtrack from the full step until the value falls as the slope promises; None if it never does.

    The fraction log(1 + r) / r of a Newton step, r the largest change of a margin, is known to descend: a
    logistic's third derivative is at most its second (Sun & Tran-Dinh 2019, arXiv 1703.04599).
    """
    reach = objective.reach(step)
    sure = np.log1p(reach) / reach if reach > 0 else 1.0
    fraction = 1.0
    while fraction > sure / 64:
        there = at + fraction * step
        with np.errstate(over="ignore", invalid="ignore"):  # a wild full step overflows, and is refused
            new = objective.value(there)
        if new < value + 1e-4 * fraction * slope:
            return there, new
        fraction /= 4
    return None


def sandwich(objective: Objective, at: Floats, gauge: Gauge, meat: Floats, ridge: Floats) -> Floats:
    """P A^-1 (meat + 2 l2 I) A^-1 P with A the Hessian; I is `ridge` [n + k]: 1 for what the ridge acts on, else 0."""
    values, vectors = np.linalg.eigh(meat + 2 * objective.l2 * np.diag(ridge))
    root = gauge.solve(objective.hessian(at), vectors * np.sqrt(np.maximum(values, 0)), objective.l2)
    return root @ root.T  # as a square, so that rounding makes no variance negative
