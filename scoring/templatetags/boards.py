"""How a board's numbers are written and drawn. A number that is not known is a dash, never a zero."""

import math
from datetime import datetime

from babel import Locale
from django import template
from django.utils.formats import number_format
from django.utils.translation import get_language, gettext_lazy

register = template.Library()

DASH = "–"  # noqa: RUF001
MINUS = "−"  # noqa: RUF001
EDGE = 3  # per cent of the plot kept free at either side

# Why a vote is not on a board: what the vote is, what its listener wants, or what a rule says of its listener.
EXCLUDED = {
    "both_bad": gettext_lazy("Both clips were found bad, which is no preference"),
    "withdrawn": gettext_lazy("Withdrawn by the listener"),
    "practice": gettext_lazy("For practice"),
    "gold": gettext_lazy("A check: a clip against a damaged copy of itself"),
    "trap": gettext_lazy("A check: was the listener attending"),
    "repeat": gettext_lazy("A check: a pair that the listener had answered before"),
    "again": gettext_lazy("Served again on purpose, which would tilt the board"),
    "risk": gettext_lazy("The listener looks like a duplicate or a machine"),
    "careless": gettext_lazy("The listener did not listen, by all the checks together"),
    "favours_system": gettext_lazy("The listener favours one system far beyond what others hear"),
    "against_board": gettext_lazy("The listener contradicts the others more than taste explains"),
    "failed_golds": gettext_lazy("The listener preferred clips that were audibly damaged"),
    "inconsistent": gettext_lazy("The listener answered the same pairs differently each time"),
    "slot_bias": gettext_lazy("The listener chose one side, whatever was playing there"),
    "straight_lining": gettext_lazy("The listener gave the same answer again and again"),
    "too_fast": gettext_lazy("The listener answered faster than anyone can decide"),
    "no_headphones": gettext_lazy("Heard without headphones, where the study asks for them"),
    "impossible_times": gettext_lazy("The times recorded contradict what is said to have been heard"),
    "draw_unknown": gettext_lazy("It is not known how likely its pair was to be drawn"),
    "covariate_unknown": gettext_lazy("What the ratings are adjusted for is not known of it"),
    "late": gettext_lazy("Arrived late, and counted all the same"),
    "cleared": gettext_lazy("Looked at by a person, who found nothing wrong"),
}

# What the configuration of an edition says, in the reader's words.
RULES = {
    ("tie", "half a win each way"): gettext_lazy("A tie is half a win for each side."),
    ("tie", "an answer of its own"): gettext_lazy("A tie is an answer of its own."),
    ("both_bad", "an answer of its own"): gettext_lazy("“Both bad” is an answer of its own."),
    ("both_bad", "excluded"): gettext_lazy("A vote “both bad” is left out."),
    ("cluster", "rater; a vote without rater is a cluster of its own"): gettext_lazy(
        "Intervals are clustered by listener; a vote without a known listener is a cluster of its own."
    ),
}

# What an effect beside the ratings is of.
EFFECTS = {
    "slot": gettext_lazy("Standing in slot A"),
    "first_played": gettext_lazy("Being played first"),
    "duration": gettext_lazy("10 s more of the clip"),
    "loudness": gettext_lazy("1 LU louder before levels are matched"),
    "heard": gettext_lazy("Heard to the end, against not at all"),
    "lyrics": gettext_lazy("Singing the lyrics asked for, against a system that does not sing"),
}


@register.filter
def signed(value, digits=2):
    """1.5 as +1.50, with a true minus sign and the language's decimal mark."""
    if value is None:
        return DASH
    text = f"{abs(value):.{digits}f}"
    sign = "" if float(text) == 0 else "+" if value > 0 else MINUS
    return sign + number_format(text)


@register.filter
def plus_minus(stderr, digits=2):
    """A standard error as "± 0.12"; nothing where there is none to give."""
    return "" if stderr is None else f"± {number_format(f'{stderr:.{digits}f}')}"


@register.filter
def percent(share):
    return DASH if share is None else f"{100 * share:.0f} %"


@register.filter
def tie_share(eta):
    """How often two equal systems tie: nu / (2 + nu), nu = e^eta, by Davidson's model. By the grounded one with
    lambda = 1 + e^eta it is the limit as both become so good that nobody finds both bad."""
    return 0.5 + 0.5 * math.tanh((eta - math.log(2)) / 2)  # without overflow, however wide an interval


@register.filter
def moment(text):
    """An ISO 8601 time as a datetime."""
    return datetime.fromisoformat(text)


@register.filter
def effect(name):
    """A covariate in the reader's words."""
    return EFFECTS[name]


@register.filter
def having(facts, value):
    """The names in {name: value} that have the value, by name; a dash where none has."""
    return ", ".join(sorted(name for name, found in facts.items() if found is value)) or DASH


@register.filter
def language_name(code):
    """`de` as the reader calls German; the code where it is not known."""
    name = Locale.parse(get_language() or "en", sep="-").languages.get(code)
    return name[:1].upper() + name[1:] if name else code


@register.filter
def why_excluded(reason):
    """The reason in the reader's words; one without words here as it is stored."""
    return EXCLUDED.get(reason, reason.replace("_", " "))


@register.filter
def rule(config, name):
    """A sentence: what the configuration of an edition says about `name`."""
    return RULES.get((name, config[name]), f"{name}: {config[name]}.")


@register.inclusion_tag("scoring/_plot.html")
def interval_plot(group):
    """Every rating of a group with its interval, on one scale, as x positions in per cent. Positions are text:
    as numbers a template would write them with the decimal mark of the reader's language."""
    low = math.floor(2 * min(0, *(r["low"] for r in group))) / 2
    high = math.ceil(2 * max(0, *(r["high"] for r in group))) / 2
    span = max(high - low, 1)

    def x(value):
        return f"{EDGE + (100 - 2 * EDGE) * (value - low) / span:.2f}%"

    step = max(1, math.ceil(span / 5))
    return {
        "rows": [{**r, "x_low": x(r["low"]), "x": x(r["rating"]), "x_high": x(r["high"])} for r in group],
        "zero": x(0),
        "ticks": [
            {"x": x(value), "value": value} for value in range(math.ceil(low / step) * step, math.floor(high) + 1, step)
        ],
    }


@register.inclusion_tag("scoring/_heat_map.html")
def heat_map(heat):
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
