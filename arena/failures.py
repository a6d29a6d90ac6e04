"""How an address answers that fails: JSON below /api/ (of the form in arena/refusals.py), a page in words elsewhere.

Django asks these views, so they also answer where no view of ours came into play: an unknown address, a middleware, a
database that is away.
"""

import sys

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views import csrf, defaults

from .addresses import API
from .refusals import DATABASE_AWAY, RETRY_S, TOO_LARGE, is_database_away


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400, or 413 for a form of more bytes, fields or files than DATA_UPLOAD_MAX_... allow."""
    too_large = isinstance(exception, TOO_LARGE)
    if not _for_a_program(request):
        answer = defaults.bad_request(request, exception)
        answer.status_code = 413 if too_large else 400
        return answer
    if too_large:
        return _json(413, "too_large", f"The request is too large. {exception}")
    return _json(400, "bad_request", "The request is malformed, or not meant for this host.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _for_a_program(request):
        return _json(403, "forbidden", "You are not allowed to do this.")
    return defaults.permission_denied(request, exception)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """What settings.CSRF_FAILURE_VIEW names; endpoints of REST framework check by themselves."""
    if _for_a_program(request):
        return _json(403, "csrf_failed", f"CSRF check failed: {reason}")
    return csrf.csrf_failure(request, reason)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _for_a_program(request):
        return _json(404, "not_found", "There is no such address. GET /api/schema/ describes all there are.")
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """503 while the database is away, else 500. Django has logged it, with the traceback."""
    if is_database_away(sys.exc_info()[1]):
        if _for_a_program(request):
            answer: HttpResponse = _json(503, "unavailable", DATABASE_AWAY, retry_after_s=RETRY_S)
        else:
            answer = render(None, "503.html", status=503)
        answer["Retry-After"] = str(RETRY_S)
        return answer
    if _for_a_program(request):
        return _json(500, "server_error", "The fault is ours, and it has been logged.")
    return defaults.server_error(request)


def _for_a_program(request):
    return request.path_info.startswith(API)


def _json(status, code, detail, **facts):
    return JsonResponse({"code": code, "detail": detail, **facts}, status=status)
