"""Does the reward model agree with the votes, system by system? As it is, and with its biases taken off."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from annotations.proportions import wilson
from scoring.metrics import preference
from scoring.stats.rounding import rounded


def agreement(
    a: np.ndarray,
    b: np.ndarray,
    outcome: np.ndarray,
    systems: Sequence[str],
    reward_a: np.ndarray,
    reward_b: np.ndarray,
    bias: Mapping[str, float],
) -> dict[str, Any] | None:
    """Accuracy and calibration of reward margins on decided votes whose clips both have a reward.

    a, b: int [V] indices into systems; outcome: float [V]; reward_a, reward_b: float [V], NaN where there is none;
    bias: {system: float} of the anchors, in logits; a system without one has none to take off.
    A vote counts for both its systems. The biases were fitted to these votes, so what they gain here is an upper bound
    of what they gain on new ones. None where there is no such vote.
    """
    decided = (outcome == 0) | (outcome == 1)
    used = decided & np.isfinite(reward_a) & np.isfinite(reward_b)
    if not used.any():
        return None
    offset = np.array([bias.get(name, 0.0) for name in systems])
    a, b, target = a[used], b[used], outcome[used]
    raw = reward_a[used] - reward_b[used]
    margins = {"rewards": raw, "corrected": raw - offset[a] + offset[b]}

    def figures(which: np.ndarray) -> dict[str, Any]:
        n = int(which.sum())
        return {"n": n} | {name: _summary(margin[which], target[which]) for name, margin in margins.items()}

    by_system = {
        name: figures((a == index) | (b == index))
        for index, name in enumerate(systems)
        if ((a == index) | (b == index)).any()
    }
    everything = figures(np.ones(len(target), bool))
    return everything | {"unscored": int((decided & ~used).sum()), "by_system": by_system}


def _summary(margin: np.ndarray, target: np.ndarray) -> dict[str, float | None]:
    accuracy = preference.accuracy(margin, target)
    ece = preference.expected_calibration_error(margin, target)
    assert accuracy is not None and ece is not None, "decided votes were chosen, and there is one"
    low, high = wilson(accuracy * len(target), len(target)) or (0.0, 1.0)
    return {"accuracy": rounded(accuracy), "low": rounded(low), "high": rounded(high), "ece": rounded(ece)}
