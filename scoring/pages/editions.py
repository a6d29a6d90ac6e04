"""A board's history: all its editions, and how two of them differ."""

from django.http import Http404
from django.shortcuts import render
from django.views.decorators.http import require_safe

from arena.refusals import NotFound
from scoring.access import kept_private, page_study
from scoring.boards.changelog import changelog, difference


@require_safe
def editions(request, slug):
    study = page_study(request, slug)
    shown = changelog(study, _number(request, "before"))
    return kept_private(render(request, "scoring/editions.html", {"study": study, "changelog": shown}), study)


@require_safe
def compare(request, slug):
    """Two editions compared; by default the last and the one before it."""
    study = page_study(request, slug)
    newest = study.editions.newest()
    last = newest.number if newest else 0
    to = _number(request, "to") or last
    first = _number(request, "from") or to - 1
    try:
        shown = difference(study, first, to)
    except NotFound as error:
        raise Http404(str(error)) from error
    shown = {"study": study, "difference": shown, "last": last}
    return kept_private(render(request, "scoring/compare.html", shown), study)


def _number(request, name):
    text = request.GET.get(name, "")
    if text and not (text.isdecimal() and len(text) < 10):
        raise Http404(f"{name} is the number of an edition.")
    return int(text) if text else None
