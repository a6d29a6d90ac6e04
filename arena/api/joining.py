"""Become a rater, and pass the checks of a study before the first battle."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from arena import limits, participants, services
from arena.models import Study
from arena.rater_cookie import RaterCookieAuthentication, set_rater
from arena.refusals import Refusal

from .contract import Answer, StrictSerializer, answer, refusals, validated

PLATFORM = serializers.DictField(
    child=serializers.CharField(allow_blank=True, max_length=participants.MAX_LENGTH),
    required=False, allow_null=True,
    help_text="The URL parameters with which the study's platform sends raters, by name.",
)  # fmt: skip


class ProofOfWork(StrictSerializer):
    challenge = serializers.CharField(max_length=200)
    numbers = serializers.ListField(child=serializers.IntegerField(min_value=0, max_value=2**32 - 1), max_length=64)


def proof_in(asked: dict[str, Any]) -> limits.Proof | None:
    """The proof of work in a request's fields."""
    sent = asked.get("proof")
    return limits.Proof(sent["challenge"], tuple(sent["numbers"])) if sent else None


class RaterRequest(StrictSerializer):
    study = serializers.SlugField(required=False, allow_null=True)
    consent_version = serializers.IntegerField(min_value=1)
    platform = PLATFORM
    invitation = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=100)
    group = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=60, help_text="One of the study's groups."
    )
    proof = ProofOfWork(required=False, allow_null=True, help_text="The answer to a challenge of proof_needed.")


class DeclineRequest(StrictSerializer):
    reason = serializers.ChoiceField(choices=["no_consent", "incompatible_device"])
    platform = PLATFORM


class VolumeRequest(StrictSerializer):
    level = serializers.FloatField(min_value=0, max_value=1)


class HeadphonesRequest(StrictSerializer):
    answers = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=3), required=False, max_length=20
    )
    unplayable = serializers.BooleanField(required=False)


class RaterResponse(Answer):
    id = serializers.UUIDField()
    study = serializers.CharField()


class Outcome(Answer):
    outcome = serializers.CharField()
    message = serializers.CharField()
    code = serializers.CharField(allow_null=True)
    url = serializers.CharField(allow_null=True, help_text="Where to go back to, signed.")


class Volume(Answer):
    level = serializers.FloatField()


class HeadphoneTrial(Answer):
    url = serializers.CharField()


class HeadphoneAttempt(Answer):
    attempt = serializers.IntegerField()
    attempts_left = serializers.IntegerField()
    trials = HeadphoneTrial(many=True)


class HeadphoneResult(Answer):
    result = serializers.ChoiceField(choices=["pass", "fail", "unknown"])
    correct = serializers.IntegerField(allow_null=True)
    of = serializers.IntegerField()
    attempts_left = serializers.IntegerField()


@extend_schema(request=RaterRequest, responses={201: RaterResponse, **refusals(400, 403, 404, 409, 429)})
@api_view(["POST"])
@authentication_classes([RaterCookieAuthentication])
def raters(request: Any) -> HttpResponse:
    """Consent to a study; the answer sets the rater cookie."""
    asked = validated(RaterRequest, request.data)
    study = services.find_study(asked.get("study"))
    known = request.user if request.user.is_authenticated else None
    rater = services.give_consent(
        known,
        study,
        asked["consent_version"],
        group=asked.get("group") or "",
        participant=participants.participant_of(study, asked.get("platform"), asked.get("invitation")),
        came_by=limits.marks_of(request, timezone.now()),
        proof=proof_in(asked),
    )
    return set_rater(answer(RaterResponse, {"id": rater.pk, "study": study.slug}, status=201), rater)


@extend_schema(request=DeclineRequest, responses={200: Outcome, **refusals(400, 403, 404)})
@api_view(["POST"])
@authentication_classes([])
def decline(request: Request, slug: str) -> Response:
    """Decline to take part: the message and the URL to return to. Nothing about the person is stored."""
    asked = validated(DeclineRequest, request.data)
    study = services.find_study(slug)
    participants.refuse_unfilled(study, asked.get("platform"))
    return answer(Outcome, outcome_json(study, asked["reason"], asked.get("platform")))


def outcome_json(study: Study, outcome: str, platform: dict[str, str] | None) -> dict[str, Any]:
    """How a listening test ended, with the study's message, code and return URL."""
    code = study.completion.get("codes", {}).get(outcome)
    return {
        "outcome": outcome,
        "message": study.completion.get("message", ""),
        "code": code,
        "url": participants.return_url(study, outcome=outcome, code=code, platform=platform),
    }


@extend_schema(request=VolumeRequest, responses={200: Volume, **refusals(400, 401, 403, 404)})
@api_view(["POST"])
@authentication_classes([RaterCookieAuthentication])
@permission_classes([IsAuthenticated])
def volume(request: Any, slug: str) -> Response:
    """The volume that the rater has found comfortable."""
    level = validated(VolumeRequest, request.data)["level"]
    services.set_volume(request.user, services.find_study(slug), level)
    return answer(Volume, {"level": level})


@extend_schema(request=None, responses={201: HeadphoneAttempt, **refusals(401, 403, 404, 409)})
@api_view(["POST"])
@authentication_classes([RaterCookieAuthentication])
@permission_classes([IsAuthenticated])
def headphones(request: Any, slug: str) -> Response:
    """Begin the headphone check, or continue the open attempt."""
    study = services.find_study(slug)
    attempt = services.begin_headphones(request.user, study)
    n_trials = len(services.headphone_targets(request.user, study, attempt))
    return answer(
        HeadphoneAttempt,
        {
            "attempt": attempt,
            "attempts_left": services.HEADPHONE_ATTEMPTS - attempt,
            "trials": [
                {"url": reverse("headphone-trial", args=[slug, attempt, number])} for number in range(1, n_trials + 1)
            ],
        },
        status=201,
    )


@extend_schema(
    operation_id="studies_headphones_answer",
    request=HeadphonesRequest,
    responses={200: HeadphoneResult, **refusals(400, 401, 403, 404, 409)},
)
@api_view(["POST"])
@authentication_classes([RaterCookieAuthentication])
@permission_classes([IsAuthenticated])
def headphone_answers(request: Any, slug: str, attempt: int) -> Response:
    """Answer all trials of the open attempt, or say that they cannot be played."""
    asked = validated(HeadphonesRequest, request.data)
    unplayable = asked.get("unplayable", False)
    if unplayable == ("answers" in asked):
        raise Refusal('Send either {"answers": [...]} or {"unplayable": true}.')
    answers = None if unplayable else asked["answers"]
    judged = services.answer_headphones(request.user, services.find_study(slug), attempt, answers)
    return answer(HeadphoneResult, judged)
