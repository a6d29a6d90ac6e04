"""The jury's pages: the front page with its boards, a board of its own, a listener's own page."""

from django.http import Http404, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from arena.models import Study
from arena.rater_cookie import read_rater
from arena.refusals import NotFound
from scoring.anchors.page import anchors_json
from scoring.boards.exclusions import exclusions as exclusions_of
from scoring.boards.figures import data as figures
from scoring.boards.figures import page as plots_page
from scoring.boards.page import board_json, find_edition
from scoring.boards.prediction_powered import powered_json
from scoring.boards.robustness_cards import card_json
from scoring.listeners.own_page import own_page
from scoring.registry import live as registry
from scoring.registry import model_page
from scoring.stats.board_method import OVERALL

from .access import kept_private, may_see, page_study

DECISIONS = 100  # the newest on the page of all models; a model's own page has all of its own


@require_safe
@ensure_csrf_cookie
def index(request):
    studies = [study for study in Study.objects.order_by("-is_default", "slug") if may_see(request.user, study)]
    boards = [(study, board_json(study, find_edition(study))) for study in studies]
    default = Study.objects.filter(is_default=True).first()
    return render(request, "scoring/index.html", {"boards": boards, "default": default})


@require_safe
def board(request, slug):
    study = page_study(request, slug)
    number, category = request.GET.get("edition"), request.GET.get("category") or OVERALL
    try:
        edition = find_edition(study, int(number) if number else None, category)
        shown = {"study": study, "board": board_json(study, edition, category)}
        if category == OVERALL:
            shown |= _beside_the_board(study, edition)
        else:
            shown["heat"] = figures.of_category(edition, category)["wins"]
    except (NotFound, ValueError) as error:
        raise Http404(str(error)) from error
    return kept_private(render(request, "scoring/board.html", shown), study)


def _beside_the_board(study, edition):
    return {
        "powered": powered_json(study, edition)["computed"],
        "anchors": anchors_json(study),
        "robustness": card_json(study, edition),
    }


@require_safe
def plots(request, slug):
    """The figures of the study's last edition, each as a drawing, in words, and as data."""
    study = page_study(request, slug)
    return kept_private(render(request, "scoring/plots.html", {"study": study, **plots_page.page(study)}), study)


@require_safe
def plot_data(request, slug, name, form):
    study = page_study(request, slug)
    try:
        number, category = request.GET.get("edition"), request.GET.get("category") or OVERALL
        edition = find_edition(study, int(number) if number else None, category) if category != OVERALL else None
        return kept_private(plots_page.download(study, name, form, edition, category), study)
    except (NotFound, ValueError) as error:
        raise Http404(str(error)) from error


@require_safe
def exclusions(request, slug):
    study = page_study(request, slug)
    before = request.GET.get("before", "")
    if before and not before.isdecimal():
        raise Http404("before is a place in the ledger.")
    shown = {"study": study, "exclusions": exclusions_of(study, int(before) if before else None)}
    return kept_private(render(request, "scoring/exclusions.html", shown), study)


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
