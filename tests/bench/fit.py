"""The board's fit, with rater-clustered errors, against evalica's point estimate and arena-rank's sandwich.

arena-rank pins a NumPy of its own, so it runs in another interpreter, on the same votes in the same run: name one that
has it in ARENA_RANK_PYTHON, or its columns stay empty.
"""

import json
import os
import subprocess
import tempfile
import time
import tracemalloc
from pathlib import Path

import evalica
import numpy as np

from scoring.stats.bradley_terry import fit

SYSTEMS, RATERS = 200, 50_000
SIZES = (1_000_000, 10_000_000)
REPEATS = 3
OTHERS = Path(__file__).with_name("arena_rank_fit.py")


def run() -> list[dict]:
    """One row per size: seconds (best of three) of `fit`, of evalica and of arena-rank, called as by their users; how
    many times longer theirs took; `fit`'s peak memory in MiB, its input included; the largest differences of ratings.
    """
    return [_row(size) for size in SIZES]


def _row(size: int) -> dict:
    a, b, outcome, rater = _votes(size)
    ours, theirs = [], []
    for _ in range(REPEATS):  # taken in turns, so that a busy machine is busy for each
        seconds, board = _timed(fit, a, b, outcome, SYSTEMS, cluster=rater)
        ours.append(seconds)
        seconds, log_scores = _evalica(a, b, outcome)
        theirs.append(seconds)
    best = min(ours)
    arena_rank_s, ratings = _arena_rank(a, b, outcome)
    return {
        "votes": size,
        "systems": SYSTEMS,
        "raters": RATERS,
        "fit_s": round(best, 3),
        "evalica_s": round(min(theirs), 3),
        "evalica_times": round(min(theirs) / best, 2),
        "arena_rank_s": arena_rank_s and round(arena_rank_s, 3),
        "arena_rank_times": arena_rank_s and round(arena_rank_s / best, 1),
        "fit_peak_mib": round(_peak_mib(a, b, outcome, rater)),
        "from_evalica": float(np.abs(log_scores - board.theta).max()),
        "from_arena_rank": ratings and float(np.abs(ratings - board.theta).max()),
    }


def _votes(size: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    ability = rng.normal(size=SYSTEMS)
    a = rng.integers(SYSTEMS, size=size)
    b = (a + rng.integers(1, SYSTEMS, size=size)) % SYSTEMS
    outcome = (rng.random(size) < 1 / (1 + np.exp(ability[b] - ability[a]))).astype(float)
    outcome[rng.random(size) < 0.1] = 0.5
    return a, b, outcome, rng.integers(RATERS, size=size)


def _evalica(a, b, outcome):
    winner = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    lists = a.tolist(), b.tolist(), [winner[y] for y in outcome.tolist()]
    seconds, reference = _timed(evalica.bradley_terry, *lists, tolerance=1e-8)
    log_scores = np.log(reference.scores.sort_index().to_numpy())
    return seconds, log_scores - log_scores.mean()


def _arena_rank(a, b, outcome):
    """(seconds, ratings), or (None, None) where nobody said which interpreter has it."""
    python = os.environ.get("ARENA_RANK_PYTHON")
    if not python:
        return None, None
    with tempfile.TemporaryDirectory() as folder:
        votes = Path(folder, "votes.npz")
        np.savez(votes, a=a, b=b, outcome=outcome)
        run = subprocess.run([python, OTHERS, votes, str(REPEATS)], check=True, stdout=subprocess.PIPE, timeout=900)
    result = json.loads(run.stdout)
    return result["seconds"], result["ratings"]


def _timed(function, *args, **kwargs):
    start = time.perf_counter()
    result = function(*args, **kwargs)
    return time.perf_counter() - start, result


def _peak_mib(a, b, outcome, rater) -> float:
    given = sum(array.nbytes for array in (a, b, outcome, rater))
    tracemalloc.start()
    try:
        fit(a, b, outcome, SYSTEMS, cluster=rater)
        return (given + tracemalloc.get_traced_memory()[1]) / 2**20
    finally:
        tracemalloc.stop()
