"""The jury's pages: the front page with its boards, a board of its own, a listener's own page."""

from django.http import Http404, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from arena.models import Study
from arena.rater_cookie import read_rater
from arena.refusals import NotFound

from . import model_page, registry
from .board import board_json, find_edition
from .exclusions import exclusions as exclusions_of
from .history import own_page

DECISIONS = 100  # the newest on the page of all models; a model's own page has all of its own


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


@require_safe
def exclusions(request, slug):
    study = get_object_or_404(Study, slug=slug)
    before = request.GET.get("before", "")
    if before and not before.isdecimal():
        raise Http404("before is a place in the ledger.")
    return render(
        request,
        "scoring/exclusions.html",
        {"study": study, "exclusions": exclusions_of(study, int(before) if before else None)},
    )


@require_safe
@ensure_csrf_cookie
def me(request):
    """The listener's own page: what they said, and how to take it back."""
    rater = read_rater(request)
    response = render(request, "scoring/me.html", own_page(rater, request.GET.get("page")) if rater else {})
    response["Cache-Control"] = "private, no-store"
    return response


@require_safe
def models(request):
    """Every reward model, and how each came to be live."""
    shown = {"models": model_page.all_models(), "decisions": model_page.decisions(registry.history()[:DECISIONS])}
    return render(request, "scoring/models.html", shown)


@require_safe
def model(request, name):
    return render(request, "scoring/model.html", {"model": model_page.page(_model(name))})


@require_safe
def model_data(request, name):
    """The figures and the training history of a reward model as a file."""
    response = JsonResponse(model_page.data(_model(name)), json_dumps_params={"indent": 1})
    response["Content-Disposition"] = 'attachment; filename="model.json"'
    return response


def _model(name):
    try:
        return model_page.find_model(name)
    except NotFound as error:
        raise Http404(str(error)) from error
