"""The front page with all boards, the page of one board, and its figures and exclusions."""

import json

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from arena.models import Study
from scoring.access import kept_private, may_see, page_study
from scoring.anchors.page import anchors_json
from scoring.boards.exclusions import exclusions as exclusions_of
from scoring.boards.figures import data as figures
from scoring.boards.figures import page as figures_page
from scoring.boards.page import board_json, find_edition
from scoring.boards.prediction_powered import powered_json
from scoring.boards.robustness_cards import card_json
from scoring.stats.board_method import OVERALL

from .not_found import not_found_is_404, whole_number


@require_safe
@ensure_csrf_cookie
def index(request: HttpRequest) -> HttpResponse:
    with_content = Study.objects.with_content()
    studies = Study.objects.all() if request.user.is_staff else with_content
    seen = [study for study in studies.order_by("-is_default", "slug") if may_see(request.user, study)]
    boards = [(study, board_json(study, find_edition(study))) for study in seen]
    default = with_content.filter(is_default=True).first()
    return render(request, "scoring/index.html", {"boards": boards, "default": default})


@require_safe
def board(request: HttpRequest, slug: str) -> HttpResponse:
    study = page_study(request, slug)
    category = request.GET.get("category") or OVERALL
    with not_found_is_404():
        edition = find_edition(study, whole_number(request, "edition"), category)
        shown = {"study": study, "board": board_json(study, edition, category)}
        if category == OVERALL:
            shown |= _beside_the_board(study, edition)
        else:
            shown["heat"] = figures.of_category(edition, category)["wins"]
    return kept_private(render(request, "scoring/board.html", shown), study)


def _beside_the_board(study, edition):
    return {
        "powered": powered_json(study, edition)["computed"],
        "anchors": anchors_json(study),
        "robustness": card_json(study, edition),
    }


@require_safe
def plots(request: HttpRequest, slug: str) -> HttpResponse:
    """The figures of the study's last edition, each as a drawing, in words, and as data."""
    study = page_study(request, slug)
    return kept_private(render(request, "scoring/plots.html", {"study": study, **figures_page.page(study)}), study)


@require_safe
def plot_data(request: HttpRequest, slug: str, name: str, form: str) -> HttpResponse:
    study = page_study(request, slug)
    category = request.GET.get("category") or OVERALL
    with not_found_is_404():
        number = whole_number(request, "edition")
        edition = find_edition(study, number, category) if category != OVERALL else None
        return kept_private(figures_page.download(study, name, form, edition, category), study)


@require_safe
def exclusions(request: HttpRequest, slug: str) -> HttpResponse:
    study = page_study(request, slug)
    left_out = exclusions_of(study, whole_number(request, "before"))
    shown = {"study": study, "exclusions": left_out, "head_line": json.dumps(left_out["ledger_head"])}
    return kept_private(render(request, "scoring/exclusions.html", shown), study)
