"""How a robustness card and the difference of two editions are written and drawn."""

from typing import Any

from django import template
from django.utils.functional import Promise

from scoring.wording.methods import METHODS, SETTINGS
from scoring.wording.numbers import DASH, MINUS, chance

register = template.Library()
register.filter(chance)

SHOWN = 15  # systems on the map of ranks; all of them are in the JSON
SHADES = 10
SMALLEST = 0.005  # of a probability that is written in its cell


@register.filter
def step(ranks: int | None) -> str:
    """A change of rank as places gained: up is good, so its sign turns."""
    if ranks is None:
        return DASH
    return f"+{-ranks}" if ranks < 0 else f"{MINUS}{ranks}" if ranks > 0 else "0"


@register.filter
def setting(name: str) -> str | Promise:
    """A setting of an edition's method in the reader's language."""
    return SETTINGS.get(name, name.replace("_", " "))


@register.filter
def treatment(name: str) -> str | Promise:
    return METHODS.get(name, name)


@register.filter
def by_name(figures: dict[str, Any]) -> list[tuple[str, Any]]:
    """[(name, figures)], by name: the database keeps the keys of JSON in an order of its own."""
    return sorted(figures.items())


@register.simple_tag
def rank_map(group: dict[str, Any], draws: int) -> dict[str, Any]:
    """Rows of a system's ranks, for the first systems of a group; columns as far as any of these reaches.

    A cell has its share of the draws, and a shade from 0 to SHADES: shades are classes, so that nothing is styled
    in the page itself.
    """
    n = min(SHOWN, len(group["systems"]))
    rows = [
        {
            "system": group["systems"][i],
            "best": group["best_rank"][i],
            "worst": group["worst_rank"][i],
            "p_best": group["p_best"][i],
            "bar": f"{100 * group['p_best'][i]:.2f}%",
            "cells": [_cell(count / draws) for count in group["counts"][i][:n]],
        }
        for i in range(n)
    ]
    return {"rows": rows, "ranks": range(1, n + 1), "left_out": len(group["systems"]) - n}


def _cell(p):
    return {"p": p, "shade": round(SHADES * p), "figure": f"{100 * p:.0f}" if p >= SMALLEST else ""}


@register.simple_tag
def heaviest(raters: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the board without each of its most active raters: how many, who changes the leader, and the largest shift."""
    computed = [rater for rater in raters if "leader" in rater]
    shifts = [rater["largest_shift"] | {"votes": rater["votes"]} for rater in computed if rater["largest_shift"]]
    return {
        "n": len(computed),
        "changes": [rater for rater in computed if rater["leader_changes"]],
        "largest": max(shifts, key=lambda shift: abs(shift["shift"]), default=None),
    }


@register.simple_tag
def flag_shift(systems: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The system whose rating flagged votes move most: {"system", "shift"}, or None."""
    known = [{"system": name, "shift": row["shift"]} for name, row in systems.items() if row["shift"] is not None]
    return max(known, key=lambda moved: abs(moved["shift"]), default=None)
