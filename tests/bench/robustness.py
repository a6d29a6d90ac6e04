"""The robustness card from arrays: what a sweep computes after an edition."""

import resource
import time
from types import SimpleNamespace

import numpy as np
from scipy.special import expit

from scoring.stats import board_method, robustness

CASES = ((1_000, 12, 60), (100_000, 30, 3_000), (100_000, 200, 5_000))  # votes, systems, raters
TIES = 0.12


def run() -> list[dict]:
    """One row per size: seconds on the clock and of the processor; the fewest votes and raters, first as the influences
    promise and then as refitting confirms; peak memory of the process in MiB."""
    return [_row(*case) for case in CASES]


def _row(n_votes: int, n_systems: int, n_raters: int) -> dict:
    ballots = robustness.Ballots.of(_votes(n_votes, n_systems, n_raters), board_method.CONFIG)
    wall, cpu = time.perf_counter(), time.process_time()
    card = robustness.card(ballots, seed=1, other=ballots)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    votes, raters = card["removal"]["votes"], card["removal"]["raters"]
    return {
        "votes": n_votes,
        "systems": n_systems,
        "raters": n_raters,
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
        "votes_promised": votes["approximation"],
        "votes_confirmed": votes["fewest"],
        "raters_promised": raters["approximation"],
        "raters_confirmed": raters["fewest"],
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _votes(n_votes: int, n_systems: int, n_raters: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=n_systems) / 2
    a = rng.integers(n_systems, size=n_votes)
    b = (a + rng.integers(1, n_systems, size=n_votes)) % n_systems
    outcome = (rng.random(n_votes) < expit(theta[a] - theta[b])).astype(float)
    outcome[rng.random(n_votes) < TIES] = 0.5
    return SimpleNamespace(
        systems=[f"system {i:03}" for i in range(n_systems)],
        a=a,
        b=b,
        outcome=outcome,
        weight=np.ones(n_votes),
        cluster=rng.integers(n_raters, size=n_votes),
        covariates={},
        connection=np.full(n_votes, -1),
        network=np.full(n_votes, -1),
    )
