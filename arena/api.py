"""The stage over HTTP: become a rater, get a battle, skip one. The contract is DESIGN.md section 5."""

from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from . import services
from .rater_cookie import RaterCookieAuthentication, set_rater

REFUSED = OpenApiResponse(
    inline_serializer("Refused", {"code": serializers.CharField(), "detail": serializers.CharField()})
)


class StrictSerializer(serializers.Serializer):
    """A serializer that names the fields it does not know instead of dropping them."""

    def to_internal_value(self, data):
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({name: ["Unknown field."] for name in unknown})
        return super().to_internal_value(data)


class RaterRequest(StrictSerializer):
    study = serializers.SlugField(required=False, allow_null=True)
    consent_version = serializers.IntegerField(min_value=1)


class BattleRequest(StrictSerializer):
    study = serializers.SlugField(required=False, allow_null=True)
    after = serializers.UUIDField(required=False, allow_null=True)


class SkipRequest(StrictSerializer):
    reason = serializers.ChoiceField(choices=services.SKIP_REASONS)


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


def validated(serializer_class, data):
    serializer = serializer_class(data=data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


@extend_schema(
    request=RaterRequest,
    responses={
        201: inline_serializer("RaterResponse", {"id": serializers.UUIDField(), "study": serializers.CharField()}),
        409: REFUSED,
    },
)
@api_view(["POST"])
@authentication_classes([RaterCookieAuthentication])
def raters(request):
    """Consent to a study; the answer sets the rater cookie."""
    asked = validated(RaterRequest, request.data)
    study = services.find_study(asked.get("study"))
    known = request.user if request.user.is_authenticated else None
    rater = services.give_consent(known, study, asked["consent_version"])
    return set_rater(Response({"id": rater.pk, "study": study.slug}, status=201), rater)


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
    battle, created = services.serve_battle(request.user, study, after=asked.get("after"))
    return Response(battle_json(battle), status=201 if created else 200)


def battle_json(battle):
    """What a browser gets before the vote: nothing in it tells the systems apart."""
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
        "progress": services.progress(battle.rater, study),
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
    battle = services.skip_battle(request.user, battle_id, reason)
    return Response({"id": battle.pk, "closed_at": battle.closed_at})
