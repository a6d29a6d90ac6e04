"""What a margin means under the live model."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view, authentication_classes, permission_classes, throttle_classes
from rest_framework.request import Request
from rest_framework.response import Response

from arena.api import answer, refusals
from arena.models import Scope
from arena.refusals import NotFound
from arena.security import throttles
from arena.security.throttles import by_account
from arena.security.tokens import ReadingSession, Tokens, needs
from scoring.models import RewardModel
from scoring.registry.calibration import calibration_json

from .access import IsResearcher
from .shapes.files import CalibrationOfMargins


@extend_schema(
    responses={200: CalibrationOfMargins, **refusals(401, 403, 404, 429)},
    auth=[{"tokenAuth": []}, {"cookieAuth": []}],  # type: ignore[list-item]  # its hint says texts, but it wants the schema's objects
)
@api_view(["GET"])
@authentication_classes([Tokens, ReadingSession])
@permission_classes([IsResearcher, needs(Scope.READ)])
@throttle_classes([by_account(throttles.READING)])
def calibration(request: Request) -> Response:
    """What margins of the live model mean, as fitted on the validation side of its votes, and how far off that is on
    the test side, with the reliability diagram. Training saw neither; early stopping saw the validation side."""
    model = RewardModel.live()
    if not model:
        raise NotFound("There is no live reward model.")
    return answer(CalibrationOfMargins, calibration_json(model))
