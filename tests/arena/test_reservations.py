"""Places of a study with a number of votes per pair: held for who listens, and not for who only asks."""

from datetime import timedelta

import pytest

from annotations.models import Flag
from arena.models import Battle, Clip, Participation, Study
from tests.casts.listener import Listener
from tests.casts.sitting import add_variant

HERE, ELSEWHERE = "93.184.215.14", "151.101.1.140"
PLACES = 45  # three pairs of systems, 15 votes each


@pytest.fixture
def quota(study):
    study.votes_per_pair = 15
    study.save()
    return study


def take_two(address="127.0.0.1"):
    """A cookie that asks for all that it is given. Returns the answers' statuses."""
    cookie = Listener(address).agree()
    first = cookie.post("/api/battles/")
    if first.status_code != 201:
        return [first.status_code]
    return [first.status_code, cookie.post("/api/battles/", {"after": first.json()["id"]}).status_code]


def code_of(listener):
    return listener.post("/api/battles/").json().get("code")


def outcome_of(listener):
    return listener.post("/api/studies/open/completion/").json()["outcome"]


def excerpt(listener, battle, slot="A"):
    return listener.get(battle["clips"][slot]["url"])


# ---- who only asks ----


def test_who_comes_while_cookies_hold_all_places_is_told_when_to_come_back(quota, time_passes):
    statuses = [status for _ in range(23) for status in take_two()]
    assert statuses.count(201) == PLACES
    honest = Listener().agree()
    refused = honest.post("/api/battles/")
    assert (refused.status_code, refused.json()["code"]) == (409, "full_for_now")
    assert "Full for the moment" in refused.json()["detail"] and "in 5 minutes" in refused.json()["detail"]
    assert 0 < refused.json()["retry_after_s"] <= 300
    assert refused["Retry-After"] == str(refused.json()["retry_after_s"])
    assert outcome_of(honest) == "full"
    assert Participation.objects.get(rater__battles=None).outcome == "full"
    time_passes(refused.json()["retry_after_s"] + 1)
    battle = honest.battle()
    time_passes(9)
    assert honest.vote(battle).status_code == 201


@pytest.mark.parametrize(
    ("address", "refusal"), [("127.0.0.1", (409, "full_for_now")), (HERE, (429, "too_many_places"))]
)
def test_a_check_is_not_told_by_being_served_where_ordinary_battles_are_refused(quota, address, refusal):
    for _ in range(23):
        take_two(address)
    Study.objects.update(golds=5, block_length=1)
    for clip in Clip.objects.all():
        add_variant(clip, "lowpass")
    answers = [Listener(address).agree().post("/api/battles/") for _ in range(8)]
    assert {(answer.status_code, answer.json().get("code")) for answer in answers} == {refusal}


def test_cookies_of_one_connection_hold_a_third_of_the_places(quota):
    statuses = [status for _ in range(23) for status in take_two(HERE)]
    assert statuses.count(201) == 15
    refused = Listener(HERE).agree().post("/api/battles/")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_places")
    assert refused["Retry-After"] == str(refused.json()["retry_after_s"])
    for _ in range(5):
        assert take_two(ELSEWHERE) == [201, 201]


def test_a_class_that_has_a_study_to_itself_can_hold_all_places(quota):
    Study.objects.update(places_per_connection=100)
    statuses = [status for _ in range(23) for status in take_two(HERE)]
    assert statuses.count(201) == PLACES


def test_one_listener_has_a_pair_and_the_next_however_few_places_there_are(study):
    Study.objects.update(votes_per_pair=1)
    assert take_two(HERE) == [201, 201]


def test_who_never_answers_holds_no_place_any_more(quota, time_passes):
    cookie = Listener().agree()
    held = []
    for _ in range(5):
        battle = cookie.battle()
        stored = Battle.objects.get(pk=battle["id"])
        held.append(stored.reserved_until - stored.served_at)
        cookie.post(f"/api/battles/{battle['id']}/skip/", {"reason": "other"})
    assert held == [timedelta(minutes=5)] * 3 + [timedelta()] * 2


# ---- who listens ----


@pytest.fixture
def heard(quota, listener):
    return listener.battle()


def minutes_held(battle):
    stored = Battle.objects.get(pk=battle["id"])
    return round((stored.reserved_until - stored.served_at).total_seconds() / 60, 1)


def test_asking_for_an_excerpt_holds_the_place_for_longer(heard, listener, time_passes):
    excerpt(listener, heard)
    assert minutes_held(heard) == 5, "it has long enough"
    time_passes(4 * 60)
    excerpt(listener, heard)
    assert minutes_held(heard) == 9


def test_the_page_says_that_it_plays_and_holds_the_place_for_half_an_hour_at_most(heard, listener, time_passes):
    path = f"/api/battles/{heard['id']}/listening/"
    for _ in range(9):
        time_passes(4 * 60)
        assert listener.post(path).status_code == 200
    assert minutes_held(heard) == 30
    assert Listener().agree().post(path).status_code == 404, "somebody else's"


def test_the_pair_that_comes_next_is_held_only_once_it_is_its_turn(heard, listener, time_passes):
    following = listener.battle(after=heard["id"])
    time_passes(4 * 60)
    excerpt(listener, following)
    assert minutes_held(following) == 5
    listener.vote(heard)
    excerpt(listener, following)
    assert minutes_held(following) == 9


def test_a_vote_after_its_place_was_given_away_is_as_good_as_any(heard, listener, time_passes):
    time_passes(29 * 60)
    assert listener.vote(heard).status_code == 201
    assert not Flag.objects.exists()


def test_a_vote_after_half_an_hour_is_late_however_short_its_place_was_held(heard, listener, time_passes):
    battle = Battle.objects.get()
    time_passes(30 * 60 + 1)
    assert listener.vote(heard).status_code == 201
    flag = Flag.objects.get()
    until = battle.served_at + timedelta(minutes=30)
    assert (flag.rule, flag.detail) == ("late", {"reserved_until": until.isoformat()})


# ---- what is full for good ----


def test_a_study_that_has_its_votes_is_not_full_for_the_moment(study, listener, time_passes):
    Study.objects.update(votes_per_pair=1)
    while (served := listener.post("/api/battles/")).status_code != 409:
        time_passes(9)
        listener.vote(served.json(), key=served.json()["id"])
    other = Listener().agree()
    assert code_of(listener) == code_of(other) == "none_left"
    assert (outcome_of(listener), outcome_of(other)) == ("completed", "screened_out")


def test_who_has_heard_every_pair_does_not_wait_for_places(study, listener, time_passes):
    Study.objects.update(votes_per_pair=3)
    for _ in range(6):
        battle = listener.battle()
        time_passes(9)
        listener.vote(battle, key=battle["id"])
    assert code_of(listener) == "none_left"


def test_who_waits_for_a_place_has_not_finished_what_is_open(quota, listener):
    battle = listener.battle()
    for _ in range(23):
        take_two()
    refused = listener.post("/api/battles/", {"after": battle["id"]})
    assert refused.json()["code"] == "full_for_now"
    assert listener.post("/api/studies/open/completion/").json()["code"] == "not_finished"
