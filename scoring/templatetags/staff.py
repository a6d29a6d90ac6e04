"""Small plots of a system's page. Coordinates are text, as in `reward_models`."""

from django import template

from scoring.wording.numbers import DASH, signed

from .reward_models import HEIGHT, WIDTH, nice_ticks

register = template.Library()

LOW = 120  # px of the bars
GAP = 0.4  # per cent between bars


@register.filter
def points(share):
    """A difference of shares in percentage points: 0.084 as +8 %."""
    return DASH if share is None else f"{signed(100 * share, 0)} %"


@register.inclusion_tag("scoring/_rewards.html")
def reward_plot(bins, rewards):
    """How many clips have which reward: a bar per bin, with its count above; a line at the mean."""
    if not bins:
        return {"bins": []}
    low, high, most = bins[0]["low"], bins[-1]["high"], max(row["n"] for row in bins)
    span = (high - low) or 1.0
    if high == low:  # one bar in the middle
        low -= 0.5

    def x(value):
        return 100 * (value - low) / span

    bars = []
    for row in bins:
        left, right = (x(row["low"]), x(row["high"])) if row["high"] > row["low"] else (40, 60)
        height = (LOW - 20) * row["n"] / most
        bars.append(
            {
                "x": f"{left + GAP:.2f}%",
                "width": f"{right - left - 2 * GAP:.2f}%",
                "middle": f"{(left + right) / 2:.2f}%",
                "y": f"{LOW - height:.1f}",
                "height": f"{height:.1f}",
                "label_y": f"{LOW - height - 5:.1f}",
                "n": row["n"],
            }
        )
    return {
        "bins": bins, "bars": bars, "rewards": rewards, "low": bins[0]["low"], "high": bins[-1]["high"],
        "mean_x": f"{x(rewards['mean']):.2f}%", "height": LOW, "below": LOW + 18, "all": LOW + 24,
    }  # fmt: skip


@register.inclusion_tag("scoring/_rating_history.html")
def rating_history_plot(history):
    """The rating edition by edition, with the band of its intervals."""
    if len(history) < 2:
        return {"history": history}
    ticks = nice_ticks(min(row["low"] for row in history), max(row["high"] for row in history))
    low, high = ticks[0], ticks[-1]
    step = WIDTH / (len(history) - 1)

    def y(value):
        return HEIGHT * (high - value) / (high - low)

    def points(name):
        return [f"{number * step:.1f},{y(row[name]):.1f}" for number, row in enumerate(history)]

    return {
        "history": history,
        "first": history[0],
        "last": history[-1],
        "line": "M" + "L".join(points("rating")),
        "band": "M" + "L".join(points("low") + points("high")[::-1]) + "Z",
        "y_ticks": [{"y": f"{y(value):.1f}", "label_y": f"{y(value) + 4:.1f}", "value": value} for value in ticks],
        "height": HEIGHT,
        "width": WIDTH,
        "below": HEIGHT + 18,
        "all": HEIGHT + 26,
    }
