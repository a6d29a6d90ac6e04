from datetime import UTC, datetime, timedelta

import pytest

from annotations.listening import clip_intervals, listening_ends

SERVED = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_coverage_is_the_union_and_time_is_the_sum():
    heard = clip_intervals({"A": [[0, 1000], [500, 2000], [5000, 6000]], "B": []}, 10_000)
    assert heard.coverage_ms("A") == 3000
    assert heard.total_ms == 3500
    assert heard.coverage_ms("B") == 0


def test_an_interval_inside_another_adds_no_coverage():
    assert clip_intervals({"A": [[0, 5000], [1000, 2000]], "B": []}, 10_000).coverage_ms("A") == 5000


def test_intervals_are_clipped_to_the_excerpt():
    heard = clip_intervals({"A": [[9000, 15_000], [20_000, 30_000]], "B": []}, 10_000)
    assert heard.intervals["A"] == [[9000, 10_000]]


def test_listening_starts_when_the_battle_was_served_or_the_ears_were_free():
    heard = clip_intervals({"A": [[0, 4000]], "B": [[0, 4000]]}, 10_000)
    assert listening_ends(heard, SERVED, None) == SERVED + timedelta(seconds=8)
    assert listening_ends(heard, SERVED, SERVED - timedelta(hours=1)) == SERVED + timedelta(seconds=8)
    assert listening_ends(heard, SERVED, SERVED + timedelta(seconds=5)) == SERVED + timedelta(seconds=13)


@pytest.mark.parametrize(
    "heard",
    [
        None,
        [],
        {"A": [[0, 1]]},
        {"A": [[0, 1]], "B": [], "C": []},
        {"A": "0-4000", "B": []},
        {"A": [[0]], "B": []},
        {"A": [[0, "4000"]], "B": []},
        {"A": [[0, True]], "B": []},
        {"A": [[-5, 4000]], "B": []},
        {"A": [[4000, 0]], "B": []},
        {"A": [[0, float("nan")]], "B": []},
        {"A": [[0, 1]] * 10_001, "B": []},
    ],
)
def test_what_is_not_a_list_of_intervals_is_refused_by_name(heard):
    with pytest.raises(ValueError, match="heard"):
        clip_intervals(heard, 10_000)
