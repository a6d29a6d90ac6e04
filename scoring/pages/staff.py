"""Pages for staff only: the report of a system, how a board is computed, and where people and the live model
disagree."""

from collections.abc import Callable
from functools import wraps

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header, urlencode
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotations.exports import write
from arena.models import Again, Study, System
from arena.refusals import Refusal
from arena.serving import ask_again
from scoring.boards.method_form import MethodForm
from scoring.boards.page import find_edition
from scoring.models import TrainingMark
from scoring.staff import disagreements, system_report
from scoring.stats import board_method
from scoring.wording.methods import MEANINGS

from .not_found import not_found_is_404

PER_PAGE = 20
MOST_ROWS = 25  # in a table on the page of a system; the download has all of them
SERVINGS = 5  # the default of the form
QUEUE_COLUMNS = (
    "study", "winner_system", "winner_clip", "winner_votes", "winner_reward", "loser_system", "loser_clip",
    "loser_votes", "loser_reward", "ties", "unseen", "probability", "low", "high", "surprise",
)  # fmt: skip


def for_staff(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Require a staff account: anybody else is asked to log in. No cache stores the response."""

    @staff_member_required
    @wraps(view)
    def checked(request, *args, **kwargs):
        response = view(request, *args, **kwargs)
        response["Cache-Control"] = "private, no-store"
        return response

    return checked


# ---- a system -------------------------------------------------------------------------------------------


@require_safe
@for_staff
def system(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    study, report = _report(request, slug, name)
    shown = {**report, **{table: report[table] and report[table][:MOST_ROWS] for table in ("prompts", "comments")}}
    clips = Paginator(report["clips"], PER_PAGE).get_page(request.GET.get("page"))
    return render(
        request,
        "scoring/system.html",
        {
            "study": study,
            "report": shown,
            "clips": clips,
            "n_prompts": len(report["prompts"]),
            "n_comments": len(report["comments"] or ()),
        },
    )


@require_safe
@for_staff
def system_data(request: HttpRequest, slug: str, name: str, format: str) -> HttpResponse:
    """The whole report as JSON, or one of its tables as CSV: ?table=."""
    _check(format)
    _study, report = _report(request, slug, name)
    if format == "json":
        return _as_file(JsonResponse(report, json_dumps_params={"indent": 1}), f"{slugify(name)}.json")
    table = request.GET.get("table", "")
    if table not in system_report.TABLES:
        raise Http404(f"table is one of {', '.join(system_report.TABLES)}.")
    if report[table] is None:
        raise PermissionDenied
    return _csv(report[table], system_report.TABLES[table], f"{slugify(name)}-{table}.csv")


def _report(request, slug, name):
    study = get_object_or_404(Study, slug=slug)
    with not_found_is_404():
        system = system_report.find_system(study, name)
    return study, system_report.report(study, system, request.user.has_perm("annotations.view_votedetails"))


# ---- how a board is computed ------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@for_staff
def method(request: HttpRequest, slug: str) -> HttpResponse:
    """How the study's board is computed. A choice that its votes support makes the next edition."""
    study = get_object_or_404(Study, slug=slug)
    if request.method == "POST" and not request.user.has_perm("scoring.add_edition"):
        raise PermissionDenied
    last = find_edition(study)
    form = MethodForm(request.POST or None, initial=board_method.choice_of(last.config if last else {}))
    if form.is_valid() and (edition := form.refit(study)):
        messages.success(
            request, _("Edition %(number)s is computed this way, and later ones will be too.") % vars(edition)
        )
        return redirect("board-method", study.slug)
    shown = {"study": study, "form": form, "last": last and last.number, "meanings": MEANINGS.values()}
    return render(request, "scoring/method.html", shown, status=400 if form.errors else 200)


# ---- the queue ------------------------------------------------------------------------------------------


@require_safe
@for_staff
def queue(request: HttpRequest) -> HttpResponse:
    rows, chosen = _queue(request)
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    return render(
        request,
        "scoring/review.html",
        {
            "page": page,
            "rows": disagreements.with_clips(list(page)),
            "studies": Study.objects.order_by("slug"),
            "systems": System.objects.order_by("name"),
            "chosen": chosen,
            "query": urlencode({name: value for name, value in chosen.items() if value}),
            "servings": SERVINGS,
            "most_servings": Again.MOST,
            "weight": TrainingMark.WEIGHT,
        },
    )


@require_safe
@for_staff
def queue_data(request: HttpRequest, format: str) -> HttpResponse:
    _check(format)
    rows, _chosen = _queue(request)
    if format == "json":
        return _as_file(JsonResponse({"rows": rows}, json_dumps_params={"indent": 1}), "disagreements.json")
    return _csv([_flat(row) for row in rows], QUEUE_COLUMNS, "disagreements.csv")


def _queue(request):
    """(rows, {"study": slug or "", "system": name or ""})."""
    chosen = {name: request.GET.get(name, "") for name in ("study", "system")}
    studies = Study.objects.order_by("slug")
    if chosen["study"]:
        studies = [get_object_or_404(studies, slug=chosen["study"])]
    return disagreements.queue(studies, chosen["system"]), chosen


def _flat(row):
    sides = {f"{side}_{name}": row[side][name] for side in ("winner", "loser") for name in row[side]}
    return {**row, **sides}


@require_POST
@for_staff
def serve_again(request: HttpRequest) -> HttpResponse:
    """Serve the two clips of the form to more raters, as many as it says."""
    if not request.user.has_perm("arena.add_again"):
        raise PermissionDenied
    return _act(
        request,
        lambda study, clips, by: ask_again(study, clips, _number(request.POST.get("wanted"), int), by),
        _("The pair will be served again."),
    )


@require_POST
@for_staff
def mark(request: HttpRequest) -> HttpResponse:
    """Give votes on the two clips of the form more weight in training."""
    if not request.user.has_perm("scoring.add_trainingmark"):
        raise PermissionDenied
    return _act(
        request,
        lambda study, clips, by: disagreements.mark(study, clips, by, _number(request.POST.get("weight"), float)),
        _("Marked for the next training set."),
    )


def _act(request, act, done):
    """Call `act` on the clips that the form names, show the outcome, and go back to the queue."""
    try:
        clips = [_number(request.POST.get(name), int) for name in ("clip", "other")]
        study, clips = disagreements.find_pair(request.POST.get("study", ""), clips)
        act(study, clips, request.user.get_username())
        messages.success(request, done)
    except Refusal as refusal:
        messages.error(request, refusal.message)
    query = {name: request.POST[name] for name in ("page", "in_study", "system") if request.POST.get(name)}
    if "in_study" in query:
        query["study"] = query.pop("in_study")
    return redirect(f"{reverse('review')}?{urlencode(query)}")


def _number(text, kind):
    try:
        return kind(text)
    except (TypeError, ValueError) as error:
        raise Refusal(f"{text!r} is not a number.") from error


# ---- files ----------------------------------------------------------------------------------------------


def _check(format):
    if format not in ("json", "csv"):
        raise Http404("There is json and csv.")


def _csv(rows, columns, filename):
    text = "".join(piece for _n, piece in write(rows, columns, "csv"))
    return _as_file(HttpResponse(text, content_type="text/csv; charset=utf-8"), filename)


def _as_file(response, filename):
    response["Content-Disposition"] = content_disposition_header(True, filename)
    return response
