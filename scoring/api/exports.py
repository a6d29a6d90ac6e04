"""Votes and training pairs, streamed to researchers."""

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authentication import TokenAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes

from annotations import ledger
from annotations.exports import FORMATS
from arena.api import REFUSED, StrictSerializer, validated
from arena.services import find_study
from scoring.releases import content_of, current_config

from .access import IsResearcher, given

CONTENT_TYPES = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}


class ExportQuery(StrictSerializer):
    format = serializers.ChoiceField(choices=FORMATS, required=False, default="jsonl")
    study = serializers.SlugField(required=False)


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
