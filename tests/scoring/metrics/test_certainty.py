"""When a board is more than preliminary."""

import pytest

from scoring.metrics.certainty import HALF_WIDTH, RATERS, VOTES_PER_SYSTEM, is_vague, shortfalls

pytestmark = pytest.mark.usefixtures("real_thresholds")


def board(widths=(1.0, 1.0, 1.0), n_votes=None, g_eff=20.0):
    """A result with an interval of ± each of these."""
    ratings = [{"system": f"s{n}", "rating": 0.0, "low": -width, "high": width} for n, width in enumerate(widths)]
    return {
        "groups": [ratings] if ratings else [],
        "n_votes": VOTES_PER_SYSTEM * len(widths) if n_votes is None else n_votes,
        "g_eff": g_eff,
    }


def test_enough_votes_of_enough_raters_with_narrow_intervals_lack_nothing():
    assert shortfalls(board()) == []


@pytest.mark.parametrize(
    ("result", "lacks"),
    [
        (board(n_votes=29), {"reason": "votes", "has": 29, "needs": 30}),
        (board(g_eff=4.94), {"reason": "raters", "has": 4.9, "needs": RATERS}),
        (board(widths=[1, 18, 18.5]), {"reason": "intervals", "has": 18, "needs": HALF_WIDTH}),
    ],
)
def test_each_threshold_is_named_with_what_is_there_and_what_is_needed(result, lacks):
    assert shortfalls(result) == [lacks]


def test_one_newcomer_among_well_known_systems_makes_no_board_preliminary_but_is_too_vague_to_be_drawn():
    result = board(widths=[0.5, 0.6, 0.7, 18])
    assert shortfalls(result) == []
    assert [is_vague(rating) for rating in result["groups"][0]] == [False, False, False, True]


def test_a_board_without_votes_lacks_votes_and_raters():
    assert [lack["reason"] for lack in shortfalls(board(widths=(), g_eff=0.0))] == ["votes", "raters"]
