"""The board of a study, and what it leaves out."""

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.response import Response

from arena.api import REFUSED, StrictSerializer, validated
from arena.services import find_study
from scoring.board import OVERALL, board_json, find_edition
from scoring.exclusions import exclusions as exclusions_of

from .access import given


class LeaderboardQuery(StrictSerializer):
    study = serializers.SlugField(required=False)
    category = serializers.CharField(required=False, default=OVERALL)
    edition = serializers.IntegerField(required=False, min_value=1)


class ExclusionsQuery(StrictSerializer):
    study = serializers.SlugField(required=False)
    before = serializers.IntegerField(required=False, min_value=1, help_text="The `next_before` of the page before.")


@extend_schema(
    parameters=[LeaderboardQuery],
    responses={
        200: inline_serializer(
            "Leaderboard",
            {
                "study": serializers.CharField(),
                "simulated": serializers.BooleanField(),
                "category": serializers.CharField(),
                "edition": serializers.IntegerField(allow_null=True),
                "about": serializers.DictField(allow_null=True),
                "n_votes": serializers.IntegerField(),
                "groups": serializers.ListField(child=serializers.ListField(child=serializers.DictField())),
                "not_yet_rated": serializers.ListField(child=serializers.DictField()),
                "reward_model": serializers.CharField(allow_null=True),
            },
        ),
        404: REFUSED,
    },
)
@api_view(["GET"])
def leaderboard(request):
    """The board of a study: its last edition, or the numbered one."""
    asked = validated(LeaderboardQuery, given(request.query_params))
    study = find_study(asked.get("study"))
    return Response(board_json(study, find_edition(study, asked.get("edition"), asked["category"])))


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
        404: REFUSED,
    },
)
@api_view(["GET"])
def exclusions(request):
    """Which votes were flagged, by which rule, and whether the board leaves them out."""
    asked = validated(ExclusionsQuery, given(request.query_params))
    return Response(exclusions_of(find_study(asked.get("study")), asked.get("before")))
