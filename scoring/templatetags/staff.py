"""Small plots of a system's page."""

from typing import Any

from django import template

from scoring.metrics.certainty import is_vague
from scoring.wording.numbers import DASH, signed

from .coordinates import HEIGHT, WIDTH, frame, nice_ticks, path, percent, pixels, y_ticks

register = template.Library()

LOW = 120  # px of the bars
GAP = 0.4  # per cent between bars


@register.filter
def points(share: float | None) -> str:
    """A difference of shares in percentage points: 0.084 as +8 %."""
    return DASH if share is None else f"{signed(100 * share, 0)} %"


@register.inclusion_tag("scoring/_rewards.html")
def reward_plot(bins: list[dict[str, Any]], rewards: dict[str, Any]) -> dict[str, Any]:
    """How many clips have which reward: a bar per bin, with its count above; a line at the mean."""
    if not bins:
        return {"bins": []}
    low, high, most = bins[0]["low"], bins[-1]["high"], max(group["n"] for group in bins)
    span = (high - low) or 1.0
    if high == low:  # one bar in the middle
        low -= 0.5

    def x(value):
        return 100 * (value - low) / span

    bars = []
    for group in bins:
        left, right = (x(group["low"]), x(group["high"])) if group["high"] > group["low"] else (40, 60)
        height = (LOW - 20) * group["n"] / most
        bars.append(
            {
                "x": percent(left + GAP),
                "width": percent(right - left - 2 * GAP),
                "middle": percent((left + right) / 2),
                "y": pixels(LOW - height),
                "height": pixels(height),
                "label_y": pixels(LOW - height - 5),
                "n": group["n"],
            }
        )
    return {
        "bins": bins,
        "bars": bars,
        "rewards": rewards,
        "low": bins[0]["low"],
        "high": bins[-1]["high"],
        "mean_x": percent(x(rewards["mean"])),
        **frame(LOW),
    }


@register.inclusion_tag("scoring/_rating_history.html")
def rating_history_plot(history: list[dict[str, Any]]) -> dict[str, Any]:
    """The rating edition by edition, with the band of its intervals, from the first that is not too vague."""
    history = [row for row in history if not is_vague(row)] or history
    if len(history) < 2:
        return {"history": history}
    ticks = nice_ticks(min(row["low"] for row in history), max(row["high"] for row in history))
    low, high = ticks[0], ticks[-1]
    step = WIDTH / (len(history) - 1)

    def y(value):
        return HEIGHT * (high - value) / (high - low)

    def points(name):
        return [(number * step, y(row[name])) for number, row in enumerate(history)]

    return {
        "history": history,
        "first": history[0],
        "last": history[-1],
        "line": path(points("rating")),
        "band": path(points("low") + points("high")[::-1]) + "Z",
        "y_ticks": y_ticks(ticks, y),
        **frame(),
    }
