"""Into a study and out of it: platforms, invitations, volume, headphones, and the code at the end."""

import hashlib
import hmac
import io
import wave
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from django.utils import timezone

from arena.models import Battle, Consent, Participation, Rater, Study
from arena.participants import new_invitation, participant_of, return_key
from arena.refusals import Forbidden
from arena.services import headphone_targets

from .conftest import Listener
from .test_checks import Sitting, checked, right, wrong  # noqa: F401 - `checked` is a fixture

PID = "5f3c0ffee5f3c0ffee5f3c0f"
CODES = {
    "completed": "C-DONE", "no_consent": "C-NO", "failed_checks": "C-FAIL", "incompatible_device": "C-DEVICE",
    "screened_out": "C-OUT",
}  # fmt: skip


def enter(pid=PID, study=None, **body):
    """What the API answers to somebody who comes from a platform with this id."""
    listener = Listener()
    platform = {"PROLIFIC_PID": pid, "STUDY_ID": "s1", "SESSION_ID": "x9"}
    answer = listener.post(
        "/api/raters/", {"consent_version": 1, "platform": platform, **({"study": study} if study else {}), **body}
    )
    return listener, answer


@pytest.fixture
def prolific(study):
    study.platform = {"participant": "PROLIFIC_PID", "study": "STUDY_ID", "session": "SESSION_ID"}
    study.save()
    return study


# ---- platforms ----


def test_a_platforms_participant_is_known_by_an_hmac_and_nothing_else(prolific):
    _, answer = enter()
    assert answer.status_code == 201
    participation = Participation.objects.get()
    assert str(participation.rater_id) == answer.json()["id"]
    assert len(bytes.fromhex(participation.participant)) == 32
    assert participation.participant != hashlib.sha256(PID.encode()).hexdigest()


def test_the_hmac_cannot_be_made_without_the_secret_key(prolific, settings):
    known = participant_of(prolific, {"PROLIFIC_PID": PID}, None)
    settings.SECRET_KEY = "another"
    assert participant_of(prolific, {"PROLIFIC_PID": PID}, None) != known


def test_the_same_participant_in_another_browser_is_the_same_rater(prolific):
    (one, first), (other, second) = enter(), enter()
    assert first.json()["id"] == second.json()["id"]
    assert one.battle()["id"] == other.battle()["id"]
    assert enter(pid="somebody else")[1].json()["id"] != first.json()["id"]


def test_two_participants_in_one_browser_are_two_raters(prolific):
    listener, first = enter()
    platform = {"PROLIFIC_PID": "the next in the lab", "STUDY_ID": "s1", "SESSION_ID": "x9"}
    second = listener.post("/api/raters/", {"consent_version": 1, "platform": platform})
    assert first.json()["id"] != second.json()["id"]
    assert Participation.objects.count() == 2


def test_two_studies_cannot_tell_that_they_had_the_same_participant(prolific):
    other = Study.objects.create(slug="other", name="Other", platform=prolific.platform)
    enter()
    enter(study="other")
    marks = set(Participation.objects.values_list("participant", flat=True))
    assert len(marks) == 2
    assert participant_of(other, {"PROLIFIC_PID": PID}, None) in marks


@pytest.mark.parametrize("platform", [None, {}, {"PROLIFIC_PID": ""}, {"PROLIFIC_PID": "  "}, {"STUDY_ID": "s1"}])
def test_without_the_platforms_parameter_nobody_enters(prolific, platform):
    refused = Listener().post("/api/raters/", {"consent_version": 1, "platform": platform})
    assert (refused.status_code, refused.json()["code"]) == (403, "platform_needed")
    assert not Rater.objects.exists()


def test_a_platforms_parameter_that_no_platform_sends_is_refused(prolific):
    assert enter(pid="x" * 201)[1].status_code == 400
    assert not Rater.objects.exists()


def test_who_consented_before_the_study_had_a_platform_has_to_come_from_it(study):
    listener = Listener().agree()
    study.platform = {"participant": "PROLIFIC_PID"}
    study.save()
    assert listener.post("/api/battles/").json()["code"] == "platform_needed"
    listener.agree(platform={"PROLIFIC_PID": PID})
    assert listener.battle()
    assert Rater.objects.count() == 2, "a participant has a rater of their own"


def test_a_platform_may_call_its_parameters_anything(study):
    study.platform = {"participant": "workerId"}
    study.save()
    Listener().agree(platform={"workerId": "A1", "assignmentId": "ignored"})
    assert Participation.objects.get().participant


# ---- invitations ----


@pytest.fixture
def invited(study):
    study.access = "invited"
    study.save()
    return study


def test_who_is_invited_enters_and_is_the_same_rater_again(invited):
    token = new_invitation(invited)
    first = Listener().agree(invitation=token)
    Listener().agree(invitation=token)
    assert Rater.objects.count() == 1
    assert first.battle()
    Listener().agree(invitation=new_invitation(invited))
    assert Rater.objects.count() == 2


def test_an_invitation_that_is_missing_forged_or_of_another_study_is_a_403(invited):
    other = Study.objects.create(slug="other", name="Other", access="invited")
    nonce, _, signature = new_invitation(invited).partition(".")
    forged = [
        None, "", "hello", ".", f".{signature}", nonce, f"{nonce}.", f"{nonce}.{signature[:-1]}",
        f"{nonce}x.{signature}", new_invitation(other), "ñ.ñ",
    ]  # fmt: skip
    for token in forged:
        refused = Listener().post("/api/raters/", {"consent_version": 1, "invitation": token})
        assert (refused.status_code, refused.json()["code"]) == (403, "invitation_needed"), token
    assert not Rater.objects.exists()


def test_an_invitation_is_stored_as_an_hmac_only(invited):
    token = new_invitation(invited)
    Listener().agree(invitation=token)
    assert Participation.objects.get().participant not in token
    assert len(Participation.objects.get().participant) == 64


# ---- what comes before the first battle ----


def test_a_study_asks_for_one_thing_after_the_other(prolific):
    prolific.volume_check, prolific.headphones = True, "required"
    prolific.save()
    stranger = Listener()
    Study.objects.create(slug="elsewhere", name="Elsewhere")
    stranger.agree(study="elsewhere")
    assert stranger.post("/api/battles/").json()["code"] == "consent_needed"
    listener, _ = enter()
    assert listener.post("/api/battles/").json()["code"] == "volume_needed"
    assert listener.post("/api/studies/open/volume/", {"level": 0.4}).json() == {"level": 0.4}
    assert listener.post("/api/battles/").json()["code"] == "headphones_needed"
    hear(listener, prolific)
    assert listener.battle()
    assert Participation.objects.get(study=prolific).volume == 0.4


@pytest.mark.parametrize("level", [-0.1, 1.1, None, "loud"])
def test_a_volume_is_a_share(study, listener, level):
    assert listener.post("/api/studies/open/volume/", {"level": level}).status_code == 400


def test_the_volume_may_be_set_again(study, listener):
    for level in (0.4, 0.7):
        listener.post("/api/studies/open/volume/", {"level": level})
    assert Participation.objects.get().volume == 0.7


def test_before_consent_there_is_neither_volume_nor_headphones(study):
    Study.objects.create(slug="elsewhere", name="Elsewhere")
    listener = Listener().agree(study="elsewhere")
    for path, body in (("volume/", {"level": 1}), ("headphones/", {}), ("completion/", {})):
        assert listener.post(f"/api/studies/open/{path}", body).json()["code"] == "consent_needed"
        assert Listener().post(f"/api/studies/open/{path}", body).status_code == 401


# ---- headphones ----


def begin(listener):
    answer = listener.post("/api/studies/open/headphones/")
    assert answer.status_code == 201, answer.content
    return answer.json()


def hear(listener, study, right=True):
    """Do an attempt with every answer right, or every one wrong."""
    attempt = begin(listener)["attempt"]
    rater = Rater.objects.get(participations__study=study)
    targets = [target for target, _ in headphone_targets(rater, study, attempt)]
    answers = targets if right else [target % 3 + 1 for target in targets]
    return listener.post(f"/api/studies/open/headphones/{attempt}/", {"answers": answers}).json()


@pytest.fixture
def with_headphones(study):
    study.headphones = "required"
    study.save()
    return study


def test_in_each_trial_the_ears_differ_in_the_interval_that_is_right(with_headphones, listener):
    trials = begin(listener)["trials"]
    targets = [target for target, _ in headphone_targets(Rater.objects.get(), with_headphones, 1)]
    assert len(trials) == 6
    for trial, target in zip(trials, targets, strict=True):
        answer = listener.get(trial["url"])
        assert (answer.status_code, answer["Content-Type"]) == (200, "audio/wav")
        with wave.open(io.BytesIO(answer.content)) as file:
            rate, samples = file.getframerate(), np.frombuffer(file.readframes(-1), "<i2").reshape(-1, 2)
        between = samples[:, 0] != samples[:, 1]
        starts = [int(1.5 * rate * interval) for interval in range(3)]
        differing = [between[start : start + rate].mean() for start in starts]
        assert np.argmax(differing) + 1 == target
        assert sorted(differing)[1] == 0


def test_all_trials_right_is_a_pass_and_done(with_headphones, listener):
    assert hear(listener, with_headphones) == {"result": "pass", "correct": 6, "of": 6, "attempts_left": 0}
    assert listener.post("/api/studies/open/headphones/").json()["code"] == "headphones_done"
    assert listener.battle()


def test_who_fails_has_a_second_attempt_with_other_trials(with_headphones, listener):
    first = begin(listener)
    sounds = {listener.get(trial["url"]).content for trial in first["trials"]}
    assert hear(listener, with_headphones, right=False) == {"result": "fail", "correct": 0, "of": 6, "attempts_left": 1}
    assert listener.post("/api/battles/").json()["code"] == "headphones_needed"
    second = begin(listener)
    assert second["attempt"] == 2
    assert not sounds & {listener.get(trial["url"]).content for trial in second["trials"]}
    assert hear(listener, with_headphones)["result"] == "pass"
    assert listener.battle()


def test_who_fails_twice_is_screened_out_where_headphones_are_required(with_headphones, listener):
    hear(listener, with_headphones, right=False)
    assert hear(listener, with_headphones, right=False)["attempts_left"] == 0
    refused = listener.post("/api/battles/")
    assert (refused.status_code, refused.json()["code"]) == (409, "screened_out")
    assert listener.post("/api/studies/open/headphones/").json()["code"] == "headphones_done"


def test_where_they_are_recommended_who_fails_may_go_on_at_once(study, listener):
    study.headphones = "recommended"
    study.save()
    assert listener.post("/api/battles/").json()["code"] == "headphones_needed"
    hear(listener, study, right=False)
    assert listener.battle()
    assert Participation.objects.get().headphones == "fail"


def test_what_cannot_be_played_is_unknown_and_excludes_nobody(with_headphones, listener):
    begin(listener)
    answer = listener.post("/api/studies/open/headphones/1/", {"unplayable": True})
    assert answer.json() == {"result": "unknown", "correct": None, "of": 6, "attempts_left": 0}
    assert listener.battle()


def test_beginning_again_takes_up_the_open_attempt(with_headphones, listener):
    assert begin(listener) == begin(listener)
    assert Participation.objects.get().headphone_attempts == 1


def test_an_attempt_is_answered_once(with_headphones, listener):
    assert listener.post("/api/studies/open/headphones/1/", {"answers": [1] * 6}).json()["code"] == "headphones_done"
    hear(listener, with_headphones)
    again = listener.post("/api/studies/open/headphones/1/", {"answers": [1] * 6})
    assert (again.status_code, again.json()["code"]) == (409, "headphones_done")


@pytest.mark.parametrize(
    "body",
    [{}, {"answers": [1] * 5}, {"answers": [0] + [1] * 5}, {"answers": [1] * 6, "unplayable": True}, {"answers": "1"}],
)
def test_answers_that_are_none_are_a_400_and_the_attempt_stays_open(with_headphones, listener, body):
    begin(listener)
    assert listener.post("/api/studies/open/headphones/1/", body).status_code == 400
    assert hear(listener, with_headphones)["result"] == "pass"


def test_trials_are_the_raters_own_and_of_the_open_attempt(with_headphones, listener):
    url = begin(listener)["trials"][0]["url"]
    other = Listener().agree()
    assert other.get(url).status_code == 404
    begin(other)
    assert other.get(url).content != listener.get(url).content
    assert listener.get("/audio/headphones/open/2/1").status_code == 404
    assert listener.get("/audio/headphones/open/1/7").status_code == 404
    assert listener.get("/audio/headphones/open/1/0").status_code == 404


# ---- the end ----


@pytest.fixture
def coded(checked):  # noqa: F811
    checked.platform = {"participant": "PROLIFIC_PID", "session": "SESSION_ID"}
    checked.completion = {
        "message": "Thank you.",
        "codes": CODES,
        "return_url": "https://panel.example/back?p={participant}&s={session}&cc={code}&o={outcome}",
    }
    checked.save()
    return checked


class FromPlatform(Sitting):
    def __init__(self, time_passes):
        self.listener, answer = enter()
        assert answer.status_code == 201
        self.time_passes, self.told = time_passes, []

    def complete(self):
        platform = {"PROLIFIC_PID": PID, "SESSION_ID": "x 9&b", "EXTRA": "e"}
        return self.listener.post("/api/studies/open/completion/", {"platform": platform})


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


def test_only_a_participant_of_the_study_is_known_to_it(prolific):
    with pytest.raises(Forbidden):
        participant_of(prolific, {"PROLIFIC_PID": ""}, new_invitation(prolific))
