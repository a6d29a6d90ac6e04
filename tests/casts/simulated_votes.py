"""Votes drawn from a Bradley-Terry model, with ties and raters."""

import numpy as np


def simulate(n=6, size=600, seed=0, ties=0.2, raters=40):
    """Votes a, b, outcome and rater, on a board where everybody has met and beaten everybody."""
    rng = np.random.default_rng(seed)
    ability = rng.normal(size=n)
    a = rng.integers(n, size=size)
    b = (a + rng.integers(1, n, size=size)) % n
    outcome = (rng.random(size) < 1 / (1 + np.exp(ability[b] - ability[a]))).astype(float)
    outcome[rng.random(size) < ties] = 0.5
    return a, b, outcome, rng.integers(raters, size=size) ** 2
