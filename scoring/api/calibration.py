"""What a margin means under the live model."""

from typing import Any

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.authentication import TokenAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.response import Response

from arena.api import REFUSED
from arena.refusals import NotFound
from scoring.models import RewardModel
from scoring.registry.calibration import calibration_json

from .access import IsResearcher

NUMBER: dict[str, Any] = {"allow_null": True}
LAPSES = inline_serializer(
    "LapsesOfVotes",
    {
        "rate": serializers.FloatField(help_text="Share of votes that follow no margin, however large."),
        "temperature": serializers.FloatField(
            help_text="T in P(preferred) = rate / 2 + (1 - rate) sigmoid(margin / T), which then holds."
        ),
    },
    **NUMBER,
)


@extend_schema(
    responses={
        200: inline_serializer(
            "CalibrationOfMargins",
            {
                "reward_model": serializers.CharField(),
                "temperature": inline_serializer(
                    "TemperatureOfModel",
                    {
                        "value": serializers.FloatField(help_text="T in P(preferred) = sigmoid(margin / T)."),
                        "low": serializers.FloatField(help_text="Of the 95 % interval."),
                        "high": serializers.FloatField(**NUMBER),
                        "n": serializers.IntegerField(help_text="Decided votes it was fitted on."),
                    },
                    **NUMBER,
                ),
                "reason": serializers.CharField(help_text="Why there is no temperature.", **NUMBER),
                "lapses": LAPSES,
                "fitted_on": inline_serializer(
                    "FittedOn",
                    {
                        "votes": serializers.CharField(
                            help_text="Side of the model's votes that temperature and lapses were fitted on: "
                            "validation, or test for models from before lapses and where nothing fits the other."
                        ),
                        "n": serializers.IntegerField(help_text="Decided votes of that side."),
                    },
                    **NUMBER,
                ),
                "measured_on": inline_serializer(
                    "MeasuredOn",
                    {
                        "votes": serializers.CharField(help_text="test: the side of ece, calibrated_ece and bins."),
                        "n_decided": serializers.IntegerField(),
                    },
                    **NUMBER,
                ),
                "ece": serializers.FloatField(help_text="Of the bins, under the plain sigmoid.", **NUMBER),
                "calibrated_ece": serializers.FloatField(
                    help_text="Of the calibrated probabilities; null where they were fitted on the same votes.",
                    **NUMBER,
                ),
                "bins": inline_serializer(
                    "ReliabilityBin",
                    {
                        "margin_low": serializers.FloatField(),
                        "margin_high": serializers.FloatField(),
                        "n": serializers.IntegerField(),
                        "confidence": serializers.FloatField(help_text="Mean of sigmoid(|margin|)."),
                        "accuracy": serializers.FloatField(help_text="Share whose predicted winner won."),
                    },
                    many=True,
                ),
                "examples": inline_serializer(
                    "MarginAsProbability",
                    {
                        "margin": serializers.FloatField(),
                        "probability": serializers.FloatField(help_text="sigmoid(margin / T), or by lapses.", **NUMBER),
                        "sigmoid": serializers.FloatField(),
                    },
                    many=True,
                ),
            },
        ),
        401: REFUSED,
        403: REFUSED,
        404: REFUSED,
    },
    auth=[{"tokenAuth": []}],  # type: ignore[list-item]  # its hint says texts, but it wants the schema's objects
)
@api_view(["GET"])
@authentication_classes([TokenAuthentication])
@permission_classes([IsResearcher])
def calibration(request):
    """What margins of the live model mean, as fitted on the validation side of its votes, and how far off that is on
    the test side, with the reliability diagram. Training saw neither; early stopping saw the validation side."""
    model = RewardModel.live()
    if not model:
        raise NotFound("There is no live reward model.")
    return Response(calibration_json(model))
