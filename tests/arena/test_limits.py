"""Limits on what comes from one connection and one network within an hour."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotations.models import Flag, Vote
from arena.models import Arrival, Battle, Rater, Study, Traffic
from arena.services import forget_arrivals
from tests.casts.listener import Listener

HERE, NEIGHBOUR, ELSEWHERE = "93.184.215.14", "93.184.215.15", "151.101.1.140"


@pytest.fixture
def at_noon(monkeypatch):
    """The clock stands still, ten minutes after noon."""
    noon = datetime(2026, 11, 30, 12, 10, tzinfo=UTC)
    clock = {"now": noon}
    monkeypatch.setattr(timezone, "now", lambda: clock["now"])

    def move(**by):
        clock["now"] += timedelta(**by)

    return move


def limit(study, **limits):
    Study.objects.filter(pk=study.pk).update(**limits)


def join(address=HERE):
    return Listener(address).post("/api/raters/", {"consent_version": 1})


def assert_refused(answer, words, wait_s):
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many")
    assert words in answer.json()["detail"] and "try again in 50 minutes" in answer.json()["detail"]
    assert answer.json()["retry_after_s"] == wait_s and answer["Retry-After"] == str(wait_s)


# ---- new raters ----


def test_a_lecture_hall_joins_and_three_hundred_cookies_of_one_address_do_not(study, at_noon):
    answers = [join() for _ in range(300)]
    assert [answer.status_code for answer in answers] == [201] * 150 + [429] * 150
    assert Rater.objects.count() == Arrival.objects.count() == 150, "a refusal leaves nothing"
    assert_refused(answers[-1], "Many people have joined this study from your connection", 3000)
    assert join(NEIGHBOUR).status_code == 201, "others come in"
    at_noon(minutes=50)
    assert join().status_code == 201, "in the next hour they do, too"


def test_a_network_has_a_wider_limit_over_all_its_addresses(study, at_noon):
    limit(study, raters_per_connection=2, raters_per_network=3)
    assert [join().status_code for _ in range(3)] == [201, 201, 429]
    assert join(NEIGHBOUR).status_code == 201
    assert_refused(join(NEIGHBOUR), "from your network", 3000)
    assert join(ELSEWHERE).status_code == 201


def test_who_has_joined_can_agree_again_whatever_the_limit(study):
    limit(study, raters_per_connection=1)
    listener = Listener(HERE).agree()
    listener.agree()


def test_staff_can_take_the_limit_away(study):
    limit(study, raters_per_connection=None, raters_per_network=None)
    assert {join().status_code for _ in range(160)} == {201}


def test_each_study_has_its_own_count(study):
    other = Study.objects.create(slug="other", name="Other", raters_per_connection=1)
    limit(study, raters_per_connection=1)
    assert join().status_code == 201
    assert Listener(HERE).post("/api/raters/", {"consent_version": 1, "study": other.slug}).status_code == 201


def test_raters_made_in_another_study_are_new_in_this_one(study, at_noon):
    other = Study.objects.create(slug="other", name="Other")
    limit(study, raters_per_connection=2)
    made = [Listener(HERE).agree(study=other.slug) for _ in range(3)]
    answers = [listener.post("/api/raters/", {"consent_version": 1}) for listener in made]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert_refused(answers[-1], "Many people have joined this study from your connection", 3000)
    assert made[-1].post("/api/battles/").json()["code"] == "consent_needed"


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.9"])
def test_an_address_that_is_not_public_is_not_limited(study, address):
    limit(study, raters_per_connection=1, raters_per_network=1, battles_per_connection=1, battles_per_network=1)
    assert {join(address).status_code for _ in range(3)} == {201}
    listener = Listener(address).agree()
    for _ in range(2):
        assert listener.vote(listener.battle(), key=str(Vote.objects.count())).status_code in (201, 422)
    assert not Traffic.objects.exists()


# ---- battles ----


def test_battles_are_limited_and_the_open_one_is_still_served(study, at_noon):
    limit(study, battles_per_connection=1)
    listener = Listener(HERE).agree()
    battle = listener.battle()
    assert listener.battle()["id"] == battle["id"], "again the open one"
    assert_refused(
        listener.post("/api/battles/", {"after": battle["id"]}), "Your connection has had all the pairs", 3000
    )
    assert Battle.objects.count() == 1
    assert_refused(Listener(HERE).agree().post("/api/battles/"), "Your connection has had all the pairs", 3000)
    assert Listener(ELSEWHERE).agree().battle()


def test_a_rater_is_counted_where_they_are_now_not_where_they_joined(study):
    limit(study, battles_per_connection=1, battles_per_network=1)
    Listener(HERE).agree().battle()
    moved = Listener(ELSEWHERE).agree()
    moved.client.defaults["REMOTE_ADDR"] = HERE
    assert moved.post("/api/battles/").status_code == 429
    moved.client.defaults["REMOTE_ADDR"] = ELSEWHERE
    assert moved.battle()


def test_another_connection_of_a_rater_is_noted_once(study):
    listener = Listener(HERE).agree()
    first = listener.battle()
    listener.client.defaults["REMOTE_ADDR"] = ELSEWHERE
    listener.post("/api/battles/", {"after": first["id"]})
    assert Arrival.objects.values("connection").distinct().count() == 2
    assert Arrival.objects.count() == 2


# ---- votes ----


def test_a_vote_over_the_limit_is_stored_flagged_and_counted(study, at_noon):
    limit(study, battles_per_connection=1)
    listeners = [Listener(address).agree() for address in (HERE, ELSEWHERE)]
    battles = [listener.battle() for listener in listeners]
    at_noon(minutes=1)
    for listener, battle in zip(listeners, battles, strict=True):
        listener.client.defaults["REMOTE_ADDR"] = HERE
        assert listener.vote(battle).status_code == 201
    flag = Flag.objects.get()
    assert (flag.rule, flag.detail) == ("over_limit", {"per": "connection", "limit": 1})
    assert flag.vote == Vote.objects.order_by("pk").last()


def test_the_limits_of_a_vote_take_no_further_statement(study, at_noon):
    statements = []
    for address in ("127.0.0.1", HERE):
        listener = Listener(address).agree()
        battle = listener.battle()
        at_noon(minutes=1)
        with CaptureQueriesContext(
            connection,
        ) as made:
            assert listener.vote(battle).status_code == 201
        statements.append(len(made))
    assert statements[0] == statements[1]
    assert Battle.objects.filter(close_reason="voted").count() == 2
    assert Traffic.objects.filter(kind="votes").count() == 2, "the connection's and the network's"


# ---- what is kept ----


def test_counts_are_forgotten_with_the_arrivals(study, at_noon):
    join()
    at_noon(days=2, hours=1)
    assert forget_arrivals() == 3
    assert not Traffic.objects.exists() and not Arrival.objects.exists()
