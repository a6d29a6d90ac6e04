"""May a candidate replace the live model? A judgement from margins on votes that neither has seen. No database.

The rule, all three at once: the candidate is right on more of the decided votes, McNemar's exact two-sided test finds
that to be more than luck at P_VALUE, and its expected calibration error is no larger. Of two equally good models the
candidate is promoted in at most half of P_VALUE: the test is two-sided, and only one of the sides promotes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from scoring.metrics import preference

P_VALUE = 0.05


@dataclass(frozen=True)
class Verdict:
    """A judgement with every number it rests on; accuracies and ECEs on the n_decided, log losses (nats) on all n
    votes, None where there is no vote to measure on. reasons: one sentence per part of the rule.

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

    candidate, live: float [N], each model's margin of the same votes: the log-odds that it gives a, calibrated or in
    its own word, reward(a) - reward(b); target: float [N], the credit of a, 1 or 0, 0.5 for a tie, which only the log
    losses count. A margin of 0 is right for nobody. Raises ValueError for different lengths, margins that are not
    finite and targets outside [0, 1].
    """
    candidate, live, target = (np.asarray(column, dtype=np.float64) for column in (candidate, live, target))
    mine: dict[str, Any] = preference.summarise(candidate, target)
    its: dict[str, Any] = preference.summarise(live, target)
    decided = target != 0.5
    test = preference.mcnemar(*(_right(margin[decided], target[decided]) for margin in (candidate, live)))
    more_right = test.n_only_a > test.n_only_b
    not_luck = test.p_value < P_VALUE
    calibrated = mine["ece"] is not None and mine["ece"] <= its["ece"]
    return Verdict(
        promote=more_right and not_luck and calibrated,
        more_right=more_right,
        not_luck=not_luck,
        calibrated=calibrated,
        n=mine["n"],
        n_decided=mine["n_decided"],
        candidate_accuracy=mine["accuracy"],
        live_accuracy=its["accuracy"],
        n_only_candidate=test.n_only_a,
        n_only_live=test.n_only_b,
        p_value=test.p_value,
        candidate_ece=mine["ece"],
        live_ece=its["ece"],
        candidate_log_loss=mine["log_loss"],
        live_log_loss=its["log_loss"],
        reasons=_reasons(mine, its, test, more_right, not_luck, calibrated),
    )


def _right(margin: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.sign(margin) == np.sign(target - 0.5)


def _reasons(
    mine: dict[str, Any],
    its: dict[str, Any],
    test: preference.McNemar,
    more_right: bool,
    not_luck: bool,
    calibrated: bool,
) -> tuple[str, ...]:
    if not mine["n_decided"]:
        return ("There is no decided vote that neither model has seen: nothing to judge on.",)
    return (
        f"Of {mine['n_decided']} decided votes that neither has seen the candidate gets {mine['accuracy']:.1%} right, "
        f"the live model {its['accuracy']:.1%}" + (": that is more." if more_right else ": that is not more."),
        f"The candidate alone is right on {test.n_only_a}, the live model alone on {test.n_only_b}: McNemar "
        f"p = {test.p_value:.2g}, "
        + ("more than luck." if not_luck else f"which may be luck (it must be below {P_VALUE})."),
        f"The candidate's ECE is {mine['ece']:.4f}, the live model's {its['ece']:.4f}: "
        + ("no worse." if calibrated else "worse."),
    )
