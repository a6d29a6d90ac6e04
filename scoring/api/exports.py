"""Votes and training pairs, streamed to researchers."""

import math
from collections import Counter
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes, permission_classes, throttle_classes
from rest_framework.request import Request

from annotations import ledger
from annotations.exports import FORMATS
from arena.api import StrictSerializer, refusals, validated
from arena.models import Scope
from arena.security import throttles
from arena.security.throttles import by_account
from arena.security.tokens import ReadingSession, Tokens, needs
from arena.services import find_study
from scoring.releases.numbered import FILTERS, content_of, current_config

from .access import IsResearcher, given

CONTENT_TYPES = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}


class FiniteField(serializers.FloatField):
    """A number, of which NaN and infinity are none."""

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("invalid")
        return value


class ExportQuery(StrictSerializer):
    format = serializers.ChoiceField(choices=FORMATS, required=False, default="jsonl")
    study = serializers.SlugField(required=False)
    min_margin = FiniteField(
        required=False,
        help_text="Of pairs: leave out those whose chosen clip has not at least so much more reward than the rejected "
        "one under the live model. Less than 0 drops implausible votes only, more than 0 close ones too.",
    )
    min_reward = FiniteField(
        required=False, help_text="Of pairs: leave out those whose chosen clip has a smaller reward."
    )


@extend_schema(
    parameters=[ExportQuery],
    responses={
        (200, "application/x-ndjson"): OpenApiTypes.STR,
        (200, "text/csv"): OpenApiTypes.STR,
        **refusals(400, 401, 403, 404, 409, 429),
    },
    auth=[{"tokenAuth": []}, {"cookieAuth": []}],  # type: ignore[list-item]  # its hint says texts, but it wants the schema's objects
)
@api_view(["GET"])
@authentication_classes([Tokens, ReadingSession])
@permission_classes([IsResearcher, needs(Scope.EXPORT)])
@throttle_classes([by_account(throttles.EXPORTS)])
def exports(request: Request, content: str) -> StreamingHttpResponse:
    """Every vote, or every training pair, of one moment, streamed. Pairs say what the live model makes of them."""
    asked = validated(ExportQuery, given(request.query_params))
    study = find_study(asked["study"]) if "study" in asked else None
    config = current_config(content, {name: asked.get(name) for name in FILTERS})
    pieces = content_of(content, asked["format"], seq=ledger.head(), study=study, config=config, excluded=Counter())
    return StreamingHttpResponse(
        (text for _, text in pieces),
        content_type=CONTENT_TYPES[asked["format"]],
        headers={"Content-Disposition": f'attachment; filename="{content}.{asked["format"]}"'},
    )
