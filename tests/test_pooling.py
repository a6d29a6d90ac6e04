"""The pooled board of a category: its two limits, what it says of itself, and whether its intervals hold."""

import numpy as np
import pytest
from scipy.special import expit

from scoring import bradley_terry, pooling

N = 5


def drawn(rng, theta, n_votes, n_raters=60):
    """(a, b, outcome, rater) of votes by the ratings [V, n] or [n]."""
    a = rng.integers(N, size=n_votes)
    b = (a + rng.integers(1, N, size=n_votes)) % N
    theta = np.broadcast_to(theta, (n_votes, N))
    vote = np.arange(n_votes)
    outcome = (rng.random(n_votes) < expit(theta[vote, a] - theta[vote, b])).astype(float)
    return a, b, outcome, rng.integers(n_raters, size=n_votes)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_a_category_without_votes_has_the_overall_board(rng):
    a, b, outcome, rater = drawn(rng, np.linspace(-1, 1, N), 600)
    pooled = pooling.fit_pooled(a, b, outcome, N, np.zeros(600, bool), spread=0.4, cluster=rater)
    overall = bradley_terry.fit(a, b, outcome, N, cluster=rater, l2=0.05)
    np.testing.assert_allclose(pooled.theta, overall.theta, atol=1e-8)
    np.testing.assert_allclose(pooled.own_share, 0, atol=1e-12)
    assert (pooled.stderr > overall.stderr).all()  # as unsure as the board, and of the category besides


def test_a_category_with_endless_votes_has_its_own_board(rng):
    a, b, outcome, _ = drawn(rng, np.linspace(-1, 1, N), 600)
    inside = np.arange(600) < 300
    weight = np.where(inside, 1e6, 1.0)
    pooled = pooling.fit_pooled(a, b, outcome, N, inside, spread=0.1, weight=weight)
    own = bradley_terry.fit(a[inside], b[inside], outcome[inside], N)
    np.testing.assert_allclose(pooled.theta, own.theta, atol=1e-3)
    np.testing.assert_allclose(pooled.own_share, 1, atol=1e-3)


def test_between_the_limits_a_rating_lies_between_the_two_boards_and_follows_its_votes_more_the_more_there_are(rng):
    shares = []
    for n_inside in (20, 100, 400):
        a, b, outcome, rater = drawn(rng, np.linspace(-1, 1, N), 500 + n_inside)
        pooled = pooling.fit_pooled(a, b, outcome, N, np.arange(a.size) >= 500, spread=0.3, cluster=rater)
        shares.append(pooled.own_share.mean())
    assert 0 < shares[0] < shares[1] < shares[2] < 1


def test_a_spread_near_nothing_gives_the_board_of_all_votes(rng):
    a, b, outcome, _ = drawn(rng, np.linspace(-1, 1, N), 400)
    pooled = pooling.fit_pooled(a, b, outcome, N, np.arange(400) < 100, spread=1e-4)
    np.testing.assert_allclose(pooled.theta, bradley_terry.fit(a, b, outcome, N, l2=0.05).theta, atol=1e-5)


def test_the_minimum_is_where_the_gradient_vanishes_and_the_curvature_is_the_gradients_own(rng):
    a, b, outcome, _ = drawn(rng, np.linspace(-1, 1, N), 300)
    part = pooling._Part.of(a, b, outcome, N, np.arange(300) < 120, None, None, 0.05)
    objective = pooling._Objective(part.curves, part.penalty(0.3), 0.05)
    at, converged = part.minimum(0.3)
    assert converged
    np.testing.assert_allclose(objective.gradient(at), 0, atol=1e-7)
    there, step = rng.normal(size=2 * N), 1e-5
    for i, e in enumerate(np.eye(2 * N) * step):
        slope = (objective.value(there + e) - objective.value(there - e)) / (2 * step)
        assert objective.gradient(there)[i] == pytest.approx(slope, abs=1e-5)
        bend = (objective.gradient(there + e) - objective.gradient(there - e)) / (2 * step)
        np.testing.assert_allclose(objective.hessian(there)[i], bend, atol=1e-5)


def test_a_rater_who_votes_inside_and_outside_is_one_rater(rng):
    """Fifteen raters with strong tastes, the same in both parts: as if they were thirty, the tastes would look like a
    property of the category."""
    tastes = rng.normal(0, 1.5, (15, N))
    rater = rng.integers(15, size=3000)
    a, b, outcome, _ = drawn(rng, tastes[rater], 3000)
    inside = np.arange(3000) < 1500
    one = pooling.fit_pooled(a, b, outcome, N, inside, spread=0.3, cluster=rater)
    two = pooling.fit_pooled(a, b, outcome, N, inside, spread=0.3, cluster=rater + 15 * inside)
    assert (one.stderr > two.stderr).all()


def test_one_rater_alone_inside_does_not_make_a_sure_category(rng):
    a, b, outcome, rater = drawn(rng, np.zeros(N), 400)
    inside = np.arange(400) < 40
    rater[inside] = 99
    pooled = pooling.fit_pooled(a, b, outcome, N, inside, spread=0.5, cluster=rater)
    as_many = pooling.fit_pooled(a, b, outcome, N, inside, spread=0.5)
    assert (pooled.stderr > 0.99 * as_many.stderr).all()
    assert (pooled.df < as_many.df).all()


@pytest.mark.parametrize("planted", [0.2, 0.6])
def test_the_spread_between_categories_is_found(planted):
    """Twelve categories of 500 votes: the square of the spread is right on average."""
    rng, found, there = np.random.default_rng(8), [], []
    for _ in range(12):
        effects = rng.normal(0, planted, (12, N))
        category = rng.integers(12, size=6000)
        a, b, outcome, rater = drawn(rng, np.linspace(-0.7, 0.7, N) + effects[category], 6000, 200)
        inside = [category == k for k in range(12)]
        found.append(pooling.estimate_spread(a, b, outcome, N, inside, cluster=rater).value)
        there.append((effects - effects.mean(axis=1, keepdims=True)).std(ddof=0) * np.sqrt(N / (N - 1)))
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(np.sqrt(np.mean(np.square(there))), rel=0.12)


def test_without_categories_that_say_anything_the_spread_is_the_priors(rng):
    a, b, outcome, rater = drawn(rng, np.zeros(N), 200)
    spread = pooling.estimate_spread(a, b, outcome, N, [np.arange(200) < 3], cluster=rater)
    assert (spread.n_categories, spread.df) == (0, pooling.PRIOR_CONTRASTS)
    assert spread.value == pytest.approx(pooling.PRIOR_SPREAD * np.sqrt(2))  # the mean of its square, not its mode
    assert spread.from_others[0] == pytest.approx(spread.value * np.sqrt(2))  # all others are of one kind


def test_intervals_hold_the_ratings_of_large_and_small_categories():
    """Four categories of very different size, raters with tastes, the spread estimated from them: 40 boards."""
    rng, held = np.random.default_rng(2), []
    share = np.array([0.5, 0.3, 0.15, 0.05])
    for _ in range(40):
        effects = rng.normal(0, 0.35, (4, N))
        truth = np.linspace(-0.8, 0.8, N) + effects
        truth -= truth.mean(axis=1, keepdims=True)
        category = rng.choice(4, 900, p=share)
        a, b, outcome, rater = drawn(rng, truth[category], 900)
        inside = [category == k for k in range(4)]
        spread = pooling.estimate_spread(a, b, outcome, N, inside, cluster=rater)
        for k in range(4):
            pooled = pooling.fit_pooled(
                a, b, outcome, N, inside[k], spread=spread.from_others[k], spread_df=spread.df, cluster=rater
            )
            low, high = pooled.interval()
            held.append((low <= truth[k]) & (truth[k] <= high))
    assert 0.92 <= np.mean(held) <= 0.98


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"spread": 0.0}, "spread"),
        ({"l2": 0.0}, "l2"),
        ({"inside": np.array([1, 0])}, "bool"),
        ({"inside": np.array([True])}, "bool"),
        ({"a": [0, 7]}, r"a\[1\] is 7"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong, says):
    given = {"a": [0, 1], "b": [1, 2], "outcome": [1, 0], "inside": np.array([True, False]), "spread": 0.3, **wrong}
    with pytest.raises(ValueError, match=says):
        pooling.fit_pooled(given.pop("a"), given.pop("b"), given.pop("outcome"), 3, given.pop("inside"), **given)
