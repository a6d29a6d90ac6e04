"""The pages of the reward models."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from scoring.registry import live, model_page

from .not_found import not_found_is_404

DECISIONS = 100  # the newest on the page of all models; a model's own page has all of its decisions


@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """Every reward model, and how each came to be live."""
    shown = {"models": model_page.all_models(), "decisions": model_page.decisions(live.history()[:DECISIONS])}
    return render(request, "scoring/models.html", shown)


@require_safe
def model(request: HttpRequest, name: str) -> HttpResponse:
    return render(request, "scoring/model.html", {"model": model_page.page(_model(name))})


@require_safe
def model_data(request: HttpRequest, name: str) -> HttpResponse:
    """The figures and the training history of a reward model as a file."""
    response = JsonResponse(model_page.data(_model(name)), json_dumps_params={"indent": 1})
    response["Content-Disposition"] = 'attachment; filename="model.json"'
    return response


def _model(name):
    with not_found_is_404():
        return live.find_model(name)
