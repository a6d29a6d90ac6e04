"""Get a battle, skip one."""

from functools import lru_cache
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from arena import limits, services, serving
from arena.models import Prompt, Study
from arena.rater_cookie import RATER_COOKIE, RaterCookieAuthentication, UnreadRaterAuthentication

from .contract import Answer, StrictSerializer, answer, refusals, validated
from .joining import ProofOfWork, proof_in


class BattleRequest(StrictSerializer):
    study = serializers.SlugField(required=False, allow_null=True)
    after = serializers.UUIDField(required=False, allow_null=True)
    like = serializers.UUIDField(
        required=False, allow_null=True, help_text="An answered battle, to get another one for its prompt."
    )
    proof = ProofOfWork(required=False, allow_null=True, help_text="The answer to a challenge of proof_needed.")


class SkipRequest(StrictSerializer):
    reason = serializers.ChoiceField(choices=serving.SKIP_REASONS)


class PromptOfBattle(Answer):
    text = serializers.CharField()
    lyrics = serializers.CharField()


class Questions(Answer):
    """What the study asks beside the preference; what is not there is not asked."""

    degree = serializers.BooleanField(required=False)
    axes = serializers.ListField(child=serializers.CharField(), required=False)
    tags = serializers.ListField(child=serializers.CharField(), required=False)
    comment = serializers.BooleanField(required=False)


class SlotClip(Answer):
    url = serializers.CharField()
    duration_ms = serializers.IntegerField()
    peaks = serializers.ListField(
        child=serializers.FloatField(), allow_null=True, help_text="Always null: draw from the decoded samples."
    )


class ClipsOfBattle(Answer):
    A = SlotClip()
    B = SlotClip()


class Progress(Answer):
    done = serializers.IntegerField()
    total = serializers.IntegerField()


class BattleResponse(Answer):
    id = serializers.UUIDField()
    study = serializers.CharField()
    prompt = PromptOfBattle()
    answers = serializers.ListField(child=serializers.CharField())
    questions = Questions()
    min_listen_ms = serializers.IntegerField()
    expires_at = serializers.DateTimeField()
    clips = ClipsOfBattle()
    progress = Progress()


class Listened(Answer):
    id = serializers.UUIDField()
    late_from = serializers.DateTimeField()


class Skipped(Answer):
    id = serializers.UUIDField()
    closed_at = serializers.DateTimeField()


@extend_schema(
    request=BattleRequest,
    responses={200: BattleResponse, 201: BattleResponse, **refusals(400, 401, 403, 404, 409, 429)},
    auth=RATER_COOKIE,
)
@api_view(["POST"])
@authentication_classes([UnreadRaterAuthentication])
@permission_classes([IsAuthenticated])
def battles(request: Any) -> Response:
    """The rater's oldest open battle (200), else a new one (201)."""
    asked = validated(BattleRequest, request.data)
    study = services.find_study(asked.get("study"))
    came_by = limits.marks_of(request, timezone.now())
    served = serving.serve(
        request.user, study, after=asked.get("after"), like=asked.get("like"), came_by=came_by, proof=proof_in(asked)
    )
    return answer(BattleResponse, battle_json(served, study), status=201 if served.created else 200)


def battle_json(served: serving.Served, study: Study) -> dict[str, Any]:
    """What a browser gets before the vote: nothing in it identifies a system."""
    battle = served.battle
    text, lyrics = _words_of(battle.prompt_id)
    return {
        "id": battle.pk,
        "study": study.slug,
        "prompt": {"text": text, "lyrics": lyrics},
        "answers": study.answers,
        "questions": study.questions,
        "min_listen_ms": min(study.min_listen_ms, battle.length_ms),
        "expires_at": battle.expires_at,
        "clips": {
            slot: {
                "url": reverse("excerpt", args=[battle.pk, slot]),
                "duration_ms": battle.length_ms,
                "peaks": None,  # a picture of the clip would name it in other battles; the page draws its own
            }
            for slot in ("A", "B")
        },
        "progress": served.progress,
    }


@lru_cache(maxsize=1000)
def _words_of(prompt_id):
    """(text, lyrics), which never change."""
    prompt = Prompt.objects.get(pk=prompt_id)
    return _in_lines(prompt.text), _in_lines(prompt.lyrics)


def _in_lines(text):
    """The text with line feeds for whatever ends its lines: browsers break lines at nothing else."""
    return "\n".join(text.splitlines())


@extend_schema(request=None, responses={200: Listened, **refusals(401, 403, 404)})
@api_view(["POST"])
@authentication_classes([RaterCookieAuthentication])
@permission_classes([IsAuthenticated])
def listening(request: Any, battle_id: UUID) -> Response:
    """The page plays this battle: its place is held for longer."""
    battle = serving.keep_listening(request.user, battle_id, timezone.now())
    return answer(Listened, {"id": battle.pk, "late_from": serving.late_from(battle)})


@extend_schema(request=SkipRequest, responses={200: Skipped, **refusals(400, 401, 403, 404, 409)})
@api_view(["POST"])
@authentication_classes([RaterCookieAuthentication])
@permission_classes([IsAuthenticated])
def skip(request: Any, battle_id: UUID) -> Response:
    """Close a battle without an answer."""
    reason = validated(SkipRequest, request.data)["reason"]
    battle = serving.skip_battle(request.user, battle_id, reason)
    return answer(Skipped, {"id": battle.pk, "closed_at": battle.closed_at})
