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
from annotations.services import withdraw_rater
from arena.models import Battle, Clip, Consent, Rater, Study, System
from arena.services import give_consent
from tests.conftest import Listener, make_clip

SYSTEMS = {"alder", "birch", "cedar"}


# ---- who is listening ----


def test_without_a_rater_cookie_a_battle_is_a_401(study):
    assert Listener().post("/api/battles/").status_code == 401


def test_a_forged_rater_cookie_is_a_401(listener):
    listener.client.cookies["rater"] = f"{Rater.objects.get().pk}:forged"
    assert listener.post("/api/battles/").status_code == 401


def test_an_outdated_consent_is_a_409_that_names_the_version(study):
    study.consent_version = 2
    study.save()
    refused = Listener().post("/api/raters/", {"consent_version": 1})
    assert refused.status_code == 409
    assert refused.json()["consent_version"] == 2


def test_a_new_consent_text_asks_a_known_rater_again(study, listener):
    study.consent_version = 2
    study.save()
    assert listener.post("/api/battles/").json()["code"] == "consent_needed"
    listener.agree(consent_version=2)
    assert listener.battle()
    assert Rater.objects.count() == 1


def test_the_rater_cookie_is_out_of_reach_of_scripts_and_other_sites(listener):
    cookie = listener.client.cookies["rater"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_a_cookie_authenticated_write_needs_the_csrf_token(listener):
    battle = listener.battle()
    assert listener.post("/api/battles/", csrf=False).status_code == 403
    assert listener.post(f"/api/battles/{battle['id']}/skip/", {"reason": "other"}, csrf=False).status_code == 403
    assert listener.delete("/api/raters/me/", csrf=False).status_code == 403


# ---- battles ----


def test_a_battle_has_what_the_page_needs_and_no_hint_of_a_system(study, listener):
    response = listener.post("/api/battles/")
    assert response.status_code == 201
    battle = response.json()
    assert set(battle) == {
        "id", "study", "prompt", "answers", "questions", "min_listen_ms", "expires_at", "clips", "progress",
    }  # fmt: skip
    assert set(battle["clips"]["A"]) == {"url", "duration_ms", "peaks"}
    assert battle["clips"]["A"]["duration_ms"] == battle["clips"]["B"]["duration_ms"] == 10_000
    assert battle["progress"] == {"done": 0, "total": 6}
    stored = Battle.objects.get(pk=battle["id"])
    for secret in (*SYSTEMS, stored.clip_a.sha256, stored.excerpt_a.file.name):
        assert secret not in response.content.decode()


def test_asking_again_gives_the_same_open_battle(listener):
    first = listener.post("/api/battles/")
    again = listener.post("/api/battles/")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]


def test_with_after_the_next_battle_is_served_ahead_but_only_one(listener):
    first = listener.battle()
    second = listener.battle(after=first["id"])
    assert second["id"] != first["id"]
    assert listener.battle(after=first["id"])["id"] == second["id"]
    assert listener.post("/api/battles/", {"after": second["id"]}).json()["code"] == "too_far_ahead"
    assert listener.battle()["id"] == first["id"]


def test_after_an_unknown_battle_is_a_404(listener):
    assert listener.post("/api/battles/", {"after": str(uuid.uuid4())}).status_code == 404


def test_a_rater_hears_every_pair_once_and_then_none_is_left(listener, time_passes):
    met = []
    for number in range(6):
        battle = listener.battle()
        met.append(frozenset(Battle.objects.filter(pk=battle["id"]).values_list("clip_a_id", "clip_b_id")[0]))
        time_passes(9)
        assert listener.vote(battle, key=f"k{number}").status_code == 201
    assert len(set(met)) == 6
    refused = listener.post("/api/battles/")
    assert (refused.status_code, refused.json()["code"]) == (409, "none_left")


def test_a_pair_is_drawn_with_the_probability_it_was_stored_with(study, rater):
    from arena.serving import serve_battle

    battle, _ = serve_battle(rater, study)
    assert battle.pair_probability == pytest.approx(1 / 3)
    assert battle.clip_probability == pytest.approx(1 / 2)


def test_the_least_voted_pair_is_served_most(study):
    from arena.services import give_consent
    from arena.serving import serve_battle

    pairs = []
    for _ in range(30):
        battle, _ = serve_battle(give_consent(None, study, 1), study)
        pairs.append(frozenset((battle.system_a_id, battle.system_b_id)))
    counts = sorted(pairs.count(pair) for pair in set(pairs))
    assert len(counts) == 3
    assert counts[-1] - counts[0] <= 4


def test_a_retired_system_is_served_no_more(study, listener):
    assert listener.battle()["progress"]["total"] == 6
    listener.post(f"/api/battles/{listener.battle()['id']}/skip/", {"reason": "other"})
    System.objects.filter(name="cedar").update(retired_at=timezone.now())
    battle = Battle.objects.get(pk=listener.battle()["id"])
    assert {battle.system_a.name, battle.system_b.name} == {"alder", "birch"}


def test_clips_of_different_length_meet_at_the_common_one(study, listener):
    from arena.serving.candidates import needed_excerpts

    short = make_clip(System.objects.get(name="alder"), study.systems.get(name="birch").clips.first().prompt, 6_340)
    assert (short.pk, 6_300) in needed_excerpts(study)
    partner = Clip.objects.filter(system__name="birch", prompt=short.prompt).get()
    assert (partner.pk, 6_300) in needed_excerpts(study)


def test_a_closed_study_serves_no_new_battle(study, listener):
    study.is_open = False
    study.save()
    refused = listener.post("/api/battles/")
    assert (refused.status_code, refused.json()["code"]) == (409, "closed")


def test_an_unknown_study_and_an_unknown_field_are_named(listener):
    assert "nosuch" in listener.post("/api/battles/", {"study": "nosuch"}).json()["detail"]
    assert listener.post("/api/battles/", {"stduy": "open"}).json() == {"stduy": ["Unknown field."]}


def test_skipping_closes_the_battle_without_an_answer(listener):
    battle = listener.battle()
    assert listener.post(f"/api/battles/{battle['id']}/skip/", {"reason": "cannot_play"}).status_code == 200
    assert listener.battle()["id"] != battle["id"]
    assert listener.post(f"/api/battles/{battle['id']}/skip/", {"reason": "bored"}).status_code == 400


def test_a_battle_asked_for_twice_with_the_same_after_is_the_same_battle(listener, monkeypatch):
    moment = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: moment)  # a clock that stands still
    first = listener.battle()
    assert listener.battle(after=first["id"])["id"] == listener.battle(after=first["id"])["id"]


def test_who_withdraws_while_agreeing_stays_withdrawn_and_is_made_anew(study, rater):
    withdraw_rater(rater)
    assert give_consent(rater, study, 1).pk != rater.pk
    assert not rater.consents.exists()


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
    ['["\\u0000"]', '["\\ud800"]', '[{"\\u0000": 1}]', "[" * 900 + "]" * 900, "[" * 100_000 + "]" * 100_000],
)
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


def test_nan_is_not_json(listener, time_passes):
    battle = listener.battle()
    body = json.dumps({"preference": "A", "heard": {"A": [[0, float("nan")]], "B": []}})
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
