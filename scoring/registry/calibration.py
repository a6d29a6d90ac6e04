"""What a margin means as a probability, measured on held-out votes.

A margin is a difference of two rewards of one model, in logits: uncalibrated, the probability is sigmoid(margin). Votes
that training did not see show how good that is, and one number T, the temperature, corrects it: sigmoid(margin / T)
(Guo et al. 2017, section 4.2). Where votes show that a share of them follows no margin, however large, two numbers
correct it (see metrics.lapses). Both are fitted when a model is trained, on the validation side of its votes, and
measured on the test side. Models trained before lapses were introduced, and those for which nothing fits the validation
side, have a temperature that was fitted on the test side, and no measurement of it.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scoring.metrics.lapses import log_odds
from scoring.models import RewardModel
from scoring.stats.rounding import rounded

HELD_OUT = "test"  # the part of the votes, in RewardModel.metrics, that neither training nor early stopping saw
FITTED_ON = "validation"  # the part that calibrates; early stopping saw it, training did not
EXAMPLES = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)


@dataclass(frozen=True)
class Calibration:
    """temperature {value, low, high, n}, or None with the reason. low and high: the 95 % interval; high is None where
    it has no upper end; n: the decided votes of the side fitted_on, "validation" or "test", on which it was fitted.
    lapses {rate, temperature}: fitted on the same votes, to be used instead; None where these show no lapses.
    n_decided: votes of the test side, on which the rest was measured: bins of the reliability diagram, each with its
    n, under the plain sigmoid; ece of those bins; calibrated_ece of `probability`, None where that was fitted on the
    test side, too.
    """

    temperature: dict | None
    reason: str | None
    ece: float | None = None
    n_decided: int = 0
    bins: list[dict] = field(default_factory=list)
    lapses: dict | None = None
    calibrated_ece: float | None = None
    fitted_on: str | None = None

    def probability(self, margin: float | None) -> float | None:
        """P(the clip whose reward is larger by `margin` is preferred); None where the model was not measured."""
        return probability(margin, self.temperature["value"] if self.temperature else None, self.lapses)

    def log_odds(self, margin: ArrayLike) -> np.ndarray:
        """The log-odds, float64 [N], of `probability` for margins [N]: the margins themselves where the model was not
        measured. The signs do not change.
        """
        if self.lapses:
            return log_odds(margin, **self.lapses)
        return log_odds(margin, 0.0, self.temperature["value"] if self.temperature else 1.0)

    def log_odds_of_corrected(self, margin: ArrayLike) -> np.ndarray:
        """The log-odds, float64 [N], of margins [N] that an anchor fit's biases have corrected: with lapses where votes
        show them, else the margins themselves. No temperature without lapses, because the biases were fitted to the
        plain sigmoid of the corrected margins. That holds with lapses, too: these are then applied without a fit of
        their own.
        """
        return log_odds(margin, **self.lapses) if self.lapses else np.asarray(margin, dtype=np.float64)


def probability(
    margin: float | None, temperature: float | None, lapses: dict[str, float] | None = None
) -> float | None:
    """rate / 2 + (1 - rate) sigmoid(margin / T) with lapses {rate, temperature: T}, else sigmoid(margin / T), to 6
    decimals; None without either, or without a margin.
    """
    if margin is None:
        return None
    if lapses:
        return rounded(sigmoid(log_odds(margin, **lapses)))
    return None if temperature is None else rounded(sigmoid(margin / temperature))


def sigmoid(margin: Any) -> float:
    """P = 1 / (1 + exp(-margin)) of a float, without overflow."""
    return float(np.exp(-np.logaddexp(0.0, -margin)))


def calibration_of(model: RewardModel) -> Calibration:
    """The Calibration of a reward model, from the metrics stored with it."""
    metrics = model.metrics.get(HELD_OUT)
    if not metrics:
        return Calibration(None, f"{model.name} was not measured on held-out votes of this arena.")
    calibrated = metrics.get("calibrated") or {}
    side = FITTED_ON if calibrated else HELD_OUT
    temperature = model.metrics[side].get("temperature")  # without lapses `calibrated` has the same, with no interval
    reason = None
    if "temperature" not in model.metrics[side]:
        reason = f"{model.name} was measured before temperatures were fitted; a model trained now has one."
    elif temperature is None:
        reason = (
            f"No temperature fits the {metrics['n_decided']} decided held-out votes of {model.name}: "
            "its margins are never wrong there, or as often wrong as right."
        )
    return Calibration(
        temperature,
        reason,
        metrics.get("ece"),
        metrics.get("n_decided", 0),
        metrics.get("reliability", []),
        {name: calibrated[name] for name in ("rate", "temperature")} if calibrated.get("rate") else None,
        calibrated.get("ece"),
        side if temperature else None,
    )


def calibration_json(model: RewardModel) -> dict[str, Any]:
    """The response of GET /api/models/live/calibration/."""
    calibration = calibration_of(model)
    return {
        "reward_model": model.name,
        "temperature": calibration.temperature,
        "reason": calibration.reason,
        "lapses": calibration.lapses,
        "fitted_on": {"votes": calibration.fitted_on, "n": calibration.temperature["n"]}
        if calibration.temperature
        else None,
        "measured_on": {"votes": HELD_OUT, "n_decided": calibration.n_decided} if calibration.n_decided else None,
        "ece": calibration.ece,
        "calibrated_ece": calibration.calibrated_ece,
        "bins": calibration.bins,
        "examples": [
            {"margin": margin, "probability": calibration.probability(margin), "sigmoid": rounded(sigmoid(margin))}
            for margin in EXAMPLES
        ],
    }
