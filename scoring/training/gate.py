"""May a candidate replace the live model? Judged by both models' margins on votes that neither has seen. No database.

The rule has three parts, all of which must hold: the candidate is right on more of the decided votes; McNemar's exact
two-sided test finds this significant at P_VALUE; and its expected calibration error is no larger. An equally good
candidate is promoted with a probability of at most P_VALUE / 2: the test is two-sided, and only one side promotes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from scoring.metrics import preference

P_VALUE = 0.05


@dataclass(frozen=True)
class Verdict:
    """A judgement with every number it is based on; accuracies and ECEs on the n_decided, log losses (nats) on all n
    votes, None where there is no vote to measure on. reasons: one sentence for each part of the rule.

    more_right, not_luck, calibrated: the parts of the rule; promote: all of them.
    """

    promote: bool
    more_right: bool
    not_luck: bool
    calibrated: bool
    n: int
    n_decided: int
    candidate_accuracy: float | None
    live_accuracy: float | None
    n_only_candidate: int
    n_only_live: int
    p_value: float
    candidate_ece: float | None
    live_ece: float | None
    candidate_log_loss: float | None
    live_log_loss: float | None
    reasons: tuple[str, ...]


def judge(candidate: np.ndarray, live: np.ndarray, target: np.ndarray) -> Verdict:
    """The verdict on a candidate.

    candidate, live: float [N], each model's margins on the same votes: the log-odds that a wins, calibrated, or as they
    are, reward(a) - reward(b). target: float [N], the credit of a: 1 or 0, or 0.5 for a tie, which only the log losses
    count. A margin of 0 is never right. Raises ValueError for different lengths, margins that are not
    finite and targets outside [0, 1].
    """
    candidate, live, target = (np.asarray(column, dtype=np.float64) for column in (candidate, live, target))
    of_candidate: dict[str, Any] = preference.summarise(candidate, target)
    of_live: dict[str, Any] = preference.summarise(live, target)
    decided = target != 0.5
    test = preference.mcnemar(*(_right(margin[decided], target[decided]) for margin in (candidate, live)))
    more_right = test.n_only_a > test.n_only_b
    not_luck = test.p_value < P_VALUE
    calibrated = of_candidate["ece"] is not None and of_candidate["ece"] <= of_live["ece"]
    return Verdict(
        promote=more_right and not_luck and calibrated,
        more_right=more_right,
        not_luck=not_luck,
        calibrated=calibrated,
        n=of_candidate["n"],
        n_decided=of_candidate["n_decided"],
        candidate_accuracy=of_candidate["accuracy"],
        live_accuracy=of_live["accuracy"],
        n_only_candidate=test.n_only_a,
        n_only_live=test.n_only_b,
        p_value=test.p_value,
        candidate_ece=of_candidate["ece"],
        live_ece=of_live["ece"],
        candidate_log_loss=of_candidate["log_loss"],
        live_log_loss=of_live["log_loss"],
        reasons=_reasons(of_candidate, of_live, test, more_right, not_luck, calibrated),
    )


def _right(margin: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.sign(margin) == np.sign(target - 0.5)


def _reasons(
    of_candidate: dict[str, Any],
    of_live: dict[str, Any],
    test: preference.McNemar,
    more_right: bool,
    not_luck: bool,
    calibrated: bool,
) -> tuple[str, ...]:
    if not of_candidate["n_decided"]:
        return ("There is no decided vote that neither model has seen: nothing to judge on.",)
    return (
        f"Of {of_candidate['n_decided']} decided votes that neither has seen the candidate gets "
        f"{of_candidate['accuracy']:.1%} right, the live model {of_live['accuracy']:.1%}"
        + (": that is more." if more_right else ": that is not more."),
        f"The candidate alone is right on {test.n_only_a}, the live model alone on {test.n_only_b}: McNemar "
        f"p = {test.p_value:.2g}, "
        + ("more than luck." if not_luck else f"which may be luck (it must be below {P_VALUE})."),
        f"The candidate's ECE is {of_candidate['ece']:.4f}, the live model's {of_live['ece']:.4f}: "
        + ("no worse." if calibrated else "worse."),
    )
