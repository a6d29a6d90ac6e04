"""The HTTP contract of docs/api.md, as a client sees it."""

import json
import threading
import time
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from annotations.models import Flag, Vote, VoteDetails
from arena.models import Battle, Consent, Rater, Study
from tests.casts.listener import Listener

SYSTEMS = {"alder", "birch", "cedar"}


# ---- votes ----


def test_a_vote_is_stored_and_the_systems_are_revealed(listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    answer = listener.vote(battle, "TIE", comment="close", events=[{"t": 1, "kind": "play"}])
    assert answer.status_code == 201
    stored = Battle.objects.get(pk=battle["id"])
    assert answer.json()["systems"] == {"A": stored.system_a.name, "B": stored.system_b.name}
    assert set(answer.json()) == {"id", "received_at", "systems"}
    assert stored.vote.preference == "TIE"
    assert (stored.vote.heard_a_ms, stored.vote.heard_b_ms) == (4000, 4000)
    assert stored.vote.details.comment == "close"
    assert stored.close_reason == "voted"


def test_the_same_answer_again_is_the_same_body_whatever_the_key(listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    first = listener.vote(battle, key="one")
    assert listener.vote(battle, key="one").json() == first.json()
    again = listener.vote(battle, key="two", heard={"A": [[0, 9000]], "B": [[0, 9000]]})
    assert (again.status_code, again.json()) == (201, first.json())
    assert Vote.objects.count() == 1


def test_a_different_answer_is_a_409_and_changes_nothing(listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    listener.vote(battle, "A")
    assert listener.vote(battle, "B").status_code == 409
    assert Vote.objects.get().preference == "A"


def test_a_key_used_for_another_battle_is_a_409(listener, time_passes):
    first = listener.battle()
    time_passes(9)
    listener.vote(first, key="same")
    second = listener.battle()
    time_passes(9)
    assert listener.vote(second, key="same").json()["code"] == "key_reused"
    assert Vote.objects.count() == 1


def test_not_heard_enough_is_a_422_that_says_what_is_missing(listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    refused = listener.vote(battle, heard={"A": [[0, 4000]], "B": [[0, 1500]]})
    assert refused.status_code == 422
    assert refused.json()["missing_ms"] == {"A": 0, "B": 2500}
    assert Vote.objects.count() == 0


def test_hearing_the_same_second_four_times_is_hearing_one_second(listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    assert listener.vote(battle, heard={"A": [[0, 1000]] * 4, "B": [[0, 4000]]}).status_code == 422


def test_more_heard_than_time_went_by_is_a_422(listener, time_passes):
    battle = listener.battle()
    time_passes(6)
    refused = listener.vote(battle)
    assert (refused.status_code, refused.json()["code"]) == (422, "heard_too_much")
    time_passes(1.2)  # 8 s of listening end within the second of tolerance
    assert listener.vote(battle).status_code == 201


def test_a_rater_cannot_listen_to_two_battles_at_once(listener, time_passes):
    first = listener.battle()
    second = listener.battle(after=first["id"])
    time_passes(9)
    assert listener.vote(first, key="one").status_code == 201
    assert listener.vote(second, key="two").json()["code"] == "heard_too_much"
    time_passes(8)
    assert listener.vote(second, key="two").status_code == 201


def test_a_short_excerpt_asks_for_no_more_than_its_length(study, listener, time_passes):
    study.min_listen_ms = 60_000
    study.save()
    battle = listener.battle()
    assert battle["min_listen_ms"] == 10_000
    time_passes(21)
    assert listener.vote(battle, heard={"A": [[0, 10_000]], "B": [[0, 10_000]]}).status_code == 201


def test_somebody_elses_battle_is_a_404(listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    stranger = Listener().agree()
    assert stranger.vote(battle).status_code == 404
    assert listener.post(f"/api/battles/{uuid.uuid4()}/vote/", {}).status_code == 400


def test_an_expired_battle_is_a_410_and_a_new_one_is_served(listener, time_passes):
    battle = listener.battle()
    time_passes(31 * 86400)
    assert listener.vote(battle).status_code == 410
    assert listener.battle()["id"] != battle["id"]


def test_a_battle_ends_with_its_study(study, listener):
    study.ends_at = timezone.now() + timedelta(days=2)
    study.save()
    battle = listener.battle()
    assert Battle.objects.get(pk=battle["id"]).expires_at == study.ends_at


def test_a_study_that_ends_early_takes_no_more_votes(study, listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    Study.objects.update(ends_at=timezone.now())
    assert listener.vote(battle).status_code == 410


def test_a_vote_after_its_reservation_is_stored_and_flagged_late(listener, time_passes):
    battle = listener.battle()
    time_passes(31 * 60)
    assert listener.vote(battle).status_code == 201
    assert Flag.objects.get().rule == "late"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"preference": "C"}, "preference"),
        ({"heard": {"A": [[0, 4000]]}}, "heard"),
        ({"heard": {"A": [[4000, 0]], "B": []}}, "heard"),
        ({"first_played": "C"}, "first_played"),
        ({"switches": -1}, "switches"),
        ({"degree": "much"}, "degree"),
        ({"axes": {"groove": "A"}}, "groove"),
        ({"tags": ["nice"]}, "nice"),
        ({"comment": "x" * 2001}, "comment"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_vote_that_does_not_fit_is_a_400_that_names_the_field(listener, time_passes, body, named):
    battle = listener.battle()
    time_passes(9)
    refused = listener.vote(battle, **body)
    assert refused.status_code == 400
    assert named in refused.content.decode()
    assert Vote.objects.count() == 0


@pytest.mark.parametrize(
    "events",
    [
        '["\\u0000"]', '["\\ud800"]', '[{"\\u0000": 1}]', '[{"value": 1e999}]', "[" * 900 + "]" * 900,
        "[" * 100_000 + "]" * 100_000,
    ],
)  # fmt: skip
def test_what_the_database_cannot_store_is_a_400_and_not_an_error_of_the_server(listener, time_passes, events):
    battle = listener.battle()
    time_passes(9)
    body = {"preference": "A", "heard": {"A": [[0, 4000]], "B": [[0, 4000]]}, "first_played": "A", "switches": 1}
    answer = listener.client.post(
        f"/api/battles/{battle['id']}/vote/",
        json.dumps(body)[:-1] + f', "events": {events}}}',
        content_type="application/json",
        headers={"X-CSRFToken": listener.client.cookies["csrftoken"].value, "Idempotency-Key": "k"},
    )
    assert answer.status_code == 400


def test_optional_fields_may_be_null(listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    nothing = dict.fromkeys(["degree", "axes", "tags", "comment", "events"])
    assert listener.vote(battle, **nothing).status_code == 201


@pytest.mark.parametrize("number", ["NaN", "1e999"])
def test_what_is_no_number_is_not_taken_as_heard(listener, time_passes, number):
    battle = listener.battle()
    body = f'{{"preference": "A", "heard": {{"A": [[0, {number}]], "B": []}}, "first_played": "A", "switches": 1}}'
    answer = listener.client.post(
        f"/api/battles/{battle['id']}/vote/",
        body,
        content_type="application/json",
        headers={"X-CSRFToken": listener.client.cookies["csrftoken"].value, "Idempotency-Key": "k"},
    )
    assert answer.status_code == 400


def test_a_vote_without_an_idempotency_key_is_refused(listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    assert "Idempotency-Key" in listener.vote(battle, key="").json()["detail"]


def test_a_study_takes_only_the_answers_it_offers(study, listener, time_passes):
    study.answers = ["A", "B"]
    study.save()
    battle = listener.battle()
    time_passes(9)
    assert "TIE" in listener.vote(battle, "TIE").json()["detail"]


def test_a_skip_because_a_clip_does_not_play_is_logged_with_its_clips(listener, caplog):
    battle = Battle.objects.get(pk=listener.battle()["id"])
    listener.post(f"/api/battles/{battle.pk}/skip/", {"reason": "cannot_play"})
    assert f"clip {battle.clip_a_id} or {battle.clip_b_id} could not be played" in caplog.text


# ---- taking back ----


def test_a_vote_taken_back_within_ten_seconds_is_flagged_and_the_battle_stays_closed(listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    listener.vote(battle, comment="oops")
    assert listener.delete(f"/api/battles/{battle['id']}/vote/").status_code == 200
    assert Flag.objects.get().rule == "withdrawn"
    assert Vote.objects.count() == 1
    assert VoteDetails.objects.count() == 0
    assert listener.battle()["id"] != battle["id"]


def test_a_vote_cannot_be_taken_back_later(listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    listener.vote(battle)
    time_passes(11)
    assert listener.delete(f"/api/battles/{battle['id']}/vote/").status_code == 410
    assert not Flag.objects.exists()


def test_delete_me_leaves_an_empty_tombstone(listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    listener.vote(battle, comment="my name is Ada")
    assert listener.delete("/api/raters/me/").status_code == 204
    rater = Rater.objects.get()
    assert rater.withdrawn_at
    assert not VoteDetails.objects.exists()
    assert not Consent.objects.exists()
    assert Flag.objects.get().rule == "withdrawn"
    assert listener.post("/api/battles/").status_code == 401
    listener.agree()
    assert Rater.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_same_vote_from_two_tabs_at_once_is_one_vote(study):
    listener = Listener().agree()
    battle = listener.battle()
    time.sleep(0.7)
    answers = []
    heard = {"A": [[0, 800]], "B": [[0, 800]]}
    Study.objects.update(min_listen_ms=500)

    def tab(number):
        answers.append(listener.vote(battle, key=f"tab-{number}", heard=heard).status_code)
        connection.close()

    tabs = [threading.Thread(target=tab, args=(number,)) for number in range(4)]
    for thread in tabs:
        thread.start()
    for thread in tabs:
        thread.join()
    assert answers == [201] * 4
    assert Vote.objects.count() == 1


# ---- what it costs the database ----


def test_a_battle_and_a_vote_take_few_statements(study, time_passes, django_assert_max_num_queries):
    listener = Listener("198.51.100.7", user_agent="a-browser").agree()
    first = listener.battle()
    time_passes(60)
    listener.vote(first)
    with django_assert_max_num_queries(12):  # with the beginning and the end of the transaction, here a savepoint
        battle = listener.battle()
    time_passes(60)
    with django_assert_max_num_queries(6):
        assert listener.vote(battle, key="another").status_code == 201


def test_who_has_withdrawn_is_not_known_any_more_wherever_they_ask(listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    cookie = listener.client.cookies["rater"].value
    assert listener.delete("/api/raters/me/").status_code == 204
    listener.client.cookies["rater"] = cookie
    for answer in (
        listener.post("/api/battles/"),
        listener.vote(battle),
        listener.delete(f"/api/battles/{battle['id']}/vote/"),
    ):
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Cookie")
        assert answer.json() == {
            "code": "not_authenticated", "detail": "Authentication credentials were not provided."
        }  # fmt: skip
