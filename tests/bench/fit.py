"""The board's fit, with rater-clustered errors, against evalica's point estimate on the same votes."""

import time
import tracemalloc

import evalica
import numpy as np

from scoring.bradley_terry import fit

SYSTEMS, RATERS = 200, 50_000
SIZES = (100_000, 1_000_000)
REPEATS = 3


def run() -> list[dict]:
    """One row per size: seconds (best of three) of `fit` and evalica, called as by its users, their ratio,
    `fit`'s peak memory in MiB beyond its input, and the largest difference of ratings.
    """
    return [_row(size) for size in SIZES]


def _row(size: int) -> dict:
    a, b, outcome, rater = _votes(size)
    ours, theirs = [], []
    arguments = _as_lists(a, b, outcome)
    for _ in range(REPEATS):  # taken in turns, so that a busy machine is busy for each
        seconds, board = _timed(fit, a, b, outcome, SYSTEMS, cluster=rater)
        ours.append(seconds)
        seconds, reference = _timed(evalica.bradley_terry, *arguments, tolerance=1e-8)
        theirs.append(seconds)
    log_scores = np.log(reference.scores.sort_index().to_numpy())
    return {
        "votes": size,
        "systems": SYSTEMS,
        "raters": RATERS,
        "fit_s": round(min(ours), 3),
        "evalica_s": round(min(theirs), 3),
        "ratio": round(min(ours) / min(theirs), 2),
        "fit_peak_mib": round(_peak_mib(a, b, outcome, rater)),
        "max_difference": float(np.abs(log_scores - log_scores.mean() - board.theta).max()),
    }


def _votes(size: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    ability = rng.normal(size=SYSTEMS)
    a = rng.integers(SYSTEMS, size=size)
    b = (a + rng.integers(1, SYSTEMS, size=size)) % SYSTEMS
    outcome = (rng.random(size) < 1 / (1 + np.exp(ability[b] - ability[a]))).astype(float)
    outcome[rng.random(size) < 0.1] = 0.5
    return a, b, outcome, rng.integers(RATERS, size=size)


def _as_lists(a, b, outcome):
    winner = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    return a.tolist(), b.tolist(), [winner[y] for y in outcome.tolist()]


def _timed(function, *args, **kwargs):
    start = time.perf_counter()
    result = function(*args, **kwargs)
    return time.perf_counter() - start, result


def _peak_mib(a, b, outcome, rater) -> float:
    tracemalloc.start()
    try:
        fit(a, b, outcome, SYSTEMS, cluster=rater)
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()
