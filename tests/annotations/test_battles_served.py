"""Who may listen, and which battle they are served, over the HTTP contract."""

import uuid

import pytest
from django.utils import timezone

from annotations.services import withdraw_rater
from arena.models import Battle, Clip, Rater, System
from arena.services import give_consent
from tests.casts.clips import make_clip
from tests.casts.listener import Listener

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
    assert all(set(clip) == {"url", "duration_ms", "peaks"} for clip in battle["clips"].values())
    assert [clip["peaks"] for clip in battle["clips"].values()] == [None, None]
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
    needed = dict(needed_excerpts(study))
    assert [needed[clip.pk] for clip in Clip.objects.filter(prompt=short.prompt)] == 4 * [6_000]
    assert 10_000 in needed.values(), "other prompts keep theirs"


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
