"""Do 95 % intervals hold the truth 95 % of the time, when raters have their own tastes and ties are halves?

The truth is what the estimator converges to under the study's own pairs, which ties and tastes move away from
the planted ability: it is read off one huge board whose every vote comes from another rater.
"""

import numpy as np
import pytest

from scoring.bradley_terry import fit

SYSTEMS, BOARDS = 8, 700
ABILITY = np.linspace(-1.2, 1.2, SYSTEMS)
PAIRS = np.array([(i, j) for i in range(SYSTEMS) for j in range(SYSTEMS) if i != j])
NEAR = 1 / (1 + np.abs(ABILITY[PAIRS[:, 0]] - ABILITY[PAIRS[:, 1]]))  # studies pair equals more often
TASTE, TIE_WIDTH, L2 = 0.6, 0.5, 0.05


def cast(rng, rater, n_raters):
    """A vote per entry of `rater`, who likes each system in a way of their own and ties what sounds alike."""
    liking = ABILITY + TASTE * rng.normal(size=(n_raters, SYSTEMS))
    a, b = PAIRS[rng.choice(len(PAIRS), size=rater.size, p=NEAR / NEAR.sum())].T
    heard = liking[rater, a] - liking[rater, b] + rng.logistic(size=rater.size)
    outcome = np.where(np.abs(heard) < TIE_WIDTH, 0.5, heard > 0)
    return a, b, outcome


@pytest.fixture(scope="module")
def limit():
    votes = 1_000_000
    board = fit(*cast(np.random.default_rng(2026), np.arange(votes), votes), SYSTEMS)
    assert board.stderr.max() < 0.01
    assert np.abs(board.theta - ABILITY).max() > 0.1  # so the planted abilities would be the wrong target
    return board.theta


@pytest.mark.parametrize(
    "votes_of_rater",
    [np.full(20, 15), np.full(60, 6), np.repeat([2, 5, 10, 20], 12)],
    ids=["20 raters", "60 raters", "48 raters, some ten times as keen"],
)
def test_intervals_of_a_board_cover_the_limit_in_93_to_97_percent(votes_of_rater, limit):
    rater = np.repeat(np.arange(votes_of_rater.size), votes_of_rater)
    covered, fewest = 0, np.inf
    for seed in range(BOARDS):
        a, b, outcome = cast(np.random.default_rng([7, seed]), rater, votes_of_rater.size)
        board = fit(a, b, outcome, SYSTEMS, cluster=rater, l2=L2)
        low, high = board.interval(0.95)
        covered += ((low <= limit) & (limit <= high)).mean() / BOARDS
        fewest = min(fewest, np.bincount([*a, *b], minlength=SYSTEMS).min())
    assert fewest >= 25
    assert 0.93 <= covered <= 0.97, f"covered {covered:.3f}"


def test_treating_the_votes_of_a_rater_as_independent_covers_too_little(limit):
    """The reason for clusters: without them the same boards would claim more than they know."""
    rater = np.repeat(np.arange(20), 60)
    covered = {"by rater": 0.0, "by vote": 0.0}
    for seed in range(300):
        a, b, outcome = cast(np.random.default_rng([11, seed]), rater, 20)
        for name, cluster in (("by rater", rater), ("by vote", None)):
            low, high = fit(a, b, outcome, SYSTEMS, cluster=cluster, l2=L2).interval(0.95)
            covered[name] += ((low <= limit) & (limit <= high)).mean() / 300
    assert covered["by vote"] < 0.9 < 0.93 <= covered["by rater"], covered
