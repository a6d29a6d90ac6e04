"""How many bad raters the rules find, how many good ones they wrong, and whether the board is the better for it."""

import numpy as np

from annotations.quality import screen
from annotations.quality.screening import pooled
from scoring.bradley_terry import fit
from tests.rater_simulation import study

SEEDS = range(10)
L2 = 0.05
CONDITIONS = {
    "all evidence": {},
    "without decision times": {"times": False},
    "raters differ in taste": {"taste_sd": 0.3},
}


def run(seeds=SEEDS) -> list[dict]:
    """One row per condition: shares flagged, pooled over seeds, and the board's mean error (rms, logits) to the
    planted ratings with all votes and with the flagged raters' left out."""
    return [measure(name, seeds, **options) for name, options in CONDITIONS.items()]


def measure(name, seeds, **options) -> dict:
    studies = [study(seed, **options) for seed in seeds]
    screened = [screen(one.raters, one.truth.size, fit_theta, l2=L2) for one in studies]
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
