"""Ratings of votes and rewards estimate what the board does, with intervals that hold whatever the reward is worth."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit

from scoring.stats.bradley_terry import BOTH_BAD, fit
from scoring.stats.prediction_powered import fit_prediction_powered
from tests.casts.simulated_rewards import SYSTEMS, USELESS, Arena, arena_of_accuracy, within_pair_correlation

L2, BOARDS = 0.05, 500
MANY = 500_000
GOOD, POOR = Arena(noise=1.2, scale=0.5), Arena(noise=USELESS)
CAST = {
    "a good reward": GOOD,
    "a useless one": POOR,
    "one turned round": Arena(noise=1.2, scale=-0.5),
    "a good one, and clips of which both are bad": replace(GOOD, bad=-0.5),
}


def board(arena, seed, n_raters=30, votes_each=12, n_prompts=120, **settings):
    """The powered board of `n_raters` on votes, and on all pairs of prompts that share their clips."""
    rng = np.random.default_rng(seed)
    rater = np.repeat(np.arange(n_raters), votes_each)
    votes, unvoted = arena.votes(rng, rater), arena.prompts(rng, n_prompts)
    return fit_prediction_powered(
        *votes, *unvoted[:3], SYSTEMS, l2=L2, cluster=rater, unvoted_cluster=unvoted[3], **settings
    )


@cache
def limit_of(bad):
    """What the board itself converges to; no reward is asked."""
    a, b, outcome, _ = replace(GOOD, bad=bad).votes(np.random.default_rng(2026), np.arange(MANY))
    rated = outcome != BOTH_BAD
    result = fit(a[rated], b[rated], outcome[rated], SYSTEMS, l2=1e-9)
    assert result.stderr.max() < 0.01
    return result.theta


@pytest.mark.slow
@pytest.mark.parametrize("arena", CAST.values(), ids=CAST)
def test_intervals_cover_the_boards_own_limit_in_93_to_97_percent(arena):
    limit = limit_of(arena.bad)
    covered = ratio = 0.0
    for seed in range(BOARDS):
        result = board(arena, seed)
        low, high = result.interval(0.95)
        covered += ((low <= limit) & (limit <= high)).mean() / BOARDS
        ratio += result.width_ratio.mean() / BOARDS
    assert 0.93 <= covered <= 0.97, f"covered {covered:.3f}"
    assert ratio < (0.96 if arena.scale == GOOD.scale else 1.005), f"{ratio:.3f} as wide as the votes' alone"


def test_intervals_know_how_few_prompts_the_unvoted_pairs_come_from():
    """At full power, where it matters most; their pairs share clips."""
    limit, covered = limit_of(GOOD.bad), 0.0
    for seed in range(200):
        low, high = board(GOOD, seed, n_raters=100, n_prompts=25, power=1).interval(0.95)
        covered += ((low <= limit) & (limit <= high)).mean() / 200
    assert 0.93 <= covered <= 0.97, f"covered {covered:.3f}"


def test_intervals_are_as_narrow_as_the_correlation_of_votes_and_rewards_allows():
    arena, rater, ratio = arena_of_accuracy(0.8, n=50_000), np.repeat(np.arange(100), 10), []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        votes, unvoted = arena.votes(rng, rater), arena.unvoted(rng, 10 * rater.size)
        ratio.append(fit_prediction_powered(*votes, *unvoted, SYSTEMS, l2=L2, cluster=rater).width_ratio.mean())
    rho = within_pair_correlation(arena, 200_000)
    assert rho > 0.6
    assert np.mean(ratio) <= 1.02 * np.sqrt(1 - rho**2 * 10 / 11)


# ---- what is computed ----


def few(seed=5, n=80, n_unvoted=300):
    """(votes, unvoted, rater) of three systems."""
    rng = np.random.default_rng(seed)
    a, ua = rng.integers(3, size=n), rng.integers(3, size=n_unvoted)
    b, ub = (a + rng.integers(1, 3, size=n)) % 3, (ua + rng.integers(1, 3, size=n_unvoted)) % 3
    votes = a, b, rng.choice([0, 0.5, 1], size=n), rng.uniform(size=n)
    return votes, (ua, ub, rng.uniform(size=n_unvoted)), rng.integers(10, size=n)


def test_the_ratings_minimise_the_three_losses_with_unvoted_pairs_weighted_to_the_voted_ones():
    (a, b, y, f), (ua, ub, uf), _ = few()
    result = fit_prediction_powered(a, b, y, f, ua, ub, uf, 3, l2=0.3, power=0.8)

    def pairs(a, b):
        return np.minimum(a, b) * 3 + np.maximum(a, b)

    voted, unvoted = (np.bincount(pairs(*both), minlength=9)[pairs(ua, ub)] for both in ((a, b), (ua, ub)))
    weight = voted / unvoted

    def loss(theta):
        def cross_entropy(a, b, credit):
            z = theta[a] - theta[b]
            return credit * np.logaddexp(0, -z) + (1 - credit) * np.logaddexp(0, z)

        model = (weight * cross_entropy(ua, ub, uf)).sum() - cross_entropy(a, b, f).sum()
        return cross_entropy(a, b, y).sum() + 0.8 * model + 0.3 * theta @ theta

    assert result.theta == pytest.approx(minimize(loss, np.zeros(3), tol=1e-12).x, abs=1e-5)
    assert result.converged


def test_without_power_it_is_the_board():
    votes, unvoted, rater = few()
    result = fit_prediction_powered(*votes, *unvoted, 3, l2=0.05, cluster=rater, power=0)
    board = fit(*votes[:3], 3, l2=0.05, cluster=rater)
    for powered in (result, result.votes_only):
        assert powered.theta == pytest.approx(board.theta, abs=1e-7)
        assert powered.covariance == pytest.approx(board.covariance, abs=1e-7)
        assert powered.g_eff == board.g_eff


def test_a_constant_added_to_a_systems_reward_hardly_matters():
    """So the anchors' correction, which is fitted to votes, is not needed."""
    rng, rater = np.random.default_rng(3), np.repeat(np.arange(50), 20)
    votes, unvoted = GOOD.votes(rng, rater), GOOD.unvoted(rng, 5000)
    shift = np.array([1.0, -0.5, 0, 0, 0.5, 0, 0, -1.0])

    def shifted(a, b, *middle, credit):
        return a, b, *middle, expit(logit(credit) + 0.4 * (shift[a] - shift[b]))

    plain = fit_prediction_powered(*votes, *unvoted, SYSTEMS, l2=L2, cluster=rater)
    moved = fit_prediction_powered(
        *shifted(*votes[:3], credit=votes[3]), *shifted(*unvoted[:2], credit=unvoted[2]), SYSTEMS, l2=L2, cluster=rater
    )
    assert np.abs(moved.theta - plain.theta).max() < 0.05
    assert moved.stderr == pytest.approx(plain.stderr, rel=0.04)


def test_the_power_is_the_one_of_least_variance():
    def variance(power=None):
        result = board(GOOD, 1, n_raters=200, n_prompts=1500, power=power)
        return np.trace(result.covariance), result.power

    least, tuned = variance()
    assert 0.5 < tuned < 0.9
    assert least < min(variance(tuned - 0.3)[0], variance(tuned + 0.1)[0])
    assert least == pytest.approx(min(variance(power)[0] for power in np.linspace(0, 1, 21)), rel=0.02)


def test_who_stands_in_slot_a_does_not_matter():
    votes, unvoted, rater = few()

    def mirrored(a, b, *credits):
        return b, a, *(1 - credit for credit in credits)

    one = fit_prediction_powered(*votes, *unvoted, 3, l2=0.05, cluster=rater)
    other = fit_prediction_powered(*mirrored(*votes), *mirrored(*unvoted), 3, l2=0.05, cluster=rater)
    assert other.theta == pytest.approx(one.theta, abs=1e-7)
    assert other.covariance == pytest.approx(one.covariance, abs=1e-7)


def test_votes_without_a_prediction_or_without_unvoted_pairs_count_as_on_the_board():
    (a, b, y, f), (ua, ub, uf), rater = few()
    nothing = fit_prediction_powered(a, b, y, f, ua[:0], ub[:0], uf[:0], 3, l2=0.05, cluster=rater)
    unread = fit_prediction_powered(
        a, b, y, np.full(80, np.nan), ua, ub, uf, 3, l2=0.05, cluster=rater, has_prediction=np.zeros(80, bool)
    )
    board = fit(a, b, y, 3, l2=0.05, cluster=rater)
    for result in (nothing, unread):
        assert (result.power, result.n_predicted, result.n_unvoted, result.correlation) == (0, 0, 0, None)
        assert result.theta == pytest.approx(board.theta, abs=1e-7)
        assert result.width_ratio == pytest.approx(np.ones(3))
    between = (np.minimum(ua, ub) == 0) & (np.maximum(ua, ub) == 1)
    one = np.flatnonzero(between)[:1]
    kept = np.sort([*np.flatnonzero(~between), *one])  # one unvoted pair of systems 0 and 1 shows no spread
    some = fit_prediction_powered(a, b, y, f, ua[kept], ub[kept], uf[kept], 3, l2=0.05, cluster=rater)
    assert some.n_predicted == (np.maximum(a, b) == 2).sum()


def test_a_weight_is_as_many_votes_by_the_same_rater():
    (a, b, y, f), unvoted, rater = few()
    weighed = fit_prediction_powered(
        a, b, y, f, *unvoted, 3, l2=0.05, cluster=rater, weight=np.full(80, 2.0), power=0.5
    )
    twice = (np.tile(x, 2) for x in (a, b, y, f))
    again = fit_prediction_powered(*twice, *unvoted, 3, l2=0.05, cluster=np.tile(rater, 2), power=0.5)
    assert again.theta == pytest.approx(weighed.theta, abs=1e-7)
    assert again.covariance == pytest.approx(weighed.covariance, abs=1e-7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"l2": 0}, "l2 is a finite number above 0"),
        ({"power": 1.5}, "power is a number between 0 and 1"),
        ({"predicted": [0.5, np.nan]}, r"predicted\[1\] is nan"),
        ({"unvoted_predicted": [2.0]}, r"unvoted_predicted\[0\] is 2.0"),
        ({"outcome": [-1, -1]}, "no votes of weight > 0"),
        ({"has_prediction": [True]}, "has_prediction has shape"),
    ],
)
def test_input_that_cannot_be_meant_is_refused_by_name(change, message):
    pairs = {"a": [0, 1], "b": [1, 0], "outcome": [1, 0], "predicted": [0.5, 0.5]}
    rest = {"unvoted_a": [0], "unvoted_b": [1], "unvoted_predicted": [0.5], "n_systems": 2, "l2": 0.1}
    with pytest.raises(ValueError, match=message):
        fit_prediction_powered(**(pairs | rest | change))
