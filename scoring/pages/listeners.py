"""A listener's own page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from arena.rater_cookie import read_rater
from scoring.listeners.own_page import own_page


@require_safe
@ensure_csrf_cookie
def me(request: HttpRequest) -> HttpResponse:
    """The listener's own page: what they said, and how to take it back."""
    rater = read_rater(request)
    response = render(request, "scoring/me.html", own_page(rater, request.GET.get("page")) if rater else {})
    response["Cache-Control"] = "private, no-store"
    return response
