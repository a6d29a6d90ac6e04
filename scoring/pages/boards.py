"""The front page with all boards, the page of one board, and its figures and exclusions."""

from django.http import Http404
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from arena.models import Study
from arena.refusals import NotFound
from scoring.access import kept_private, may_see, page_study
from scoring.anchors.page import anchors_json
from scoring.boards.exclusions import exclusions as exclusions_of
from scoring.boards.figures import data as figures
from scoring.boards.figures import page as figures_page
from scoring.boards.page import board_json, find_edition
from scoring.boards.prediction_powered import powered_json
from scoring.boards.robustness_cards import card_json
from scoring.stats.board_method import OVERALL


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
    return kept_private(render(request, "scoring/plots.html", {"study": study, **figures_page.page(study)}), study)


@require_safe
def plot_data(request, slug, name, form):
    study = page_study(request, slug)
    try:
        number, category = request.GET.get("edition"), request.GET.get("category") or OVERALL
        edition = find_edition(study, int(number) if number else None, category) if category != OVERALL else None
        return kept_private(figures_page.download(study, name, form, edition, category), study)
    except (NotFound, ValueError) as error:
        raise Http404(str(error)) from error


@require_safe
def exclusions(request, slug):
    study = page_study(request, slug)
    before = request.GET.get("before", "")
    if before and not before.isdecimal():
        raise Http404("before is a number in the ledger.")
    shown = {"study": study, "exclusions": exclusions_of(study, int(before) if before else None)}
    return kept_private(render(request, "scoring/exclusions.html", shown), study)
