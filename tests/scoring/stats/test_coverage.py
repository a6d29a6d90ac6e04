"""Do 95 % intervals hold the truth 95 % of the time, when raters have their own tastes and ties are halves, or answers?

The truth is what the estimator converges to under the study's own pairs, which ties and tastes move away from
the planted ability: it is read off one huge board whose every vote comes from another rater.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from scoring.stats.bradley_terry import fit, fit_davidson, fit_grounded, fit_with_covariates, outcomes

pytestmark = pytest.mark.slow
SYSTEMS, BOARDS = 8, 1000
ABILITY = np.linspace(-1.2, 1.2, SYSTEMS)
PAIRS = np.array([(i, j) for i in range(SYSTEMS) for j in range(SYSTEMS) if i != j])
NEAR = 1 / (1 + np.abs(ABILITY[PAIRS[:, 0]] - ABILITY[PAIRS[:, 1]]))  # studies pair equals more often
TASTE, TIE_WIDTH, L2 = 0.6, 0.5, 0.05
MANY = 1_000_000


@dataclass
class Votes:
    a: np.ndarray
    b: np.ndarray
    outcome: np.ndarray
    first_played: np.ndarray


def paired(rng, size):
    return PAIRS[rng.choice(len(PAIRS), size=size, p=NEAR / NEAR.sum())].T


def by_halves(rng, rater, n_raters, taste=TASTE, first=0.0):
    """A vote per entry of `rater`, who likes each system in a way of their own and ties what sounds alike."""
    liking = ABILITY + taste * rng.normal(size=(n_raters, SYSTEMS))
    a, b = paired(rng, rater.size)
    first_played = rng.choice([-1.0, 1.0], rater.size)
    heard = liking[rater, a] - liking[rater, b] + first * first_played + rng.logistic(size=rater.size)
    return Votes(a, b, np.where(np.abs(heard) < TIE_WIDTH, 0.5, heard > 0), first_played)


def by_model(model, rng, rater, n_raters, eta=-0.5, level=0.4):
    """The answers of a model of ties, given by raters with tastes of their own."""
    liking = level + ABILITY + TASTE * rng.normal(size=(n_raters, SYSTEMS))
    a, b = paired(rng, rater.size)
    p = np.exp(model.log_probabilities(np.stack([liking[rater, a], liking[rater, b], np.full(rater.size, eta)])))
    answer = (rng.random(rater.size) > np.cumsum(p, axis=0)[:-1]).sum(axis=0)
    return Votes(a, b, np.array(list(model.answers.values()))[answer], np.zeros(rater.size))


def plain(votes, rater, l2):
    return fit(votes.a, votes.b, votes.outcome, SYSTEMS, l2=l2)


def clustered(votes, rater, l2):
    return fit(votes.a, votes.b, votes.outcome, SYSTEMS, cluster=rater, l2=l2)


def adjusted(votes, rater, l2):
    beside = {"first_played": votes.first_played}
    return fit_with_covariates(votes.a, votes.b, votes.outcome, SYSTEMS, beside, cluster=rater, l2=l2)


def davidson(votes, rater, l2):
    return fit_davidson(votes.a, votes.b, votes.outcome, SYSTEMS, cluster=rater, l2=l2)


def grounded(votes, rater, l2):
    return fit_grounded(votes.a, votes.b, votes.outcome, SYSTEMS, cluster=rater, l2=l2)


def limit_of(cast, estimate):
    board = estimate(cast(np.random.default_rng(2026), np.arange(MANY), MANY), None, 1e-9)
    assert board.stderr.max() < 0.01
    return board


def coverage(cast, estimate, limit, votes_of_rater, boards=BOARDS, seed=7):
    """Share of ratings, pooled over systems and boards, whose interval holds the limit; and of the figure beside them
    (an effect, or eta), None where there is none. Every system has at least 25 votes on each board."""
    rater = np.repeat(np.arange(votes_of_rater.size), votes_of_rater)
    ratings = beside = 0.0
    for board in range(boards):
        votes = cast(np.random.default_rng([seed, board]), rater, votes_of_rater.size)
        assert np.bincount([*votes.a, *votes.b], minlength=SYSTEMS).min() >= 25
        result = estimate(votes, rater, L2)
        low, high = result.interval(0.95)
        ratings += ((low <= limit.theta) & (limit.theta <= high)).mean() / boards
        if hasattr(limit, "beta"):
            (low,), (high,) = result.beta_interval(0.95)
            beside += (low <= limit.beta[0] <= high) / boards
        if hasattr(limit, "eta"):
            low, high = result.eta_interval(0.95)
            beside += (low <= limit.eta <= high) / boards
    return ratings, beside


@pytest.fixture(scope="module")
def limit():
    board = limit_of(by_halves, clustered)
    assert np.abs(board.theta - ABILITY).max() > 0.1  # so the planted abilities would be the wrong target
    return board


@pytest.mark.parametrize(
    "votes_of_rater",
    [np.full(20, 15), np.full(60, 6), np.repeat([2, 5, 10, 20], 12)],
    ids=["20 raters", "60 raters", "48 raters, some ten times as keen"],
)
def test_intervals_of_a_board_cover_the_limit_in_93_to_97_percent(votes_of_rater, limit):
    covered, _ = coverage(by_halves, clustered, limit, votes_of_rater)
    assert 0.93 <= covered <= 0.97, f"covered {covered:.3f}"


def test_plain_intervals_cover_where_every_vote_is_another_raters(limit):
    covered, _ = coverage(by_halves, plain, limit, np.full(300, 1))
    assert 0.93 <= covered <= 0.97, f"covered {covered:.3f}"


def test_intervals_of_ratings_and_of_an_effect_beside_them_cover():
    cast = lambda *given: by_halves(*given, first=0.3)  # noqa: E731
    ratings, effect = coverage(cast, adjusted, limit_of(cast, adjusted), np.full(40, 10))
    assert 0.93 <= ratings <= 0.97, f"covered {ratings:.3f}"
    assert 0.93 <= effect <= 0.97, f"covered {effect:.3f}"


@pytest.mark.parametrize(
    ("model", "estimate"), [(outcomes.DAVIDSON, davidson), (outcomes.GROUNDED, grounded)], ids=["davidson", "grounded"]
)
def test_intervals_of_models_with_ties_of_their_own_cover(model, estimate):
    cast = lambda *given: by_model(model, *given)  # noqa: E731
    ratings, eta = coverage(cast, estimate, limit_of(cast, estimate), np.full(40, 10))
    assert 0.93 <= ratings <= 0.97, f"covered {ratings:.3f}"
    assert 0.93 <= eta <= 0.97, f"covered {eta:.3f}"


def test_treating_the_votes_of_a_rater_as_independent_covers_too_little(limit):
    """The reason for clusters: without them the same boards would claim more than they know."""
    few = np.full(20, 60)
    by_rater, _ = coverage(by_halves, clustered, limit, few, boards=300, seed=11)
    by_vote, _ = coverage(by_halves, plain, limit, few, boards=300, seed=11)
    assert by_vote < 0.9 < 0.93 <= by_rater, (by_vote, by_rater)
