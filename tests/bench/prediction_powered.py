"""How wide prediction-powered intervals are against those of the votes alone, and how often they hold.

N = 10 n unvoted clip pairs. The bound is 1.02 sqrt(1 - rho^2 N / (n + N)), rho the correlation of votes and the reward
model's credits within system pairs, over half a million votes. Rows with raters' tastes are beyond it: what a
rater's votes share no reward explains, so that rho overstates what there is to gain.
"""

import numpy as np

from scoring.stats.bradley_terry import fit
from scoring.stats.prediction_powered import fit_prediction_powered
from tests.casts.simulated_rewards import SYSTEMS, USELESS, Arena, arena_of_accuracy, within_pair_correlation

BOARDS, RATERS, VOTES_EACH, TIMES, L2 = 1000, 60, 15, 10, 0.05
MANY = 2_000_000


def run():
    rows = []
    for taste in (0.0, 0.6):
        for accuracy in (0.6, 0.7, 0.8, None):
            arena = Arena(USELESS, taste) if accuracy is None else arena_of_accuracy(accuracy, taste)
            rows.append({"reward": "useless" if accuracy is None else f"{accuracy:.0%}", "taste": taste, **of(arena)})
    return rows


def of(arena):
    """The row of an arena: mean width against the votes', the bound on it, and coverage of the votes' own limit."""
    limit, rater = limit_of(arena), np.repeat(np.arange(RATERS), VOTES_EACH)
    ratio, covered, alone, power = np.empty((4, BOARDS))
    for board in range(BOARDS):
        rng = np.random.default_rng([7, board])
        votes, unvoted = arena.votes(rng, rater), arena.unvoted(rng, TIMES * rater.size)
        result = fit_prediction_powered(*votes, *unvoted, SYSTEMS, l2=L2, cluster=rater)
        ratio[board], power[board] = result.width_ratio.mean(), result.power
        covered[board], alone[board] = (holds(one, limit) for one in (result, result.votes_only))
    rho = within_pair_correlation(arena)
    return {
        "rho": round(rho, 3),
        "power": round(float(power.mean()), 3),
        "width": round(float(ratio.mean()), 4),
        "at_most": round(1.02 * np.sqrt(1 - rho**2 * TIMES / (1 + TIMES)), 4),
        "covered": round(float(covered.mean()), 4),
        "votes_covered": round(float(alone.mean()), 4),
        "boards": BOARDS,
    }


def holds(result, limit):
    low, high = result.interval(0.95)
    return ((low <= limit) & (limit <= high)).mean()


def limit_of(arena):
    """What the board converges to: one huge board, every vote another rater's."""
    a, b, outcome, _ = arena.votes(np.random.default_rng(2026), np.arange(MANY) if arena.taste else np.zeros(MANY, int))
    return fit(a, b, outcome, SYSTEMS, l2=1e-9).theta
