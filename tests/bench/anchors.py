"""Anchors: how often their intervals hold, how well planted biases are found, and how many anchor pairs a planted drift
of the reward model takes to be undone.

The drift: a reward model that predicts unbiased votes as well as anyone could is made to flatter each system by N(0, 1)
logits more or less. Accuracy is on decided votes between other clips: of the model as it is (0 pairs), corrected by K
anchor pairs, and without the drift.
"""

import numpy as np
from scipy.special import expit

from scoring.stats.anchor_drift import AnchorPairs, fit
from scoring.stats.anchors import Anchors

SYSTEMS, QUALITY, RATERS = 12, 1.5, 40
NAMES = np.array([f"system {n}" for n in range(SYSTEMS)])
BOARDS, DRIFTS, HELD_OUT = 1000, 200, 4000
KS = (0, 12, 25, 50, 100, 200, 400, 800, 1600, 3200)


def run():
    return [*coverage(), *drift()]


def pairs(rng, n, bias):
    """n decided votes whose rewards carry the bias [SYSTEMS]; without it they predict as well as can be."""
    a = rng.integers(SYSTEMS, size=n)
    b = (a + rng.integers(1, SYSTEMS, size=n)) % SYSTEMS
    quality = QUALITY * rng.normal(size=(2, n))
    wins = rng.random(n) < expit(quality[0] - quality[1])
    rater = rng.integers(RATERS, size=n)
    return AnchorPairs(
        quality[0] + bias[a], quality[1] + bias[b], NAMES[a], NAMES[b], wins.astype(float), rater, np.arange(n)
    )


def coverage(n=600):
    """Rows for biases pinned to a system without a ridge, and drawn from the ridge's own prior and centred."""
    rows = []
    for what, anchor in (("pinned, l2 = 0", 0), ("centred, l2 = 1", None)):
        covered, error = np.empty((2, BOARDS))
        for board in range(BOARDS):
            rng = np.random.default_rng([3, board])
            bias = rng.normal(scale=np.sqrt(0.5), size=SYSTEMS)
            bias -= bias.mean() if anchor is None else bias[anchor]
            anchors, l2, pinned = fit(pairs(rng, n, bias), None if anchor is None else NAMES[anchor])
            assert (l2, pinned) == ((1, False) if anchor is None else (0, True))
            found, interval, free = anchors.bias, anchors.interval(), [i for i in range(SYSTEMS) if i != anchor]
            covered[board] = np.mean([interval[NAMES[i]][0] <= bias[i] <= interval[NAMES[i]][1] for i in free])
            error[board] = np.sqrt(np.mean([(found[NAMES[i]] - bias[i]) ** 2 for i in free]))
        rows.append(row(what, n, covered=covered.mean(), bias_error=error.mean(), runs=BOARDS))
    return rows


def drift():
    """A row per K, the mean over planted drifts."""
    accuracy, error, ceiling = np.zeros((3, len(KS)))
    for run_ in range(DRIFTS):
        rng = np.random.default_rng([5, run_])
        bias = rng.normal(size=SYSTEMS)
        bias -= bias.mean()
        many, other = pairs(rng, max(KS), bias), pairs(rng, HELD_OUT, bias)
        best = accuracy_of(other, Anchors(dict(zip(NAMES, bias, strict=True)), {}, {}))
        for i, k in enumerate(KS):
            anchors = fit(many[:k])[0] if k else Anchors({}, {}, {})
            accuracy[i] += accuracy_of(other, anchors) / DRIFTS
            found = np.array([anchors.bias.get(name, 0.0) for name in NAMES])
            error[i] += np.sqrt(((found - bias) ** 2).mean()) / DRIFTS
            ceiling[i] += best / DRIFTS
    return [
        row("drift N(0, 1)", k, accuracy=accuracy[i], without_drift=ceiling[i], bias_error=error[i], runs=DRIFTS)
        for i, k in enumerate(KS)
    ]


def accuracy_of(of, anchors):
    bias_a, bias_b = (
        np.array([anchors.bias.get(name, 0.0) for name in column.tolist()]) for column in (of.system_a, of.system_b)
    )
    return float((((of.score_a - bias_a) > (of.score_b - bias_b)) == of.a_wins).mean())


def row(what, k, runs, **figures):
    columns = ("covered", "bias_error", "accuracy", "without_drift")
    known = {name: round(float(figures[name]), 4) if name in figures else "-" for name in columns}
    return {"what": what, "anchor_pairs": k, **known, "runs": runs}
