"""Votes over HTTP: vote, undo a vote, withdraw. The contract is docs/api.md."""

import json
from typing import Any
from uuid import UUID

from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from arena.api import Answer, StrictSerializer, answer, refusals, validated
from arena.api.joining import PLATFORM, Outcome, outcome_json
from arena.limits import marks_of
from arena.models import ANSWERS, Battle
from arena.rater_cookie import RATER_COOKIE, RaterCookieAuthentication, UnreadRaterAuthentication, forget_rater
from arena.refusals import Refusal
from arena.services import find_study

from . import services
from .checks import check_json
from .completion import finish
from .models import Vote

OPTIONAL: dict[str, Any] = {"required": False, "allow_null": True}


MAX_EVENT = 500  # characters of one event as JSON; those of the page have up to 60


class EventField(serializers.JSONField):
    """One event of the player, of any form: those of another form than ours are stored and count for nothing."""

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        if len(json.dumps(value)) > MAX_EVENT:
            raise serializers.ValidationError(f"An event may have {MAX_EVENT} characters as JSON.")
        return value


class VoteRequest(StrictSerializer):
    preference = serializers.ChoiceField(choices=ANSWERS)
    degree = serializers.ChoiceField(choices=["much", "slightly"], allow_blank=True, **OPTIONAL)
    axes = serializers.DictField(child=serializers.CharField(), **OPTIONAL)
    tags = serializers.ListField(child=serializers.CharField(), **OPTIONAL)
    comment = serializers.CharField(allow_blank=True, max_length=2000, **OPTIONAL)
    heard = serializers.JSONField(help_text='{"A": [[start, end], ...], "B": [...]} in ms of clip time')
    first_played = serializers.ChoiceField(choices=["A", "B"])
    switches = serializers.IntegerField(min_value=0, max_value=100_000)
    events = serializers.ListField(child=EventField(), max_length=5000, **OPTIONAL)


class Systems(Answer):
    A = serializers.CharField(allow_null=True)
    B = serializers.CharField(allow_null=True)


class Check(Answer):
    kind = serializers.CharField()
    expected = serializers.CharField(allow_null=True)
    passed = serializers.BooleanField(allow_null=True)


class VoteResponse(Answer):
    id = serializers.IntegerField()
    received_at = serializers.DateTimeField()
    systems = Systems(help_text="Who was who; null where the study does not reveal.")
    check = Check(required=False, help_text="After practice; and after a gold, trap or repeat where the study reveals.")


class VoteWithdrawn(Answer):
    id = serializers.IntegerField()
    withdrawn = serializers.BooleanField()


class VotesWithdrawn(Answer):
    withdrawn = serializers.IntegerField()


class CompletionRequest(StrictSerializer):
    platform = PLATFORM


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", OpenApiTypes.STR, OpenApiParameter.HEADER, required=True,
    description="Chosen by the client: new for every answer, the same when an answer is sent again.",
)  # fmt: skip


@extend_schema(
    methods=["POST"],
    parameters=[IDEMPOTENCY_KEY],
    request=VoteRequest,
    responses={201: VoteResponse, **refusals(400, 401, 403, 404, 409, 410, 422)},
    auth=RATER_COOKIE,
)
@extend_schema(methods=["DELETE"], responses={200: VoteWithdrawn, **refusals(401, 403, 404, 410)}, auth=RATER_COOKIE)
@api_view(["POST", "DELETE"])
@authentication_classes([UnreadRaterAuthentication])
@permission_classes([IsAuthenticated])
def vote(request: Any, battle_id: UUID) -> Response:
    """Answer a battle; DELETE within 10 s takes the answer back (the battle stays closed)."""
    if request.method == "DELETE":
        taken_back = services.withdraw_vote(request.user, battle_id)
        return answer(VoteWithdrawn, {"id": taken_back.pk, "withdrawn": True})
    fields = {name: value for name, value in validated(VoteRequest, request.data).items() if value is not None}
    opinion = services.Answer(
        **fields,
        user_agent=request.headers.get("User-Agent", "")[:300],
        language=request.headers.get("Accept-Language", "")[:100],
    )
    came_by = marks_of(request, timezone.now())
    stored, _ = services.cast_vote(request.user, battle_id, opinion, _idempotency_key(request), came_by=came_by)
    return answer(VoteResponse, vote_json(stored), status=201)


def vote_json(vote: Vote) -> dict[str, Any]:
    """The response to a vote: only what never changes."""
    battle = vote.battle
    reveal = battle.study.reveal
    body = {
        "id": vote.pk,
        "received_at": vote.received_at,
        "systems": {
            "A": battle.system_a.name if reveal else None,
            "B": battle.system_b.name if reveal else None,
        },
    }
    check = check_json(vote) if reveal or battle.kind == Battle.Kind.PRACTICE else None
    return {**body, "check": check} if check else body


def _idempotency_key(request):
    key = request.headers.get("Idempotency-Key", "").strip()
    if not 1 <= len(key) <= 100 or not key.isprintable():
        raise Refusal("Send an Idempotency-Key header of 1 to 100 printable characters, new for every answer.")
    return key


@extend_schema(responses={204: None, **refusals(401, 403)})
@api_view(["DELETE"])
@authentication_classes([RaterCookieAuthentication])
@permission_classes([IsAuthenticated])
def me(request: Any) -> HttpResponseBase:
    """Withdraw every vote of this rater and erase everything personal."""
    services.withdraw_rater(request.user)
    return forget_rater(Response(status=204))


@extend_schema(request=None, responses={200: VotesWithdrawn, **refusals(401, 403)})
@api_view(["POST"])
@authentication_classes([RaterCookieAuthentication])
@permission_classes([IsAuthenticated])
def withdraw(request: Any) -> Response:
    """Withdraw every vote of this rater, who may go on voting."""
    return answer(VotesWithdrawn, {"withdrawn": services.withdraw_votes(request.user)})


@extend_schema(request=CompletionRequest, responses={200: Outcome, **refusals(400, 401, 403, 404, 409)})
@api_view(["POST"])
@authentication_classes([RaterCookieAuthentication])
@permission_classes([IsAuthenticated])
def completion(request: Any, slug: str) -> Response:
    """How the listening test ended, with the completion code for the platform, once the server has every vote."""
    asked = validated(CompletionRequest, request.data)
    study = find_study(slug)
    outcome = finish(request.user, study, asked.get("platform"))
    return answer(Outcome, outcome_json(study, outcome, asked.get("platform")))
