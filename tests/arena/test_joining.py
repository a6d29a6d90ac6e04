"""Into a study: from a platform, by invitation, and what it asks for before the first battle."""

import hashlib

import pytest

from arena.models import Participation, Rater, Study
from arena.participants import new_invitation, participant_of
from arena.refusals import Forbidden
from tests.casts.joining import PID, enter, hear
from tests.casts.listener import Listener

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


UNFILLED = [
    "{{%PROLIFIC_PID%}}", "{{PROLIFIC_PID}}", "{PROLIFIC_PID}", "${e://Field/PROLIFIC_PID}", "#{pid}", "[%PID%]",
    "[workerId]", "%PROLIFIC_PID%", "%%PID%%", "<pid>", "$PID", "$(PID)", "__PID__", "PROLIFIC_PID", "prolific_pid",
    " {{%PROLIFIC_PID%}} ", "%7B%7B%25PROLIFIC_PID%25%7D%7D", "%257B%257BPID%257D%257D", "pid={{%PROLIFIC_PID%}}",
    "undefined", "null", "ASSIGNMENT_ID_NOT_AVAILABLE", "{{%PROLIFIC_PID",
]  # fmt: skip


@pytest.mark.parametrize("value", UNFILLED)
@pytest.mark.parametrize("parameter", ["PROLIFIC_PID", "SESSION_ID"])
def test_a_placeholder_that_the_platform_did_not_fill_in_is_refused_in_words(prolific, value, parameter):
    platform = {"PROLIFIC_PID": PID, "STUDY_ID": "s1", "SESSION_ID": "x9", parameter: value}
    refused = Listener().post("/api/raters/", {"consent_version": 1, "platform": platform})
    assert (refused.status_code, refused.json()["code"]) == (403, "platform_unfilled")
    detail = refused.json()["detail"]
    assert detail.startswith(parameter) and value.strip() in detail
    assert not Rater.objects.exists()
    declined = Listener().post("/api/studies/open/decline/", {"reason": "no_consent", "platform": platform})
    assert (declined.status_code, declined.json()["code"]) == (403, "platform_unfilled")


@pytest.mark.parametrize(
    "value", [PID, "A1B2-C3_d4", "anna+1@example.org", "R_2xYz", "90 %", "YWJj/+A==", "müller", "0"]
)
def test_what_is_no_placeholder_enters(prolific, value):
    assert enter(pid=value)[1].status_code == 201


def test_a_placeholder_for_a_parameter_that_the_study_does_not_name_is_ignored(prolific):
    platform = {"PROLIFIC_PID": PID, "STUDY_ID": "s1", "SESSION_ID": "x9", "utm": "{{source}}"}
    assert Listener().post("/api/raters/", {"consent_version": 1, "platform": platform}).status_code == 201


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


def test_only_a_participant_of_the_study_is_known_to_it(prolific):
    with pytest.raises(Forbidden):
        participant_of(prolific, {"PROLIFIC_PID": ""}, new_invitation(prolific))


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
