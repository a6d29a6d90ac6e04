"""A listener's own: the insight after a vote, and all answers to take along."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from arena.api import answer, refusals
from arena.rater_cookie import RaterCookieAuthentication
from scoring.listeners.insight import insight as insight_of
from scoring.listeners.own_page import download

from .shapes.listeners import Insight, OwnHistory


@extend_schema(responses={200: Insight, **refusals(401, 404)})
@api_view(["GET"])
@authentication_classes([RaterCookieAuthentication])
@permission_classes([IsAuthenticated])
def insight(request: Any, battle_id: UUID) -> Response:
    """After the vote: the model's opinion, the crowd's share, own agreement; null where not yet known."""
    return answer(Insight, insight_of(request.user, battle_id))


@extend_schema(responses={200: OwnHistory, **refusals(401)})
@api_view(["GET"])
@authentication_classes([RaterCookieAuthentication])
@permission_classes([IsAuthenticated])
def history(request: Any) -> Response:
    """The listener's own answers, with all else that is kept of them: theirs to take along."""
    headers = {"Content-Disposition": 'attachment; filename="my-answers.json"', "Cache-Control": "private, no-store"}
    return answer(OwnHistory, download(request.user), headers=headers)
