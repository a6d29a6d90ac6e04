"""The board of a study, and what it leaves out."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes
from rest_framework.request import Request
from rest_framework.response import Response

from arena.api import StrictSerializer, answer, refusals, validated
from scoring.access import STAFF_SIGN_IN, api_study, kept_private
from scoring.boards.exclusions import exclusions as exclusions_of
from scoring.boards.page import board_json, find_edition
from scoring.stats.board_method import OVERALL

from .access import given
from .shapes.boards import Exclusions, Leaderboard


class LeaderboardQuery(StrictSerializer):
    study = serializers.SlugField(required=False)
    category = serializers.CharField(
        required=False, default=OVERALL, help_text="overall, or one of `categories`, such as tag:ballad, language:de."
    )
    edition = serializers.IntegerField(required=False, min_value=1)


class ExclusionsQuery(StrictSerializer):
    study = serializers.SlugField(required=False)
    before = serializers.IntegerField(required=False, min_value=1, help_text="The `next_before` of the page before.")


@extend_schema(parameters=[LeaderboardQuery], responses={200: Leaderboard, **refusals(400, 403, 404)})
@api_view(["GET"])
@authentication_classes(STAFF_SIGN_IN)
def leaderboard(request: Request) -> Response:
    """The board of a study or of one of its categories: its last edition, or the numbered one."""
    asked = validated(LeaderboardQuery, given(request.query_params))
    study = api_study(request, asked.get("study"))
    edition = find_edition(study, asked.get("edition"), asked["category"])
    return kept_private(answer(Leaderboard, board_json(study, edition, asked["category"])), study)


@extend_schema(parameters=[ExclusionsQuery], responses={200: Exclusions, **refusals(400, 403, 404)})
@api_view(["GET"])
@authentication_classes(STAFF_SIGN_IN)
def exclusions(request: Request) -> Response:
    """Which votes were flagged, by which rule, and whether the board leaves them out."""
    asked = validated(ExclusionsQuery, given(request.query_params))
    study = api_study(request, asked.get("study"))
    return kept_private(answer(Exclusions, exclusions_of(study, asked.get("before"))), study)
