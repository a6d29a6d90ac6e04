"""The admin's own pages about accounts: signing in, changing a password, the second factor."""

import logging
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from arena.models import GivenPassword

from . import lockout, second_factor, sessions, throttles
from .sign_in import SignInForm

logger = logging.getLogger(__name__)


class ArenaAdminSite(admin.AdminSite):
    login_form = SignInForm
    login_template = "admin/sign_in.html"

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method != "POST":
            return super().login(request, extra_context)
        if seconds := throttles.SIGNING_IN.take(lockout.connection(request)):
            return lockout.wait(request, seconds)
        answer = super().login(request, extra_context)
        signed_in = answer.status_code == 302
        who = request.POST.get("username", "")[:150], lockout.connection(request)
        if signed_in:
            logger.info("Signed in: %r from %s", *who)
            sessions.begin(request)
        else:
            logger.warning("Failed to sign in: %r from %s", *who)
        return answer

    def password_change(self, request: Any, extra_context: dict[str, Any] | None = None) -> Any:
        before = request.user.password
        answer = super().password_change(request, extra_context)
        request.user.refresh_from_db(fields=["password"])
        if request.user.password != before:
            GivenPassword.objects.filter(user=request.user).delete()
            sessions.look_again(request)
        return answer

    def get_urls(self) -> list[Any]:
        return [path("second_factor/", self.admin_view(self.second_factor), name="second_factor"), *super().get_urls()]

    @method_decorator(sensitive_post_parameters("code", "password"))
    def second_factor(self, request: HttpRequest) -> HttpResponse:
        """Set it up, with the password, so that nobody does it who finds a browser signed in; make new codes for paper,
        or give it up, with a code of the app."""
        has_one = second_factor.has_one(request.user)
        codes: list[str] = []
        if request.method == "POST":
            codes, error = _act(request, has_one)
            if error:
                messages.error(request, error)
            elif not codes:
                return redirect("admin:second_factor")
            sessions.look_again(request)
            has_one = second_factor.has_one(request.user)
        shown = {**self.each_context(request), "title": "Second factor", "has_one": has_one, "codes": codes}
        if not has_one:
            device = second_factor.pending(request.user)
            shown["drawing"] = mark_safe(second_factor.drawing(device))
            shown["key"] = second_factor.key_in_words(device)
        answer = render(request, "admin/second_factor.html", shown)
        answer["Cache-Control"] = "private, no-store"
        return answer


def _act(request: HttpRequest, has_one: bool) -> tuple[list[str], str]:
    """(codes to show, what is wrong) of a posted form."""
    if seconds := throttles.SIGNING_IN.take(lockout.connection(request)):
        return [], f"Too many tries: wait {seconds} seconds."
    code, user = request.POST.get("code", ""), request.user
    if has_one:
        if not second_factor.verify(user, code):
            return [], "This is not the code of this moment."
        if request.POST.get("act") == "remove":
            second_factor.remove(user)
            return [], ""
    elif not user.check_password(request.POST.get("password", "")):
        return [], "This is not your password."
    elif not second_factor.confirm(second_factor.pending(user), code):
        return [], "This is not the code of this moment. Is the clock of your phone right?"
    return second_factor.new_paper_codes(user), ""  # type: ignore[arg-type]  # who is signed in is no AnonymousUser
