"""What is published and can be computed again, kind by kind: which rows there are, what a row says beside what it gives
when computed again, and what it repeats beside what it repeats it from."""

import json

from scoring.anchors import refit as anchors
from scoring.boards import categories, explanations, prediction_powered, refit, robustness_cards
from scoring.models import AnchorFit, CategoryBoards, Edition, EditionChange, PredictionPowered, Release, RobustnessCard
from scoring.stats import board_method

from . import release_files
from .comparison import Kind, Sides


def _of_results(rebuild):
    """Sides of a row's result, by a function that returns the canonical JSON of it computed again."""
    return lambda row: Sides({"result": row.result}, {"result": json.loads(rebuild(row))})


def _board(edition):
    rebuilt = refit.rebuilt(edition)
    stored = {"input_hash": edition.input_hash, "result": edition.result}
    if edition.method_version == 1:  # its hash was of the votes as text
        del stored["input_hash"], rebuilt["input_hash"]
    return Sides(stored, rebuilt)


def _copies_of_board(edition):
    board_method.require_known(edition)  # else it is not known what its result looks like
    rows = edition.ratings.values(
        "system__name", "group", "value", "stderr", "low", "high", "n_votes", "wins", "losses", "ties"
    )
    result = edition.result
    return Sides(
        {
            "n_votes": edition.n_votes,
            "excluded": edition.excluded,
            "ratings": {row.pop("system__name"): row for row in rows},
        },
        {"n_votes": result["n_votes"], "excluded": result["excluded"], "ratings": refit.ratings_of(result)},
    )


def _categories(row):
    rebuilt = categories.rebuild(row)
    return Sides(
        {"result": json.loads(categories.stored(row, rebuilt.lost))},
        {"result": json.loads(rebuilt.json)},
        "; ".join(_why_lost(kind, n_withdrawn) for kind, n_withdrawn in rebuilt.lost.items()),
    )


def _why_lost(kind, n_withdrawn):
    why = f"{n_withdrawn} votes were withdrawn since" if n_withdrawn else "a listener named their group since"
    return f"the boards by {kind} cannot be computed again: {why}"


def _copies_of_categories(row):
    categories.require_known(row)
    return Sides({"summary": row.summary}, {"summary": categories.summary_of(row.result)})


def _anchors(fit):
    rebuilt = anchors.rebuild_fit(fit)
    return Sides(json.loads(anchors.stored(fit)), json.loads(rebuilt))


OF_EDITION = ("edition__study", "edition__number")
KINDS = {
    kind.name: kind
    for kind in (
        Kind("boards", Edition, "study", "number", _board, _copies_of_board),
        Kind("changes", EditionChange, *OF_EDITION, _of_results(explanations.rebuild_change)),
        Kind("cards", RobustnessCard, *OF_EDITION, _of_results(robustness_cards.rebuild_card)),
        Kind("categories", CategoryBoards, *OF_EDITION, _categories, _copies_of_categories),
        Kind("prediction-powered", PredictionPowered, *OF_EDITION, _of_results(prediction_powered.rebuild)),
        Kind("anchors", AnchorFit, "study", "pk", _anchors),
        Kind("releases", Release, "study", "number", release_files.rebuilt, release_files.copies),
    )
}
