"""The public history of a board: every edition, what moved it, and how two editions differ."""

from typing import Any

from arena.models import Study
from arena.refusals import NotFound
from scoring.models import EditionChange, RobustnessCard
from scoring.stats import board_method, edition_difference
from scoring.stats.pair_weights import NONE

from .explanations import FACTS, leader_of, method_of

PAGE = 50


def changelog(study: Study, before: int | None = None) -> dict[str, Any]:
    """What GET /api/editions/ returns: the editions, newest first, PAGE at a time, each with what moved it (None for
    the first edition, and until it is computed)."""
    editions = study.editions.order_by("-number").defer("result")
    if before:
        editions = editions.filter(number__lt=before)
    rows = list(editions[: PAGE + 1])
    shown = rows[:PAGE]
    moved = _changes(shown)
    with_card = set(RobustnessCard.objects.filter(edition__in=shown).values_list("edition_id", flat=True))
    return {
        "study": study.slug,
        "editions": [
            {
                "number": edition.number,
                "created_at": edition.created_at.isoformat(),
                "n_votes": edition.n_votes,
                "excluded": edition.excluded,
                "method": method_of(edition),
                "treatment": edition.config.get("treatment", board_method.HALF_TIE),
                "covariates": edition.config.get("covariates", []),
                "weighting": edition.config.get("weighting", NONE),
                "ledger_seq": edition.ledger_seq,
                "input_hash": edition.input_hash,
                "changes": _in_short(moved.get(edition.pk)),
                "has_card": edition.pk in with_card,
            }
            for edition in shown
        ],
        "next_before": shown[-1].number if len(rows) > PAGE else None,
    }


def _changes(editions):
    changes_of = EditionChange.objects.filter(edition__in=editions, method_version=edition_difference.METHOD_VERSION)
    return {change.edition_id: change.result for change in changes_of}


def _in_short(result):
    """The facts of a change without its systems, but with how many of them changed rank."""
    if result is None:
        return None
    rows = result["systems"].values()
    moved = sum(bool(row["from"] and row["to"] and row["from"]["rank"] != row["to"]["rank"]) for row in rows)
    summary = {name: value for name, value in result.items() if name != "systems"}
    return {**summary, "rank_moves": moved, "arrived": sum(row["from"] is None for row in rows)}


def difference(study: Study, first: int, last: int) -> dict[str, Any]:
    """What GET /api/editions/compare/ returns: the moves between two editions, each split into its reasons.

    Parts are None until every step between the two is computed (`complete` is False), and for a system that was not on
    every board in between.
    """
    if first >= last:
        raise NotFound(f"The edition compared from must be the earlier one: {first} is not before {last}.")
    numbers = {edition.number: edition for edition in study.editions.filter(number__in=(first, last))}
    if missing := {first, last} - set(numbers):
        raise NotFound(f"{study.slug} has no edition {min(missing)}.")
    between = EditionChange.objects.filter(
        edition__study=study,
        edition__number__gt=first,
        edition__number__lte=last,
        method_version=edition_difference.METHOD_VERSION,
    )
    steps = list(between.order_by("edition__number").values_list("result", flat=True))
    complete = len(steps) == last - first
    ends = edition_difference.split([numbers[first].result, None, None, numbers[last].result])
    systems = edition_difference.chain([step["systems"] for step in steps]) if complete else ends
    return {
        "study": study.slug,
        "from": _end(numbers[first]),
        "to": _end(numbers[last]),
        "order": list(edition_difference.PARTS),
        "complete": complete,
        "facts": {name: sum(step["facts"][name] for step in steps) for name in FACTS} if complete else None,
        "settings": edition_difference.changed_settings(numbers[first].config, numbers[last].config),
        "systems": [
            {"system": name, **row, "move": _move(row)}
            for name, row in sorted(systems.items(), key=lambda item: _place(item[1]))
        ],
    }


def _end(edition):
    return {
        "number": edition.number,
        "created_at": edition.created_at.isoformat(),
        "n_votes": edition.n_votes,
        "method": method_of(edition),
        "leader": leader_of(edition),
    }


def _move(row):
    return edition_difference.difference(row["from"], row["to"]) if row["from"] and row["to"] else None


def _place(row):
    return (0, row["to"]["rank"], -row["to"]["rating"]) if row["to"] else (1, row["from"]["rank"], 0)
