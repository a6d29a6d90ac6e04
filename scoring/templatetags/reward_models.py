"""How a reward model's figures are written and drawn."""

import math
from typing import Any

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from scoring.wording.numbers import figure, p_value, share

from .coordinates import HEIGHT, WIDTH, between_edges, frame, nice_ticks, path, percent, pixels, y_ticks

register = template.Library()
for written in (figure, share, p_value):
    register.filter(written)

MOST_POINTS = 300  # of a line

ACTS = {
    "activated": gettext_lazy("activated by a person"),
    "promoted": gettext_lazy("activated by the automatic check"),
    "kept": gettext_lazy("rejected by the automatic check"),
    "rolled_back": gettext_lazy("reactivated by a rollback"),
}
STATUSES = {
    "live": gettext_lazy("live"),
    "candidate": gettext_lazy("candidate"),
    "retired": gettext_lazy("retired"),
}
SIDES = {
    "train": gettext_lazy("Training"),
    "validation": gettext_lazy("Validation"),
    "test": gettext_lazy("Test"),
}
SPLITS = {
    "prompt": gettext_lazy("by prompt: no prompt is in more than one part"),
    "rater": gettext_lazy("by listener: no listener is in more than one part"),
    "system": gettext_lazy("by system: no system is in more than one part"),
    "time": gettext_lazy("by time: the newest votes are for testing, the oldest for training"),
}


@register.filter
def act(name: str) -> str | Promise:
    return ACTS.get(name, name)


@register.filter
def status(name: str) -> str | Promise:
    return STATUSES.get(name, name)


@register.filter
def side(name: str) -> str | Promise:
    return SIDES.get(name, name)


@register.filter
def split_by(name: str) -> str | Promise:
    return SPLITS.get(name, name)


@register.inclusion_tag("scoring/_curves.html")
def curves_plot(history: list[dict[str, Any]], what: str) -> dict[str, Any]:
    """The training of every seed, epoch by epoch: `what` is "loss" or "accuracy", on the training and validation side.

    history: entries {epoch, train_<what>, validation_<what>, seed?}; an accuracy may be None where all votes are ties.
    """
    seeds: dict[int | None, list[dict]] = {}
    for entry in history:
        seeds.setdefault(entry.get("seed"), []).append(entry)
    columns = (f"train_{what}", f"validation_{what}")
    values = [entry[name] for entry in history for name in columns if entry.get(name) is not None]
    if not values:
        return {"lines": []}
    ticks = nice_ticks(min(values), max(values))
    low, high = min(ticks[0], *values), max(ticks[-1], *values)
    last = max(entry["epoch"] for entry in history)

    def x(epoch):
        return (epoch - 1) / max(last - 1, 1)

    def y(value):
        return HEIGHT * (high - value) / (high - low)

    best = min(history, key=lambda entry: entry["validation_loss"])
    return {
        "what": what,
        "lines": [
            {"side": name.partition("_")[0], "d": _path(entries, name, x, y)}
            for name in columns
            for entries in seeds.values()
        ],
        "x_ticks": [
            {"x": percent(100 * x(epoch)), "value": epoch, "anchor": anchor}
            for epoch, anchor in ((1, "start"), ((1 + last) // 2, "middle"), (last, "end"))
            if last > 2 or epoch in (1, last)
        ],
        "y_ticks": y_ticks(ticks, y),
        "digits": 0 if what == "accuracy" else max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9)),
        **frame(),
        "best": best,
        "best_value": best.get(f"validation_{what}"),
        "best_x": percent(100 * x(best["epoch"])),
        "best_y": pixels(y(best[columns[1]])) if best.get(columns[1]) is not None else None,
        "n_seeds": len(seeds),
        "n_epochs": last,
    }


def _path(entries, name, x, y):
    known = [entry for entry in entries if entry.get(name) is not None]
    step = max(1, math.ceil(len(known) / MOST_POINTS))
    points = known[::step] + (known[-1:] if (len(known) - 1) % step else [])
    return path((WIDTH * x(entry["epoch"]), y(entry[name])) for entry in points)


@register.inclusion_tag("scoring/_reliability.html")
def reliability_plot(bins: list[dict[str, Any]]) -> dict[str, Any]:
    """Confidence (from 50 to 100 %) against accuracy (from 0 to 100 %), a point with its interval per bin.

    bins: reliability bins {confidence, accuracy, low, high, n, margin_low, margin_high}.
    """

    def x(confidence):
        return between_edges(2 * confidence - 1)

    def y(accuracy):
        return HEIGHT * (1 - accuracy)

    return {
        "bins": bins,
        "points": [
            {
                "x": x(group["confidence"]),
                "y": pixels(y(group["accuracy"])),
                "y_low": pixels(y(group["low"])),
                "y_high": pixels(y(group["high"])),
            }
            for group in bins
        ],
        "diagonal": {"x1": x(0.5), "y1": pixels(y(0.5)), "x2": x(1), "y2": pixels(y(1))},
        "x_ticks": [{"x": x(value), "value": value} for value in (0.5, 0.6, 0.7, 0.8, 0.9, 1)],
        "y_ticks": y_ticks((0, 0.5, 1), y),
        **frame(),
        "n": sum(group["n"] for group in bins),
    }
