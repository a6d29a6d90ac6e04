"""What stands beside the votes-only board: the live model's bias per system, and prediction-powered ratings."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes
from rest_framework.request import Request
from rest_framework.response import Response

from arena.api import StrictSerializer, answer, refusals, validated
from scoring.access import STAFF_SIGN_IN, api_study, kept_private
from scoring.anchors.page import anchors_json
from scoring.boards.page import find_edition
from scoring.boards.prediction_powered import powered_json

from .access import given
from .shapes.anchors import Anchors
from .shapes.boards import PredictionPowered


class AnchorsQuery(StrictSerializer):
    study = serializers.SlugField(required=False)


@extend_schema(parameters=[AnchorsQuery], responses={200: Anchors, **refusals(400, 403, 404)})
@api_view(["GET"])
@authentication_classes(STAFF_SIGN_IN)
def anchors(request: Request) -> Response:
    """The live model's bias on each system of a study: now, by time, and as it was fitted over time."""
    study = api_study(request, validated(AnchorsQuery, given(request.query_params)).get("study"))
    return kept_private(answer(Anchors, anchors_json(study)), study)


class PoweredQuery(StrictSerializer):
    study = serializers.SlugField(required=False)
    edition = serializers.IntegerField(required=False, min_value=1)


@extend_schema(parameters=[PoweredQuery], responses={200: PredictionPowered, **refusals(400, 403, 404)})
@api_view(["GET"])
@authentication_classes(STAFF_SIGN_IN)
def prediction_powered(request: Request) -> Response:
    """The ratings of votes and of the reward model's opinion of unvoted pairs, beside an edition's votes-only board."""
    asked = validated(PoweredQuery, given(request.query_params))
    study = api_study(request, asked.get("study"))
    shown = powered_json(study, find_edition(study, asked.get("edition")))
    return kept_private(answer(PredictionPowered, shown), study)
