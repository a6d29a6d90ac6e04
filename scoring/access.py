"""Who may see the boards of a study, and the figures and lists beside them: everybody, or staff only."""

from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404

from arena.models import Scope, Study
from arena.refusals import Forbidden
from arena.security.tokens import ReadingSession, Tokens, may
from arena.services import find_study

Response = TypeVar("Response", bound=HttpResponseBase)

STAFF_SIGN_IN = [ReadingSession, Tokens]  # how the API recognises staff


def may_see(user: Any, study: Study) -> bool:
    return study.boards_public or user.is_staff


def page_study(request: HttpRequest, slug: str) -> Study:
    """The study of a page about its boards; 404 where there is none, or nothing in it yet (staff see it); 403 for users
    who may not see it."""
    study = get_object_or_404(Study if request.user.is_staff else Study.objects.with_content(), slug=slug)
    if not may_see(request.user, study):
        raise PermissionDenied(_why_not(study))
    return study


def api_study(request: Any, slug: str | None) -> Study:
    """The study of an endpoint about its boards, by default the default study; NotFound or Forbidden."""
    study = find_study(slug)
    if not may_see(request.user, study):
        raise Forbidden(_why_not(study))
    if not (study.boards_public or may(request, Scope.ADMIN)):
        raise Forbidden("This token lacks the scope `admin`: ask for one that has it.", code="scope_needed")
    return study


def kept_private(response: Response, study: Study) -> Response:
    """The response; where not everybody may see the boards, no shared cache may store it."""
    if not study.boards_public:
        response["Cache-Control"] = "private, no-store"
    return response


def _why_not(study: Study) -> str:
    return f"Only staff may see the boards of {study.slug}."
