"""Out of a study: how it ended for somebody, and the code that says so."""

import hashlib
import hmac
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone

from arena.models import Battle, Consent, Participation, Rater, Study
from arena.participants import return_key
from tests.casts.joining import CODES, PID, FromPlatform, enter, hear
from tests.casts.listener import Listener
from tests.casts.sitting import right, wrong


def is_signed(url, study):
    """What a platform does: the part before the signature, under the secret it was given."""
    signed, _, signature = url.rpartition("signature=")
    right = hmac.new(bytes.fromhex(return_key(study)), f"{signed}signature=".encode(), hashlib.sha256)
    return signature == right.hexdigest()


def test_the_code_comes_after_the_last_vote_and_never_before(coded, time_passes):
    sitting = FromPlatform(time_passes)
    for done in range(11):
        refused = sitting.complete()
        assert (refused.status_code, refused.json()["code"]) == (409, "not_finished")
        assert refused.json()["open"] == 11 - done
        assert "C-" not in refused.content.decode()
        sitting.answer(right)
    answer = sitting.complete().json()
    assert (answer["outcome"], answer["message"], answer["code"]) == ("completed", "Thank you.", "C-DONE")


def test_no_page_and_no_other_answer_has_a_code(coded, time_passes):
    sitting = FromPlatform(time_passes)
    page = sitting.listener.get("/listen/open/").content.decode()
    sitting.to_the_end(right)
    for text in (page, str(sitting.told)):
        assert not any(code in text for code in CODES.values())


def test_a_battle_served_and_unanswered_holds_the_code_back(coded, time_passes):
    sitting = FromPlatform(time_passes)
    while True:
        first = sitting.listener.battle()
        if first["progress"]["done"] == first["progress"]["total"] - 1:
            break
        sitting.answer(right)
    Study.objects.update(is_open=False)
    assert sitting.complete().json() | {"detail": ""} == {"code": "not_finished", "open": 1, "detail": ""}
    sitting.answer(right)
    assert sitting.complete().json()["code"] == "C-DONE"


def test_who_fails_most_golds_and_traps_is_told_so(coded, time_passes):
    assert FromPlatform(time_passes).to_the_end(wrong).complete().json()["code"] == "C-FAIL"


def test_one_slip_is_no_failure(coded, time_passes):
    sitting = FromPlatform(time_passes).to_the_end(lambda battle: (wrong if battle.kind == "gold" else right)(battle))
    assert sitting.complete().json()["outcome"] == "completed"


def test_practice_answers_decide_nothing(coded, time_passes):
    sitting = FromPlatform(time_passes)
    sitting.to_the_end(lambda battle: (wrong if battle.kind == "practice" else right)(battle))
    assert sitting.complete().json()["outcome"] == "completed"


def test_who_is_screened_out_gets_that_code_at_once(coded):
    coded.headphones = "required"
    coded.save()
    listener, _ = enter()
    hear(listener, coded, right=False)
    came = {"platform": {"PROLIFIC_PID": PID}}
    assert listener.post("/api/studies/open/completion/", came).json()["code"] == "headphones_needed"
    hear(listener, coded, right=False)
    answer = listener.post("/api/studies/open/completion/", came)
    assert (answer.status_code, answer.json()["outcome"], answer.json()["code"]) == (200, "screened_out", "C-OUT")


def test_who_skips_everything_can_finish_too(coded, time_passes):
    sitting = FromPlatform(time_passes)
    while (answer := sitting.listener.post("/api/battles/")).status_code != 409:
        sitting.listener.post(f"/api/battles/{answer.json()['id']}/skip/", {"reason": "cannot_play"})
    assert answer.json()["code"] == "none_left"
    assert sitting.complete().status_code == 200


def test_who_has_none_left_because_checks_cannot_be_had_can_finish(study):
    study.golds = 10  # and no clip has a variant: ordinary battles take their places, while there are any
    study.save()
    listener = Listener().agree()
    while (answer := listener.post("/api/battles/")).status_code != 409:
        listener.post(f"/api/battles/{answer.json()['id']}/skip/", {"reason": "other"})
    assert answer.json()["code"] == "none_left"
    assert Battle.objects.count() == 6
    assert listener.post("/api/studies/open/completion/").status_code == 200


def test_practice_waits_for_its_clips_because_what_is_announced_as_practice_must_not_count(study):
    study.practice = 1
    study.save()
    assert Listener().agree().post("/api/battles/").json()["code"] == "not_ready"
    assert not Battle.objects.exists()


def test_who_skips_most_battles_has_not_completed_the_study(study, listener):
    study.blocks, study.block_length = 1, 1
    study.save()
    served = listener.battle()
    listener.post(f"/api/battles/{served['id']}/skip/", {"reason": "other"})
    assert listener.post("/api/studies/open/completion/").json()["outcome"] == "failed_checks"


def test_who_comes_when_nothing_is_left_to_serve_is_screened_out(study, listener):
    study.systems.clear()
    assert listener.post("/api/battles/").json()["code"] == "none_left"
    assert listener.post("/api/studies/open/completion/").json()["outcome"] == "screened_out"


def test_a_study_that_closes_early_keeps_nobody_waiting(coded, time_passes):
    sitting = FromPlatform(time_passes).answer(right)
    Study.objects.update(ends_at=timezone.now())
    assert sitting.complete().json()["code"] == "C-DONE"


@pytest.mark.parametrize("reason", ["no_consent", "incompatible_device"])
def test_to_decline_needs_nothing_and_leaves_nothing(coded, reason):
    answer = Listener().post("/api/studies/open/decline/", {"reason": reason, "platform": {"PROLIFIC_PID": PID}})
    told = answer.json()
    assert (answer.status_code, told["outcome"], told["code"]) == (200, reason, CODES[reason])
    assert told["message"] == "Thank you."
    assert is_signed(told["url"], coded)
    assert not Rater.objects.exists() and not Participation.objects.exists()
    assert not Consent.objects.exists() and not Battle.objects.exists()


def test_the_codes_of_other_outcomes_cannot_be_had_by_declining(coded):
    for reason in ("completed", "failed_checks", "screened_out", ""):
        assert Listener().post("/api/studies/open/decline/", {"reason": reason}).status_code == 400


def test_a_study_without_codes_says_how_it_ended_and_no_more(study, listener, time_passes):
    study.blocks, study.block_length = 1, 1
    study.save()
    served = listener.battle()
    time_passes(9)
    listener.vote(served)
    answer = listener.post("/api/studies/open/completion/").json()
    assert answer == {"outcome": "completed", "message": "", "code": None, "url": None}


def test_the_return_url_is_filled_in_quoted_and_signed(coded, time_passes):
    url = FromPlatform(time_passes).to_the_end(right).complete().json()["url"]
    values = {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}
    assert values.pop("signature")
    assert values == {"p": PID, "s": "x 9&b", "cc": "C-DONE", "o": "completed"}
    assert url.startswith("https://panel.example/back?")
    assert is_signed(url, coded)
    assert not is_signed(url.replace("o=completed", "o=complete"), coded)
    assert not is_signed(url, Study(slug="another"))
