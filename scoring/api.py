"""The jury over HTTP: the board, the insight after a vote, exports. The contract is DESIGN.md section 5."""

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.authentication import TokenAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.response import Response

from annotations import ledger
from annotations.exports import FORMATS
from arena.api import REFUSED, StrictSerializer, validated
from arena.rater_cookie import RaterCookieAuthentication
from arena.services import find_study

from .access import STAFF_SIGN_IN, api_study, kept_private
from .board import board_json, find_edition
from .boards import OVERALL
from .exclusions import exclusions as exclusions_of
from .history import download
from .insight import insight as insight_of
from .releases import content_of, current_config

CONTENT_TYPES = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}


class LeaderboardQuery(StrictSerializer):
    study = serializers.SlugField(required=False)
    category = serializers.CharField(
        required=False, default=OVERALL, help_text="overall, or one of `categories`, such as tag:ballad, language:de."
    )
    edition = serializers.IntegerField(required=False, min_value=1)


class ExclusionsQuery(StrictSerializer):
    study = serializers.SlugField(required=False)
    before = serializers.IntegerField(required=False, min_value=1, help_text="The `next_before` of the page before.")


class ExportQuery(StrictSerializer):
    format = serializers.ChoiceField(choices=FORMATS, required=False, default="jsonl")
    study = serializers.SlugField(required=False)


def given(query):
    """The parameters that say something: `?study=&edition=` asks for the defaults."""
    return {name: value for name, value in query.items() if value}


class IsResearcher(BasePermission):
    message = "Exports are for researchers: ask an admin to add your account to the group `researchers`."

    def has_permission(self, request, view):
        user = request.user
        return bool(user.is_authenticated and (user.is_staff or user.groups.filter(name="researchers").exists()))


@extend_schema(
    parameters=[LeaderboardQuery],
    responses={
        200: inline_serializer(
            "Leaderboard",
            {
                "study": serializers.CharField(),
                "simulated": serializers.BooleanField(),
                "category": serializers.CharField(),
                "categories": serializers.ListField(child=serializers.DictField()),
                "edition": serializers.IntegerField(allow_null=True),
                "about": serializers.DictField(allow_null=True),
                "n_votes": serializers.IntegerField(),
                "pooling": serializers.DictField(allow_null=True),
                "groups": serializers.ListField(child=serializers.ListField(child=serializers.DictField())),
                "not_yet_rated": serializers.ListField(child=serializers.DictField()),
                "reward_model": serializers.CharField(allow_null=True),
            },
        ),
        403: REFUSED,
        404: REFUSED,
    },
)
@api_view(["GET"])
@authentication_classes(STAFF_SIGN_IN)
def leaderboard(request):
    """The board of a study or of one of its categories: its last edition, or the numbered one."""
    asked = validated(LeaderboardQuery, given(request.query_params))
    study = api_study(request, asked.get("study"))
    edition = find_edition(study, asked.get("edition"), asked["category"])
    return kept_private(Response(board_json(study, edition, asked["category"])), study)


@extend_schema(
    parameters=[ExclusionsQuery],
    responses={
        200: inline_serializer(
            "Exclusions",
            {
                "study": serializers.CharField(),
                "rules": serializers.ListField(child=serializers.DictField()),
                "flags": serializers.ListField(child=serializers.DictField()),
                "next_before": serializers.IntegerField(allow_null=True),
            },
        ),
        403: REFUSED,
        404: REFUSED,
    },
)
@api_view(["GET"])
@authentication_classes(STAFF_SIGN_IN)
def exclusions(request):
    """Which votes were flagged, by which rule, and whether the board leaves them out."""
    asked = validated(ExclusionsQuery, given(request.query_params))
    study = api_study(request, asked.get("study"))
    return kept_private(Response(exclusions_of(study, asked.get("before"))), study)


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


@extend_schema(
    parameters=[ExportQuery],
    responses={(200, "application/x-ndjson"): OpenApiTypes.STR, (200, "text/csv"): OpenApiTypes.STR, 403: REFUSED},
    auth=[{"tokenAuth": []}],
)
@api_view(["GET"])
@authentication_classes([TokenAuthentication])
@permission_classes([IsResearcher])
def exports(request, content):
    """Every vote, or every training pair, of one moment, streamed."""
    asked = validated(ExportQuery, given(request.query_params))
    study = find_study(asked["study"]) if "study" in asked else None
    pieces = content_of(
        content, asked["format"], seq=ledger.head(), study=study, config=current_config(content), excluded=None
    )
    return StreamingHttpResponse(
        (text for _, text in pieces),
        content_type=CONTENT_TYPES[asked["format"]],
        headers={"Content-Disposition": f'attachment; filename="{content}.{asked["format"]}"'},
    )
