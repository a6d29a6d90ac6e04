"""A board's history and robustness over HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes
from rest_framework.request import Request
from rest_framework.response import Response

from arena.api import StrictSerializer, answer, refusals, validated
from scoring.access import STAFF_SIGN_IN, api_study, kept_private
from scoring.boards.changelog import changelog, difference
from scoring.boards.page import find_edition
from scoring.boards.robustness_cards import card_json

from .access import given
from .shapes.editions import EditionDifference, Editions
from .shapes.robustness import Robustness


class EditionsQuery(StrictSerializer):
    study = serializers.SlugField(required=False)
    before = serializers.IntegerField(required=False, min_value=1, help_text="The `next_before` of the page before.")


class DifferenceQuery(StrictSerializer):
    study = serializers.SlugField(required=False)
    to = serializers.IntegerField(min_value=1, help_text="The later edition.")

    def get_fields(self) -> dict[str, Any]:
        """`from` is a word that Python keeps for itself."""
        return super().get_fields() | {"from": serializers.IntegerField(min_value=1, help_text="The earlier edition.")}


class RobustnessQuery(StrictSerializer):
    study = serializers.SlugField(required=False)
    edition = serializers.IntegerField(required=False, min_value=1)


@extend_schema(parameters=[EditionsQuery], responses={200: Editions, **refusals(400, 403, 404)})
@api_view(["GET"])
@authentication_classes(STAFF_SIGN_IN)
def editions(request: Request) -> Response:
    """Every edition of a board, newest first, with what moved it away from the one before."""
    asked = validated(EditionsQuery, given(request.query_params))
    study = api_study(request, asked.get("study"))
    return kept_private(answer(Editions, changelog(study, asked.get("before"))), study)


@extend_schema(parameters=[DifferenceQuery], responses={200: EditionDifference, **refusals(400, 403, 404)})
@api_view(["GET"])
@authentication_classes(STAFF_SIGN_IN)
def compare(request: Request) -> Response:
    """How two editions differ, each move shared out among new votes, exclusions and method."""
    asked = validated(DifferenceQuery, given(request.query_params))
    study = api_study(request, asked.get("study"))
    return kept_private(answer(EditionDifference, difference(study, asked["from"], asked["to"])), study)


@extend_schema(parameters=[RobustnessQuery], responses={200: Robustness, **refusals(400, 403, 404)})
@api_view(["GET"])
@authentication_classes(STAFF_SIGN_IN)
def robustness(request: Request) -> Response:
    """How sure an edition's order is, and what would change it; `card` is null while it is not computed yet, and where
    the next edition came first."""
    asked = validated(RobustnessQuery, given(request.query_params))
    study = api_study(request, asked.get("study"))
    card = card_json(study, find_edition(study, asked.get("edition")))
    return kept_private(answer(Robustness, card), study)
