"""How many bad raters the rules find, how many good ones they wrong, and whether the board is the better for it."""

from dataclasses import replace

import numpy as np

from annotations.quality import screen
from annotations.quality.screening import pooled
from scoring.stats.bradley_terry import fit
from tests.casts.rater_simulation import study

SEEDS = range(10)
WAVE_SEEDS = range(5)  # twenty screenings each
WAVE = 6  # raters at work at the same time
L2 = 0.05
CONDITIONS = {
    "all evidence": {},
    "without decision times": {"times": False},
    "raters differ in taste": {"taste_sd": 0.3},
}


def run(seeds=SEEDS) -> list[dict]:
    """One row per condition: shares flagged, pooled over seeds, and the board's mean error (rms, logits) to the
    planted ratings with all votes and with the flagged raters' left out."""
    rows = [measure(name, seeds, **options) for name, options in CONDITIONS.items()]
    return [*rows, measure("as raters come", WAVE_SEEDS, screened_by=in_waves)]


def at_once(one):
    return screen(one.raters, one.truth.size, fit_theta, l2=L2)


def in_waves(one):
    """As `scoring.screening.sweep` runs: raters come some at a time and are judged on half of their votes, then on all;
    a flag stays, and the look at the end is taken once. (There, an old rater is judged again if the board moves.)"""
    flagged, looked = np.zeros((2, len(one.raters)), dtype=bool)
    for there in range(WAVE, len(one.raters) + 1, WAVE):
        for done in (False, True):
            at_work = np.arange(there) >= there - WAVE
            raters = [
                half(votes) if new and not done else votes for votes, new in zip(one.raters, at_work, strict=False)
            ]
            owed = ~looked[:there]
            found = screen(
                raters, one.truth.size, fit_theta, l2=L2, flagged=flagged[:there], judged=owed,
                finished=owed & (done | ~at_work),
            )  # fmt: skip
            judged = np.array([verdict is not None and verdict.result != "unknown" for verdict in found.verdicts])
            looked[:there] |= judged & (done | ~at_work)
            flagged[:there] = found.flagged
    return found


def half(votes):
    """The first half of a rater's votes, before any check."""
    n = len(votes.preference) // 2
    return replace(
        votes, a=votes.a[:n], b=votes.b[:n], preference=votes.preference[:n], gold_passed=None, repeat_first=None,
        repeat_second=None, decision_ms=None if votes.decision_ms is None else votes.decision_ms[:n],
    )  # fmt: skip


def measure(name, seeds, screened_by=at_once, **options) -> dict:
    studies = [study(seed, **options) for seed in seeds]
    screened = [screened_by(one) for one in studies]
    kind = np.concatenate([one.kind for one in studies])
    flagged = np.concatenate([one.flagged for one in screened])
    before = [fit_theta(*pooled(one.raters, one.truth.size)[:3], one.truth.size) for one in studies]
    return {
        "condition": name,
        "seeds": len(studies),
        "careless_flagged": share(flagged[kind == "careless"]),
        "adversarial_flagged": share(flagged[kind == "adversarial"]),
        "bad_flagged": share(flagged[kind != "good"]),
        "good_flagged": share(flagged[kind == "good"]),
        "rmse_without_flags": error(before, studies),
        "rmse_with_flags": error([one.theta for one in screened], studies),
    }


def fit_theta(a, b, outcome, n_systems):
    return fit(a, b, outcome, n_systems, l2=L2).theta


def share(flagged) -> float:
    return round(float(flagged.mean()), 3)


def error(boards, studies) -> float:
    return round(
        float(
            np.mean([np.sqrt(np.mean((board - one.truth) ** 2)) for board, one in zip(boards, studies, strict=True)])
        ),
        3,
    )
