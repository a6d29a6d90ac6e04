"""A board's history: all its editions, and how two of them differ."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from scoring.access import kept_private, page_study
from scoring.boards.changelog import changelog, difference

from .not_found import not_found_is_404, whole_number


@require_safe
def editions(request: HttpRequest, slug: str) -> HttpResponse:
    study = page_study(request, slug)
    shown = changelog(study, whole_number(request, "before"))
    return kept_private(render(request, "scoring/editions.html", {"study": study, "changelog": shown}), study)


@require_safe
def compare(request: HttpRequest, slug: str) -> HttpResponse:
    """Two editions compared; by default the last and the one before it, and words where there are not two yet."""
    study = page_study(request, slug)
    newest = study.editions.newest()
    last = newest.number if newest else 0
    asked = whole_number(request, "from"), whole_number(request, "to")
    to = asked[1] or last
    first = asked[0] or to - 1
    if last < 2 and asked == (None, None):
        shown = {"study": study, "edition": newest}
        return kept_private(render(request, "scoring/nothing_to_compare.html", shown), study)
    with not_found_is_404():
        shown = {"study": study, "difference": difference(study, first, to), "last": last}
    return kept_private(render(request, "scoring/compare.html", shown), study)
