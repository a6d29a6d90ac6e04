"""Get a battle, skip one."""

from django.urls import reverse
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from arena import services, serving
from arena.rater_cookie import RaterCookieAuthentication

from .contract import REFUSED, StrictSerializer, validated


class BattleRequest(StrictSerializer):
    study = serializers.SlugField(required=False, allow_null=True)
    after = serializers.UUIDField(required=False, allow_null=True)
    like = serializers.UUIDField(
        required=False, allow_null=True, help_text="An answered battle, to get another one for its prompt."
    )


class SkipRequest(StrictSerializer):
    reason = serializers.ChoiceField(choices=serving.SKIP_REASONS)


class SlotClip(serializers.Serializer):
    url = serializers.CharField()
    duration_ms = serializers.IntegerField()
    peaks = serializers.ListField(child=serializers.FloatField())


class BattleResponse(serializers.Serializer):
    id = serializers.UUIDField()
    study = serializers.CharField()
    prompt = inline_serializer("PromptOfBattle", {"text": serializers.CharField(), "lyrics": serializers.CharField()})
    answers = serializers.ListField(child=serializers.CharField())
    questions = serializers.DictField()
    min_listen_ms = serializers.IntegerField()
    expires_at = serializers.DateTimeField()
    clips = inline_serializer("ClipsOfBattle", {"A": SlotClip(), "B": SlotClip()})
    progress = inline_serializer("Progress", {"done": serializers.IntegerField(), "total": serializers.IntegerField()})


@extend_schema(
    request=BattleRequest,
    responses={200: BattleResponse, 201: BattleResponse, 401: REFUSED, 403: REFUSED, 404: REFUSED, 409: REFUSED},
)
@api_view(["POST"])
@authentication_classes([RaterCookieAuthentication])
@permission_classes([IsAuthenticated])
def battles(request):
    """The rater's oldest open battle (200), else a new one (201)."""
    asked = validated(BattleRequest, request.data)
    study = services.find_study(asked.get("study"))
    battle, created = serving.serve_battle(request.user, study, after=asked.get("after"), like=asked.get("like"))
    return Response(battle_json(battle), status=201 if created else 200)


def battle_json(battle):
    """What a browser gets before the vote: nothing in it identifies a system."""
    study = battle.study
    return {
        "id": battle.pk,
        "study": study.slug,
        "prompt": {"text": battle.prompt.text, "lyrics": battle.prompt.lyrics},
        "answers": study.answers,
        "questions": study.questions,
        "min_listen_ms": min(study.min_listen_ms, battle.length_ms),
        "expires_at": battle.expires_at,
        "clips": {
            slot: {
                "url": reverse("excerpt", args=[battle.pk, slot]),
                "duration_ms": battle.length_ms,
                "peaks": battle.excerpt(slot).peaks,
            }
            for slot in ("A", "B")
        },
        "progress": serving.progress(battle.rater, study),
    }


@extend_schema(
    request=SkipRequest,
    responses={
        200: inline_serializer("Skipped", {"id": serializers.UUIDField(), "closed_at": serializers.DateTimeField()}),
        404: REFUSED,
        409: REFUSED,
    },
)
@api_view(["POST"])
@authentication_classes([RaterCookieAuthentication])
@permission_classes([IsAuthenticated])
def skip(request, battle_id):
    """Close a battle without an answer."""
    reason = validated(SkipRequest, request.data)["reason"]
    battle = serving.skip_battle(request.user, battle_id, reason)
    return Response({"id": battle.pk, "closed_at": battle.closed_at})
