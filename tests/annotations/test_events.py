"""What a player's events say: times, counts, and whether they contradict what was reported as heard."""

import pytest

from annotations.events import LONGEST_MS, Timeline, timeline
from annotations.models import Flag, Vote


def at(ms, kind, **value):
    return {"t": ms, "kind": kind, **value}


USUAL = [
    at(0, "visible"), at(900, "play"), at(2000, "pause"), at(2500, "play"), at(3000, "switch"),
    at(3100, "volume", value=0.8), at(4000, "hidden"), at(4500, "visible"), at(5000, "seek"),
    at(6000, "volume", value=0.25), at(7000, "pause"), at(9100.6, "opened"), at(9500, "decided"), at(10_400, "decided"),
]  # fmt: skip


def test_a_timeline_has_the_first_play_the_gate_the_last_decision_and_counts():
    assert timeline(USUAL) == Timeline(
        first_play_ms=900, opened_ms=9101, decided_ms=10_400, pauses=2, hidden=1, volume=0.25
    )


def test_without_events_nothing_is_known():
    assert timeline([]) == Timeline(None, None, None, None, None, None)


def test_what_no_event_tells_is_unknown_but_what_did_not_happen_is_zero():
    assert timeline([at(5, "play")]) == Timeline(first_play_ms=5, pauses=0, hidden=0)


@pytest.mark.parametrize(
    "odd",
    [None, 7, "play", [], {}, {"t": 5}, {"kind": "play"}, at("5", "play"), at(True, "play"), at(-1, "play"),
     at(LONGEST_MS + 1, "play"), at(float("nan"), "play"), at(float("inf"), "play"), at(5, "jump"), at(5, ["play"]),
     at(5, {"play": 1}), at(5, None)],
)  # fmt: skip
def test_what_is_no_event_says_nothing(odd):
    assert timeline([odd]) == Timeline()
    assert timeline([odd, at(5, "play")]) == timeline([at(5, "play")])


@pytest.mark.parametrize("value", [None, "0.5", True, -0.1, 1.1, float("nan"), [0.5]])
def test_a_volume_that_is_no_share_is_unknown(value):
    assert timeline([at(1, "volume", value=value)]).volume is None
    assert timeline([at(1, "volume")]).volume is None


def test_more_heard_than_lies_between_first_play_and_decision_contradicts():
    times = timeline([at(1000, "play"), at(9000, "decided")])
    assert not times.contradicts(8000)
    assert not times.contradicts(9000)  # clocks and buffers: a second
    assert times.contradicts(9001)


@pytest.mark.parametrize("events", [[], [at(1000, "play")], [at(1000, "decided")]])
def test_what_was_not_told_contradicts_nothing(events):
    assert not timeline(events).contradicts(10**9)


# ---- through the API ----


def test_a_vote_keeps_the_times_of_its_events(listener, time_passes):
    battle = listener.battle()
    time_passes(12)
    assert listener.vote(battle, events=USUAL).status_code == 201
    vote = Vote.objects.get()
    assert (vote.first_play_ms, vote.opened_ms, vote.decided_ms) == (900, 9101, 10_400)
    assert (vote.pauses, vote.hidden, vote.volume) == (2, 1, 0.25)
    assert vote.details.events == USUAL
    assert not Flag.objects.exists()


def test_a_vote_without_events_leaves_them_unknown(listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    listener.vote(battle)
    vote = Vote.objects.get()
    assert {vote.first_play_ms, vote.opened_ms, vote.decided_ms, vote.pauses, vote.hidden, vote.volume} == {None}


def test_a_player_whose_own_events_contradict_it_is_flagged_and_the_vote_stored(listener, time_passes):
    battle = listener.battle()
    time_passes(60)
    assert listener.vote(battle, events=[at(1000, "play"), at(5000, "decided")]).status_code == 201
    flag = Flag.objects.get()
    assert flag.rule == "impossible_times"
    assert flag.detail["heard_ms"] == 8000
    assert (flag.detail["first_play_ms"], flag.detail["decided_ms"]) == (1000, 5000)
    assert flag.vote == Vote.objects.get()


def test_events_of_any_shape_are_stored_and_believed_only_in_theirs(listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    odd = [at(1e300, "play"), "play", at(1, {"play": 1}), [], at(3, "play", value={"deep": [1]})]
    assert listener.vote(battle, events=odd).status_code == 201
    assert Vote.objects.get().first_play_ms == 3


def test_a_pause_at_the_end_of_a_clip_or_at_the_vote_is_nobodys():
    pressed = {"t": 5, "kind": "pause"}
    events = [pressed, {**pressed, "value": "end"}, {**pressed, "value": "vote"}, {**pressed, "value": "interrupted"}]
    assert timeline(events).pauses == 2
