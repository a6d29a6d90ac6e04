"""A listener's own: the insight after a vote, and all answers to take along."""

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from arena.api import REFUSED
from arena.rater_cookie import RaterCookieAuthentication
from scoring.listeners.insight import insight as insight_of
from scoring.listeners.own_page import download


@extend_schema(
    responses={
        200: inline_serializer(
            "Insight",
            {
                "model": serializers.DictField(allow_null=True),
                "crowd": serializers.DictField(allow_null=True),
                "agreement": serializers.DictField(),
            },
        ),
        404: REFUSED,
    }
)
@api_view(["GET"])
@authentication_classes([RaterCookieAuthentication])
@permission_classes([IsAuthenticated])
def insight(request, battle_id):
    """After the vote: the model's opinion, the crowd's share, own agreement; null where not yet known."""
    return Response(insight_of(request.user, battle_id))


@extend_schema(
    responses={
        200: inline_serializer(
            "OwnHistory",
            {
                "rater": serializers.UUIDField(),
                "written_at": serializers.DateTimeField(),
                "agreement": serializers.DictField(),
                "studies": serializers.ListField(child=serializers.DictField()),
                "votes": serializers.ListField(child=serializers.DictField()),
            },
        ),
        401: REFUSED,
    }
)
@api_view(["GET"])
@authentication_classes([RaterCookieAuthentication])
@permission_classes([IsAuthenticated])
def history(request):
    """The listener's own answers, with all else that is kept of them: theirs to take along."""
    headers = {"Content-Disposition": 'attachment; filename="my-answers.json"', "Cache-Control": "private, no-store"}
    return Response(download(request.user), headers=headers)
