"""What stands beside the votes-only board: the live model's bias per system, and prediction-powered ratings."""

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.response import Response

from arena.api import REFUSED, StrictSerializer, validated
from arena.services import find_study
from scoring.anchor_page import anchors_json
from scoring.board import find_edition
from scoring.powered import powered_json

from .access import given


class AnchorsQuery(StrictSerializer):
    study = serializers.SlugField(required=False)


@extend_schema(
    parameters=[AnchorsQuery],
    responses={
        200: inline_serializer(
            "Anchors",
            {
                "study": serializers.CharField(),
                "reward_model": serializers.CharField(allow_null=True),
                "fit": serializers.DictField(allow_null=True),
                "history": serializers.ListField(child=serializers.DictField()),
            },
        ),
        404: REFUSED,
    },
)
@api_view(["GET"])
def anchors(request):
    """The live model's bias on each system of a study: now, by time, and as it was fitted over time."""
    return Response(anchors_json(find_study(validated(AnchorsQuery, given(request.query_params)).get("study"))))


class PoweredQuery(StrictSerializer):
    study = serializers.SlugField(required=False)
    edition = serializers.IntegerField(required=False, min_value=1)


@extend_schema(
    parameters=[PoweredQuery],
    responses={
        200: inline_serializer(
            "PredictionPowered",
            {
                "study": serializers.CharField(),
                "edition": serializers.IntegerField(allow_null=True),
                "computed": serializers.DictField(allow_null=True),
            },
        ),
        404: REFUSED,
    },
)
@api_view(["GET"])
def prediction_powered(request):
    """The ratings of votes and of the reward model's opinion of unvoted pairs, beside an edition's votes-only board."""
    asked = validated(PoweredQuery, given(request.query_params))
    study = find_study(asked.get("study"))
    return Response(powered_json(study, find_edition(study, asked.get("edition"))))
