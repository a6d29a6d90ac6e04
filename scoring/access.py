"""Who may see the boards of a study, and all that is drawn or listed beside them: everybody, or its staff."""

from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from rest_framework.authentication import SessionAuthentication, TokenAuthentication

from arena.models import Study
from arena.refusals import Forbidden
from arena.services import find_study

Response = TypeVar("Response", bound=HttpResponseBase)
STAFF_SIGN_IN = [SessionAuthentication, TokenAuthentication]  # how the API knows staff


def may_see(user: Any, study: Study) -> bool:
    return study.boards_public or user.is_staff


def page_study(request: HttpRequest, slug: str) -> Study:
    """The study of a page about its boards; 404 where there is none, 403 for whom it is not."""
    study = get_object_or_404(Study, slug=slug)
    if not may_see(request.user, study):
        raise PermissionDenied(_why_not(study))
    return study


def api_study(request: Any, slug: str | None) -> Study:
    """The same for an endpoint; without a slug the default study."""
    study = find_study(slug)
    if not may_see(request.user, study):
        raise Forbidden(_why_not(study))
    return study


def kept_private(response: Response, study: Study) -> Response:
    """The response, which no shared cache may keep where not everybody may see it."""
    if not study.boards_public:
        response["Cache-Control"] = "private, no-store"
    return response


def _why_not(study: Study) -> str:
    return f"The boards of {study.slug} are for its staff."
