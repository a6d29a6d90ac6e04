"""The rater of a request: a pseudonym in a signed cookie, with protection against cross-site requests."""

import uuid
from collections.abc import Callable
from typing import Any, Literal

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.core.signing import BadSignature, get_cookie_signer
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from .models import Rater

SALT = "rater"
PLAIN_NAME = "rater"  # without HTTPS; under HTTPS the name has a prefix, see settings.RATER_COOKIE


def set_rater(response: HttpResponse, rater: Rater) -> HttpResponse:
    _set(response, get_cookie_signer(salt=settings.RATER_COOKIE + SALT).sign(str(rater.pk)))
    return response


def _set(response, signed):
    response.set_cookie(
        settings.RATER_COOKIE,
        signed,
        max_age=settings.RATER_COOKIE_DAYS * 86400,
        httponly=True,
        samesite=_samesite(),
        secure=settings.HTTPS,
    )


def _samesite() -> Literal["None", "Lax"]:
    return "None" if settings.FRAME_ANCESTORS else "Lax"  # None: also in a page of ours that another site frames


def forget_rater(response: HttpResponse) -> HttpResponse:
    response.delete_cookie(settings.RATER_COOKIE, samesite=_samesite())
    return response


def read_rater(request: HttpRequest) -> Rater | None:
    """The rater of the request's cookie; None without a cookie, with a forged one, or after a withdrawal."""
    pk = _signed_pk(request)
    return Rater.objects.filter(pk=pk, withdrawn_at__isnull=True).first() if pk else None


def _signed_pk(request):
    try:
        return uuid.UUID(request.get_signed_cookie(settings.RATER_COOKIE, salt=SALT))
    except (KeyError, BadSignature, ValueError):
        return None


def under_its_new_name(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: a rater whose cookie is from before HTTPS, or from before it had its prefix, stays the same rater.
    Its old cookie is read once and then replaced."""
    if settings.RATER_COOKIE == PLAIN_NAME:
        raise MiddlewareNotUsed

    def answer(request: HttpRequest) -> HttpResponseBase:
        if PLAIN_NAME not in request.COOKIES:
            return get_response(request)
        renamed = None if settings.RATER_COOKIE in request.COOKIES else _renamed(request)
        if renamed:
            request.COOKIES[settings.RATER_COOKIE] = renamed
        response = get_response(request)
        if renamed and settings.RATER_COOKIE not in response.cookies:
            _set(response, renamed)
        response.delete_cookie(PLAIN_NAME, samesite="Lax")
        return response

    return answer


def _renamed(request):
    """The cookie's value, signed for its new name; None for a forged one."""
    try:
        pk = request.get_signed_cookie(PLAIN_NAME, salt=SALT)
    except BadSignature:
        return None
    return get_cookie_signer(salt=settings.RATER_COOKIE + SALT).sign(pk)


def _no_response(request: HttpRequest) -> HttpResponse:
    """For the middleware that is asked about one request here, and has no view behind it."""
    raise NotImplementedError


class RaterCookieAuthentication(BaseAuthentication):
    """`request.user` is the Rater. Every cookie-authenticated write needs X-CSRFToken."""

    def rater_of(self, request: HttpRequest) -> Rater | None:
        return read_rater(request)

    def authenticate(self, request: Request) -> tuple[Rater, None] | None:
        rater = self.rater_of(request._request)
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


RATER_COOKIE: Any = [{"raterCookie": []}]


class UnreadRaterAuthentication(RaterCookieAuthentication):
    """`request.user` is a Rater of whom only the pk is known, from the cookie: for what locks the rater's row anyway
    (`Rater.objects.locked`) and learns there whether they have withdrawn. The API description is told RATER_COOKIE."""

    def rater_of(self, request: HttpRequest) -> Rater | None:
        pk = _signed_pk(request)
        return Rater(pk=pk) if pk else None


class RaterCookieScheme(OpenApiAuthenticationExtension):
    """How the API description shows the cookie."""

    target_class = RaterCookieAuthentication
    name = "raterCookie"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": settings.RATER_COOKIE}
