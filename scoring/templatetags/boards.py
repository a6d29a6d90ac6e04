"""How a board's numbers are written and drawn. A number that is not known is a dash, never a zero."""

import math
from datetime import datetime
from typing import Any
from unicodedata import bidirectional

from babel import Locale
from django import template
from django.utils.functional import Promise
from django.utils.translation import get_language

from scoring.metrics.certainty import is_vague
from scoring.wording import numbers
from scoring.wording.boards import EFFECTS, EXCLUDED
from scoring.wording.methods import MODELS, RULES
from scoring.wording.numbers import DASH

from .coordinates import between_edges

register = template.Library()
FROM_RIGHT = {"R", "AL", "AN", "RLE", "RLO", "RLI"}  # Unicode's classes of characters
for written in (numbers.signed, numbers.plus_minus, numbers.percent):
    register.filter(written)


@register.filter
def isolated(name: str | None) -> str | None:
    """A name that people have given, to stand in a sentence or a cell: one that is read from right to left does not
    turn round what stands beside it."""
    turns = any(bidirectional(letter) in FROM_RIGHT for letter in name or "")
    return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}" if turns else name


@register.filter
def tie_share(eta: float) -> float:
    """How often two equal systems tie: nu / (2 + nu), nu = e^eta, by Davidson's model. By the grounded one with
    lambda = 1 + e^eta it is the limit as both become so good that nobody finds both bad."""
    return 0.5 + 0.5 * math.tanh((eta - math.log(2)) / 2)  # without overflow, however wide an interval


@register.filter
def moment(text: str) -> datetime:
    """An ISO 8601 time as a datetime."""
    return datetime.fromisoformat(text)


@register.filter
def effect(name: str) -> str | Promise:
    """A covariate in the reader's language."""
    return EFFECTS[name]


@register.filter
def having(facts: dict[str, Any], value: object) -> str:
    """The names in {name: value} that have the value, by name; a dash where none has."""
    return ", ".join(sorted(name for name, known in facts.items() if known is value)) or DASH


@register.filter
def language_name(code: str) -> str:
    """`de` as the reader calls German; the code where it is not known."""
    name = Locale.parse(get_language() or "en", sep="-").languages.get(code)
    return name[:1].upper() + name[1:] if name else code


@register.filter
def why_excluded(reason: str) -> str | Promise:
    """The reason in the reader's language; an unknown one as it is stored."""
    return EXCLUDED.get(reason, reason.replace("_", " "))


@register.filter
def rule(config: dict[str, Any], name: str) -> str | Promise:
    """A sentence: what the configuration of an edition says about `name`."""
    return RULES.get((name, config[name]), f"{name}: {config[name]}.")


@register.filter
def model_of_ties(config: dict[str, Any]) -> str | Promise:
    """What the configuration's treatment assumes about ties; of version 1, which names none, nothing."""
    return MODELS.get(config.get("treatment", ""), "")


@register.inclusion_tag("scoring/_plot.html")
def interval_plot(group: list[dict[str, Any]]) -> dict[str, Any]:
    """Every rating of a group with its interval, on one scale; of one that is too vague the numbers alone."""
    drawn = [rating for rating in group if not is_vague(rating)]
    low = math.floor(2 * min(0, 0, *(r["low"] for r in drawn))) / 2
    high = math.ceil(2 * max(0, 0, *(r["high"] for r in drawn))) / 2
    span = max(high - low, 1)

    def x(value):
        return between_edges((value - low) / span)

    step = max(1, math.ceil(span / 5))
    return {
        "rows": [
            {**r, "drawn": r in drawn, "x_low": x(r["low"]), "x": x(r["rating"]), "x_high": x(r["high"])} for r in group
        ],
        "zero": x(0),
        "ticks": [
            {"x": x(value), "value": value} for value in range(math.ceil(low / step) * step, math.floor(high) + 1, step)
        ],
    }


@register.inclusion_tag("scoring/_heat_map.html")
def heat_map(heat: dict[str, Any]) -> dict[str, Any]:
    """{"systems", "rows"} of `boards.figures.data.wins_of` as a table of systems against systems, both ways round."""
    cells = {}
    for row in heat["rows"]:
        cells[row["a"], row["b"]] = _cell(row["share"], row["low"], row["high"], row["n"])
        cells[row["b"], row["a"]] = _cell(1 - row["share"], 1 - row["high"], 1 - row["low"], row["n"])
    systems = heat["systems"]
    return {
        "systems": systems,
        "rows": [{"system": a, "cells": [cells.get((a, b)) for b in systems]} for a in systems],
    }


def _cell(share, low, high, n):
    depth = math.ceil(10 * abs(share - 0.5) - 1e-9)  # 0 to 5
    return {"share": share, "low": low, "high": high, "n": n, "side": "a" if share > 0.5 else "b", "depth": depth}
