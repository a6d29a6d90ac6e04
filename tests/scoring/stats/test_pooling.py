"""The pooled board of a category: its two limits, what it says of itself, and whether its intervals hold."""

import numpy as np
import pytest
from scipy.special import expit

from scoring.stats import bradley_terry, pooling
from scoring.stats.pooling import parts
from tests.bench import categories

N = 5


def pooled(a, b, outcome, inside, spread, spread_df=np.inf, **given):
    return pooling.fit_pooled(pooling.Votes.of(a, b, outcome, N, **given), inside, spread=spread, spread_df=spread_df)


def drawn(rng, theta, n_votes, n_raters=60):
    """(a, b, outcome, rater) of votes by the ratings [V, n] or [n]."""
    n = np.shape(theta)[-1]
    a = rng.integers(n, size=n_votes)
    b = (a + rng.integers(1, n, size=n_votes)) % n
    theta = np.broadcast_to(theta, (n_votes, n))
    vote = np.arange(n_votes)
    outcome = (rng.random(n_votes) < expit(theta[vote, a] - theta[vote, b])).astype(float)
    return a, b, outcome, rng.integers(n_raters, size=n_votes)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_a_category_without_votes_has_the_overall_board(rng):
    a, b, outcome, rater = drawn(rng, np.linspace(-1, 1, N), 600)
    board = pooled(a, b, outcome, np.zeros(600, bool), 0.4, cluster=rater)
    overall = bradley_terry.fit(a, b, outcome, N, cluster=rater, l2=0.05)
    np.testing.assert_allclose(board.theta, overall.theta, atol=1e-8)
    np.testing.assert_allclose(board.own_share, 0, atol=1e-12)
    assert (board.stderr > overall.stderr).all()  # as unsure as the board, and of the category besides


def test_a_category_with_endless_votes_has_its_own_board(rng):
    a, b, outcome, _ = drawn(rng, np.linspace(-1, 1, N), 600)
    inside = np.arange(600) < 300
    board = pooled(a, b, outcome, inside, 0.1, weight=np.where(inside, 1e6, 1.0))
    own = bradley_terry.fit(a[inside], b[inside], outcome[inside], N)
    np.testing.assert_allclose(board.theta, own.theta, atol=1e-3)
    np.testing.assert_allclose(board.own_share, 1, atol=1e-3)


def test_between_the_limits_a_rating_lies_between_the_two_boards_and_follows_its_votes_more_the_more_there_are(rng):
    shares = []
    for n_inside in (20, 100, 400):
        a, b, outcome, rater = drawn(rng, np.linspace(-1, 1, N), 500 + n_inside)
        board = pooled(a, b, outcome, np.arange(a.size) >= 500, 0.3, cluster=rater)
        shares.append(board.own_share.mean())
    assert 0 < shares[0] < shares[1] < shares[2] < 1


def test_a_spread_near_nothing_gives_the_board_of_all_votes(rng):
    a, b, outcome, _ = drawn(rng, np.linspace(-1, 1, N), 400)
    board = pooled(a, b, outcome, np.arange(400) < 100, 1e-4)
    np.testing.assert_allclose(board.theta, bradley_terry.fit(a, b, outcome, N, l2=0.05).theta, atol=1e-5)


def test_a_vote_of_no_weight_is_as_if_not_there(rng):
    a, b, outcome, rater = drawn(rng, np.linspace(-1, 1, N), 400)
    inside, counts = np.arange(400) < 100, rng.random(400) < 0.8
    board = pooled(a, b, outcome, inside, 0.3, weight=counts.astype(float), cluster=rater)
    without = pooled(a[counts], b[counts], outcome[counts], inside[counts], 0.3, cluster=rater[counts])
    np.testing.assert_allclose(board.interval(), without.interval(), rtol=1e-12)
    assert board.n_votes == without.n_votes == inside[counts].sum()


def test_the_minimum_is_where_the_gradient_vanishes_and_the_curvature_is_the_gradients_own(rng):
    a, b, outcome, _ = drawn(rng, np.linspace(-1, 1, N), 300)
    part = parts.Part.of(pooling.Votes.of(a, b, outcome, N), np.arange(300) < 120)
    objective = parts.Objective(part.curves, part.penalty(0.3), 0.05)
    at, converged = part.minimum(0.3)
    assert converged
    np.testing.assert_allclose(objective.gradient(at), 0, atol=1e-7)
    there, step = rng.normal(size=2 * N), 1e-5
    for i, e in enumerate(np.eye(2 * N) * step):
        slope = (objective.value(there + e) - objective.value(there - e)) / (2 * step)
        assert objective.gradient(there)[i] == pytest.approx(slope, abs=1e-5)
        bend = (objective.gradient(there + e) - objective.gradient(there - e)) / (2 * step)
        np.testing.assert_allclose(objective.hessian(there)[i], bend, atol=1e-5)


@pytest.mark.parametrize("n_raters", [1, 40, 3000], ids=["one rater", "many votes each", "few votes each"])
@pytest.mark.parametrize("most_inside", [False, True])
def test_the_middle_of_the_sandwich_is_what_its_sum_over_raters_is_vote_by_vote(
    rng, monkeypatch, n_raters, most_inside
):
    monkeypatch.setattr(parts, "DENSE_CELLS", 10 * N)  # blocks of ten raters
    a, b, outcome, rater = drawn(rng, np.linspace(-1, 1, N), 400, n_raters)
    inside, weight = (np.arange(400) < 100) != most_inside, rng.random(400) + 0.5
    part = parts.Part.of(pooling.Votes.of(a, b, outcome, N, weight=weight, cluster=rater), inside)
    at = rng.normal(0, 0.3, 2 * N)
    inverse = np.linalg.inv(part.information(at) + part.penalty(0.3))
    x = np.eye(2 * N)[a + N * inside] - np.eye(2 * N)[b + N * inside]
    p = expit(x @ at)
    leverage = weight * p * (1 - p) * np.einsum("vi,ij,vj->v", x, inverse, x)
    score = x * (weight * (outcome - p) / np.sqrt(1 - leverage))[:, None]
    by = np.arange(400) if n_raters == 1 else np.unique(rater, return_inverse=True)[1]
    sums = np.zeros((by.max() + 1, 2 * N))
    np.add.at(sums, by, score)
    np.testing.assert_allclose(part.meat(at, inverse), len(sums) / (len(sums) - 1) * sums.T @ sums, atol=1e-9)


def test_the_raters_of_a_rating_are_those_who_voted_on_the_system(rng):
    """Thirty raters inside vote on all systems but the last; on that, a single one of them."""
    a, b, outcome, rater = drawn(rng, np.zeros(N), 900, 30)
    inside = np.arange(900) < 450
    last = inside & ((a == N - 1) | (b == N - 1))
    rater[last] = 7
    by_system = parts.Part.of(pooling.Votes.of(a, b, outcome, N, cluster=rater), inside).effective_by_system()
    assert by_system[1][-1] == pytest.approx(1)
    assert (by_system[0] > 20).all() and (by_system[1][:-1] > 3).all()
    board = pooled(a, b, outcome, inside, 0.5, cluster=rater)
    assert board.df[-1] < board.df[:-1].min()


def test_a_rater_who_votes_inside_and_outside_is_one_rater(rng):
    """Fifteen raters with strong tastes, the same in both parts: as if they were thirty, the tastes would look like a
    property of the category."""
    tastes = rng.normal(0, 1.5, (15, N))
    rater = rng.integers(15, size=3000)
    a, b, outcome, _ = drawn(rng, tastes[rater], 3000)
    inside = np.arange(3000) < 1500
    one = pooled(a, b, outcome, inside, 0.3, cluster=rater)
    two = pooled(a, b, outcome, inside, 0.3, cluster=rater + 15 * inside)
    assert (one.stderr > two.stderr).all()


def test_one_rater_alone_inside_does_not_make_a_sure_category(rng):
    a, b, outcome, rater = drawn(rng, np.zeros(N), 400)
    inside = np.arange(400) < 40
    rater[inside] = 99
    board = pooled(a, b, outcome, inside, 0.5, cluster=rater)
    as_many = pooled(a, b, outcome, inside, 0.5)
    assert (board.stderr > 0.95 * as_many.stderr).all()
    assert (board.df < as_many.df).all()


@pytest.mark.parametrize("planted", [0.2, 0.6])
def test_the_spread_between_categories_is_found(planted):
    """Twelve categories of 500 votes: the square of the spread is right on average."""
    rng, found, there = np.random.default_rng(8), [], []
    for _ in range(12):
        effects = rng.normal(0, planted, (12, N))
        category = rng.integers(12, size=6000)
        a, b, outcome, rater = drawn(rng, np.linspace(-0.7, 0.7, N) + effects[category], 6000, 200)
        votes = pooling.Votes.of(a, b, outcome, N, cluster=rater)
        found.append(pooling.estimate_spread(votes, [category == k for k in range(12)]).value)
        there.append((effects - effects.mean(axis=1, keepdims=True)).std(ddof=0) * np.sqrt(N / (N - 1)))
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(np.sqrt(np.mean(np.square(there))), rel=0.12)


@pytest.mark.slow
@pytest.mark.parametrize("planted", [0.15, 0.6])
def test_the_spread_is_found_where_there_are_more_systems_than_raters(planted):
    """Forty systems, ten raters with tastes, whose noise, as they show it, is none along most axes."""
    found = categories.coverage(planted, boards=12, n_systems=40, n_raters=10)
    assert found["spread_found"] == pytest.approx(found["spread_there"], rel=0.15), found


def test_what_raters_of_a_category_share_is_not_taken_for_the_spread():
    """Each of sixty raters votes on one of four categories that do not differ, and raters do, along one axis: were that
    noise taken for that of independent votes, or just as raters show it, 0.11 would be found instead of 0.08."""
    rng, found = np.random.default_rng(8), []
    for _ in range(12):
        axis = rng.normal(0, 1, 20)
        tastes = rng.normal(0, 1, (60, 1)) * axis
        rater = rng.integers(60, size=8000)
        a, b, outcome, _ = drawn(rng, np.linspace(-0.7, 0.7, 20) + tastes[rater], 8000)
        votes = pooling.Votes.of(a, b, outcome, 20, cluster=rater)
        found.append(pooling.estimate_spread(votes, [rater % 4 == k for k in range(4)]).value)
    assert np.sqrt(np.mean(np.square(found))) < 0.095


def test_votes_that_are_all_as_expected_say_nothing_of_the_spread(rng):
    a, b, _, rater = drawn(rng, np.zeros(N), 400, 30)
    votes = pooling.Votes.of(a, b, np.full(400, 0.5), N, cluster=rater)
    said, nothing = (pooling.estimate_spread(votes, asked) for asked in ([np.arange(400) < 200], [np.arange(400) < 3]))
    assert (said.n_categories, nothing.n_categories) == (1, 0)
    assert (said.value, said.df) == pytest.approx((nothing.value, nothing.df))


def test_the_spread_is_that_from_what_is_common_not_from_each_other(rng):
    """Two categories and nothing else: what lies between them is the root of 2 times as far. Forty systems."""
    effects, category = rng.normal(0, 0.5, (2, 40)), rng.integers(2, size=20_000)
    a, b, outcome, _ = drawn(rng, np.linspace(-1, 1, 40) + effects[category], 20_000)
    found = pooling.estimate_spread(pooling.Votes.of(a, b, outcome, 40), [category == k for k in range(2)])
    assert found.value == pytest.approx((effects[1] - effects[0]).std() / np.sqrt(2), rel=0.1)
    assert found.from_others == pytest.approx([found.value * np.sqrt(2)] * 2, rel=0.01)


def test_two_categories_that_are_all_votes_are_one_difference_not_two(rng):
    """Each is the other's outside: asked together they tell as much as either alone."""
    a, b, outcome, rater = drawn(rng, np.linspace(-1, 1, N), 1200)
    votes, inside = pooling.Votes.of(a, b, outcome, N, cluster=rater), np.arange(1200) < 600
    both, one = (pooling.estimate_spread(votes, asked) for asked in ([inside, ~inside], [inside]))
    assert (both.n_categories, one.n_categories) == (2, 1)
    assert both.df == pytest.approx(one.df, rel=0.02) and both.value == pytest.approx(one.value, rel=0.02)


def test_without_categories_that_say_anything_the_spread_is_the_priors_and_hardly_known(rng):
    a, b, outcome, rater = drawn(rng, np.zeros(N), 200)
    spread = pooling.estimate_spread(pooling.Votes.of(a, b, outcome, N, cluster=rater), [np.arange(200) < 3])
    assert spread.n_categories == 0
    assert pooling.spread.PRIOR_SCALE < spread.value < 1 and spread.df < 6
    assert spread.from_others[0] == pytest.approx(spread.value * np.sqrt(2))  # all others are of one kind


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.15, 0.4, 0.8])
def test_intervals_hold_the_ratings_of_large_and_small_categories(spread):
    """Over 80 boards of four categories; tests.bench.categories has the same over 500, within 93 and 97 %."""
    found = categories.coverage(spread, boards=80)
    assert 0.92 <= found["covered"] <= 0.975, found
    assert 0.92 <= found["covered_5%"] <= 0.995, found


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
    given = {"a": [0, 1], "outcome": [1, 0], "inside": np.array([True, False]), "spread": 0.3, "l2": 0.05, **wrong}
    with pytest.raises(ValueError, match=says):
        pooled(given["a"], [1, 2], given["outcome"], given["inside"], given["spread"], l2=given["l2"])
