"""Ratings of votes and rewards: what the votes' ratings are, with intervals that hold whatever the reward is worth."""

import numpy as np
import pytest
from scipy.optimize import minimize

from scoring.bradley_terry import fit
from scoring.prediction_powered import fit_prediction_powered

from .simulated_rewards import SYSTEMS, USELESS, Arena, arena_of_accuracy, within_pair_correlation

L2, BOARDS = 0.05, 500
MANY = 500_000
GOOD, POOR = Arena(noise=1.2, scale=0.5), Arena(noise=USELESS)
BACKWARDS = Arena(noise=1.2, scale=-0.5)


def board(arena, seed, n_raters=30, votes_each=12, n_prompts=120, **settings):
    """The powered board of `n_raters` on votes, and on all pairs of prompts that share their clips."""
    rng = np.random.default_rng(seed)
    rater = np.repeat(np.arange(n_raters), votes_each)
    votes, unvoted = arena.votes(rng, rater), arena.prompts(rng, n_prompts)
    return fit_prediction_powered(
        *votes, *unvoted[:3], SYSTEMS, l2=L2, cluster=rater, unvoted_cluster=unvoted[3], **settings
    )


@pytest.fixture(scope="module")
def limit():
    """What the board itself converges to; no reward is asked."""
    a, b, outcome, _ = GOOD.votes(np.random.default_rng(2026), np.arange(MANY))
    result = fit(a, b, outcome, SYSTEMS, l2=1e-9)
    assert result.stderr.max() < 0.01
    return result.theta


@pytest.mark.parametrize("arena", [GOOD, POOR, BACKWARDS], ids=["a good reward", "a useless one", "one turned round"])
def test_intervals_cover_the_boards_own_limit_in_93_to_97_percent(arena, limit):
    covered = ratio = 0.0
    for seed in range(BOARDS):
        result = board(arena, seed)
        low, high = result.interval(0.95)
        covered += ((low <= limit) & (limit <= high)).mean() / BOARDS
        ratio += result.width_ratio.mean() / BOARDS
    assert 0.93 <= covered <= 0.97, f"covered {covered:.3f}"
    assert ratio < (0.96 if arena is GOOD else 1.005), f"{ratio:.3f} as wide as the votes' alone"


def test_intervals_are_as_narrow_as_the_correlation_of_votes_and_rewards_allows():
    arena, rater, ratio = arena_of_accuracy(0.8, n=50_000), np.repeat(np.arange(100), 10), []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        votes, unvoted = arena.votes(rng, rater), arena.unvoted(rng, 10 * rater.size)
        ratio.append(fit_prediction_powered(*votes, *unvoted, SYSTEMS, l2=L2, cluster=rater).width_ratio.mean())
    rho = within_pair_correlation(arena, 200_000)
    assert rho > 0.6
    assert np.mean(ratio) <= 1.02 * np.sqrt(1 - rho**2 * 10 / 11)
