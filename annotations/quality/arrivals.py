"""Signs that a rater is a script or one of several identities of a person; and when a screen's pass rate has changed.

Missing data never counts against a rater: without a known connection the result is "unknown".
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import fisher_exact

FAIL_AT = 0.8
CROWDED = 0.3  # several raters from one connection within the hour, as in a classroom
TWINS = 0.6  # their answers on shared clip pairs are nearly the same
HASTE = 0.3  # half of the answers are faster than human reaction

CROWD = 3
TWIN_SHARE, TWIN_PAIRS = (
    0.95,
    10,
)  # two honest raters agree on 60 to 75 % of pairs, on 10 of 10 with a chance under 6 %
REACTION_MS = 200

ALARM_P, ALARM_CHANGE = 0.001, 0.1


@dataclass(frozen=True)
class Risk:
    """result: "pass", "fail" (score >= FAIL_AT) or "unknown" (the connection is). score in [0, 1] or None.
    signals: the weight of each that is present."""

    result: str
    score: float | None
    signals: dict[str, float]


@dataclass(frozen=True)
class PassRate:
    """Shares that passed, before and now (None where nobody was screened), Fisher's p, and whether to raise an
    alarm."""

    before: float | None
    now: float | None
    p: float
    moved: bool


def risk(
    *,
    arrivals_same_connection: int | None,
    twin_agreement: float | None = None,
    twin_pairs: int = 0,
    median_decision_ms: float | None = None,
) -> Risk:
    """Risk that a rater is a script or a second identity: a noisy-or of the signals above.

    arrivals_same_connection: raters, this one included, that arrived over the same hashed connection within the
    hour; None where the connection is not known. twin_agreement: the largest share of the same answers with one of
    them, over twin_pairs clip pairs that both judged. median_decision_ms: since the gate opened.

    1 - product of (1 - signal). No single signal reaches FAIL_AT: it takes a crowded connection, twins and haste
    together, and equal answers count only between raters of one connection. An impossible pace is not a signal: the
    server refuses votes that report more listening than there was time for.
    """
    if not twin_pairs >= 0:
        raise ValueError(f"twin_pairs is a number of at least 0, not {twin_pairs}")
    if arrivals_same_connection is None:
        return Risk("unknown", None, {})
    crowded = arrivals_same_connection >= CROWD
    alike = twin_agreement is not None and twin_pairs >= TWIN_PAIRS and twin_agreement >= TWIN_SHARE
    present = {
        "crowded": CROWDED if crowded else 0.0,
        "twins": TWINS if alike and arrivals_same_connection > 1 else 0.0,
        "haste": HASTE if median_decision_ms is not None and median_decision_ms < REACTION_MS else 0.0,
    }
    clear = 1.0
    for weight in present.values():
        clear *= 1 - weight
    signals = {name: weight for name, weight in present.items() if weight}
    score = 1 - clear
    return Risk("fail" if score >= FAIL_AT else "pass", score, signals)


def pass_rate_moved(passed_before: int, n_before: int, passed_now: int, n_now: int) -> PassRate:
    """Has the share that passes a screen moved? Fisher's exact test at ALARM_P, and a change of at least
    ALARM_CHANGE: a screen that broke changes much, and a large study makes any change significant."""
    for passed, n in ((passed_before, n_before), (passed_now, n_now)):
        if not 0 <= passed <= n:
            raise ValueError(f"{passed} passed of {n} screened: counts are from 0 to the number screened")
    before = passed_before / n_before if n_before else None
    now = passed_now / n_now if n_now else None
    if before is None or now is None:
        return PassRate(before, now, 1.0, False)
    table = [[passed_before, n_before - passed_before], [passed_now, n_now - passed_now]]
    p = float(fisher_exact(np.array(table)).pvalue)
    return PassRate(before, now, p, p <= ALARM_P and abs(now - before) >= ALARM_CHANGE)
