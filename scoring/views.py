"""The jury's pages: the front page with its boards, and a board of its own."""

from django.http import Http404
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from arena.models import Study
from arena.refusals import NotFound

from .board import board_json, find_edition


@require_safe
@ensure_csrf_cookie
def index(request):
    studies = Study.objects.order_by("-is_default", "slug")
    boards = [(study, board_json(study, find_edition(study))) for study in studies]
    default = next((study for study in studies if study.is_default), None)
    return render(request, "scoring/index.html", {"boards": boards, "default": default})


@require_safe
def board(request, slug):
    study = get_object_or_404(Study, slug=slug)
    number = request.GET.get("edition")
    try:
        edition = find_edition(study, int(number) if number else None)
    except (NotFound, ValueError) as error:
        raise Http404(str(error)) from error
    return render(request, "scoring/board.html", {"study": study, "board": board_json(study, edition)})
