"""The rater of a request: a pseudonym in a signed cookie, with protection against cross-site requests."""

import uuid
from typing import Any

from django.conf import settings
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from .models import Rater

SALT = "rater"


def set_rater(response: HttpResponse, rater: Rater) -> HttpResponse:
    response.set_signed_cookie(
        settings.RATER_COOKIE,
        str(rater.pk),
        salt=SALT,
        max_age=settings.RATER_COOKIE_DAYS * 86400,
        httponly=True,
        samesite="Lax",
        secure=settings.HTTPS,
    )
    return response


def forget_rater(response: HttpResponse) -> HttpResponse:
    response.delete_cookie(settings.RATER_COOKIE, samesite="Lax")
    return response


def read_rater(request: HttpRequest) -> Rater | None:
    """The rater of the request's cookie; None without a cookie, with a forged one, or after a withdrawal."""
    try:
        pk = uuid.UUID(request.get_signed_cookie(settings.RATER_COOKIE, salt=SALT))
    except (KeyError, BadSignature, ValueError):
        return None
    return Rater.objects.filter(pk=pk, withdrawn_at__isnull=True).first()


def _no_response(request: HttpRequest) -> HttpResponse:
    """For the middleware that is asked about one request here, and has no view behind it."""
    raise NotImplementedError


class RaterCookieAuthentication(BaseAuthentication):
    """`request.user` is the Rater. Every cookie-authenticated write needs X-CSRFToken."""

    def authenticate(self, request: Request) -> tuple[Rater, None] | None:
        rater = read_rater(request._request)
        if not rater:
            return None
        check = CSRFCheck(_no_response)
        check.process_request(request)
        if reason := check.process_view(request, _no_response, (), {}):
            raise PermissionDenied(
                f"CSRF check failed: {reason} GET / sets the cookie to send as X-CSRFToken.", code="csrf_failed"
            )
        return rater, None

    def authenticate_header(self, request: Request) -> str:
        return "Cookie"  # so that a missing rater is a 401


class RaterCookieScheme(OpenApiAuthenticationExtension):
    """How the API description shows the cookie."""

    target_class = RaterCookieAuthentication
    name = "raterCookie"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": settings.RATER_COOKIE}
