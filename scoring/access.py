"""Who may see the boards of a study, and all that is drawn or listed beside them: everybody, or its staff."""

from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404
from rest_framework.authentication import SessionAuthentication, TokenAuthentication

from arena.models import Study
from arena.refusals import Forbidden
from arena.services import find_study

STAFF_SIGN_IN = [SessionAuthentication, TokenAuthentication]  # how the API knows staff


def may_see(user, study):
    return study.boards_public or user.is_staff


def page_study(request, slug):
    """The study of a page about its boards; 404 where there is none, 403 for whom it is not."""
    study = get_object_or_404(Study, slug=slug)
    if not may_see(request.user, study):
        raise PermissionDenied(_why_not(study))
    return study


def api_study(request, slug):
    """The same for an endpoint; without a slug the default study."""
    study = find_study(slug)
    if not may_see(request.user, study):
        raise Forbidden(_why_not(study))
    return study


def kept_private(response, study):
    """The response, which no shared cache may keep where not everybody may see it."""
    if not study.boards_public:
        response["Cache-Control"] = "private, no-store"
    return response


def _why_not(study):
    return f"The boards of {study.slug} are for its staff."
