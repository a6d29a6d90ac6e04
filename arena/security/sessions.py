"""Sessions of staff: how long they last, and what has to be done before they count.

Django ends a session that was idle for SESSION_COOKIE_AGE. Here it ends, too, after SESSION_LONGEST_S, however busy.
While something is left to do (a password that somebody else set, a second factor that is required) a session opens the
pages where that is done and nothing else.
"""

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from arena.models import GivenPassword

from . import second_factor

Answer = Callable[[HttpRequest], HttpResponseBase]
BEGAN, TO_DO = "arena_began", "arena_to_do"
PASSWORD, FACTOR = "password_change", "second_factor"  # names of pages of the admin


def begin(request: HttpRequest) -> None:
    """Somebody has just signed in."""
    request.session[BEGAN] = time.time()
    look_again(request)


def look_again(request: HttpRequest) -> None:
    """Set what is left to do for this session."""
    request.session[TO_DO] = _to_do(request.user)


def _to_do(user: Any) -> str | None:
    if GivenPassword.objects.filter(user=user).exists():
        return PASSWORD
    if settings.STAFF_SECOND_FACTOR and not second_factor.has_one(user):
        return FACTOR
    return None


def staff_sessions(get_response: Answer) -> Answer:
    """Middleware, after AuthenticationMiddleware. Listeners have no session, so it asks nothing about them."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not request.user.is_authenticated:
            return get_response(request)
        if time.time() - request.session.setdefault(BEGAN, time.time()) > settings.SESSION_LONGEST_S:
            logout(request)
        elif to_do := request.session.get(TO_DO):
            page = reverse(f"admin:{to_do}")
            if request.path not in {page, reverse("admin:logout"), reverse("admin:jsi18n")}:
                if request.path.startswith(reverse("admin:index")):
                    return HttpResponseRedirect(page)
                request.user = AnonymousUser()
        return get_response(request)

    return answer
