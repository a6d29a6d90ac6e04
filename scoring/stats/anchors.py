"""How far off a reward model is for each system, from votes on clips it has scored.

One idea: a reward is a clip's quality plus an error that the clips of one system share. The scores in
P(a wins) = sigmoid((score_a - bias_a) - (score_b - bias_b)) are known, so the biases are Bradley-Terry
ratings of opposite sign on top of an offset, and what `bradley_terry` knows about error bars holds for them.
Source: the per-system calibration of TuneJury (arXiv 2606.17006).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from scoring.stats.bradley_terry import Fit, NoFiniteEstimate, fit
from scoring.stats.bradley_terry.results import Labels


@dataclass(frozen=True, eq=False)
class Anchors:
    """Each system's bias, in units of the reward (logits), with what supports it.

    bias, stderr, n_pairs: by system; n_pairs counts the pairs of weight > 0 that the system took part in.
    fit: the fit behind them (theta = -bias, in the same order); None where they were read back from a table.
    """

    bias: Mapping[Any, float]
    stderr: Mapping[Any, float]
    n_pairs: Mapping[Any, int]
    fit: Fit | None = None

    def correct(self, score: float, system: Any) -> float:
        """The score without its system's bias. A system that no anchor pair has seen has bias 0."""
        if not isfinite(score):
            raise ValueError(f"the score of system {system!r} is {score}, not a finite number")
        return float(score - self.bias.get(system, 0.0))

    def probability(self, score_a: float, score_b: float, system_a: str, system_b: str) -> float:
        """Calibrated probability that a listener prefers a."""
        return float(expit(self.correct(score_a, system_a) - self.correct(score_b, system_b)))

    def interval(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """{system: (low, high)} of the bias, by `Fit.interval`."""
        if self.fit is None:
            raise ValueError("these biases came without their fit, so their intervals cannot be computed")
        low, high = self.fit.interval(level)
        ends = zip((-high).tolist(), (-low).tolist(), strict=True)  # the sign turns the interval round
        return dict(zip(self.bias, ends, strict=True))


def fit_anchors(
    score_a: ArrayLike,
    score_b: ArrayLike,
    system_a: Sequence[str],
    system_b: Sequence[str],
    a_wins: ArrayLike,
    *,
    l2: float = 1.0,
    anchor_system: str | None = None,
    cluster: Labels | None = None,
    weight: ArrayLike | None = None,
) -> Anchors:
    """Fit the biases to anchor pairs: scores, system labels and whether a won, [V] each; ties are left out.

    cluster: [V] hashable labels, the raters; each pair its own without it. weight: float [V] >= 0, default 1.

    Minimises the weighted cross-entropy + l2 ||bias||^2. Biases sum to zero within each connected group; with
    `anchor_system` that system's is held at 0 instead, and its group is relative to it.

    Raises ValueError for a score that is not finite, an outcome that is not 0 or 1, a pair of one system with
    itself, an unknown anchor system; NoFiniteEstimate, naming systems, if l2 = 0 and wins do not settle it.
    """
    score_a, score_b, outcome = _scores("score_a", score_a), _scores("score_b", score_b), _outcomes(a_wins)
    sizes = [len(column) for column in (score_a, score_b, system_a, system_b, outcome)]
    if len(set(sizes)) > 1:
        raise ValueError(f"scores, systems and outcomes are one per pair, but their lengths are {sizes}")
    systems = sorted({*system_a, *system_b})
    index = {system: i for i, system in enumerate(systems)}
    if anchor_system is not None and anchor_system not in index:
        raise ValueError(f"anchor system {anchor_system!r} is in no anchor pair; the systems are {systems}")
    if same := [system for system, other in zip(system_a, system_b, strict=True) if system == other]:
        raise ValueError(f"an anchor pair compares {same[0]!r} with itself: it says nothing about the bias")
    a = np.array([index[system] for system in system_a], dtype=np.intp)
    b = np.array([index[system] for system in system_b], dtype=np.intp)
    pin = None if anchor_system is None else index[anchor_system]
    try:
        result = fit(
            a,
            b,
            outcome,
            len(systems),
            offset=score_a - score_b,
            weight=weight,
            cluster=cluster,
            l2=l2,
            pin=pin,
        )
    except NoFiniteEstimate as error:
        groups = tuple(tuple(systems[i] for i in group) for group in error.groups)
        raise NoFiniteEstimate(groups, error.reason) from None

    def by_system(values: np.ndarray) -> dict[str, Any]:
        return dict(zip(systems, values.tolist(), strict=True))

    counts = slice(None) if weight is None else np.asarray(weight) > 0
    n_pairs = np.bincount(np.concatenate([a[counts], b[counts]]), minlength=len(systems))
    bias = 0.0 - result.theta  # bias is subtracted where theta is added; this way round, 0 has no minus sign
    return Anchors(by_system(bias), by_system(result.stderr), by_system(n_pairs), result)


def _scores(name: str, values: ArrayLike) -> np.ndarray:
    scores = np.asarray(values, dtype=np.float64)
    if not np.isfinite(scores).all():
        pair = int(np.argmin(np.isfinite(scores)))
        raise ValueError(f"{name}[{pair}] is {scores[pair]}, not a finite number")
    return scores


def _outcomes(a_wins: ArrayLike) -> np.ndarray:
    outcome = np.asarray(a_wins, dtype=np.float64)
    if not np.isin(outcome, (0, 1)).all():
        pair = int(np.argmin(np.isin(outcome, (0, 1))))
        raise ValueError(f"a_wins[{pair}] is {outcome[pair]}, not 0 or 1: leave ties out")
    return outcome
