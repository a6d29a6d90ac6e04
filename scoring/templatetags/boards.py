"""How a board's numbers are written and drawn. A number that is not known is a dash, never a zero."""

import math
from datetime import datetime

from django import template

register = template.Library()

DASH = "–"  # noqa: RUF001
MINUS = "−"  # noqa: RUF001
EDGE = 3  # per cent of the plot kept free at either side
EXCLUDED = {
    "both_bad": "said that both were bad, which is no preference",
    "withdrawn": "withdrawn by the listener",
}


@register.filter
def signed(value, digits=2):
    """1.5 as +1.50, with a true minus sign."""
    if value is None:
        return DASH
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else (f"+{text}" if value > 0 else f"{MINUS}{text}")


@register.filter
def plus_minus(stderr, digits=2):
    """A standard error as "± 0.12"; nothing where there is none to give."""
    return "" if stderr is None else f"± {stderr:.{digits}f}"


@register.filter
def percent(share):
    return DASH if share is None else f"{100 * share:.0f} %"


@register.filter
def moment(text):
    """An ISO 8601 time as a datetime."""
    return datetime.fromisoformat(text)


@register.filter
def why_excluded(reason):
    return EXCLUDED.get(reason, reason.replace("_", " "))


@register.inclusion_tag("scoring/_plot.html")
def interval_plot(group):
    """Every rating of a group with its interval, on one scale, as x positions in per cent."""
    low = math.floor(2 * min(0, *(r["low"] for r in group))) / 2
    high = math.ceil(2 * max(0, *(r["high"] for r in group))) / 2
    span = max(high - low, 1)

    def x(value):
        return round(EDGE + (100 - 2 * EDGE) * (value - low) / span, 2)

    step = max(1, math.ceil(span / 5))
    return {
        "rows": [{**r, "x_low": x(r["low"]), "x": x(r["rating"]), "x_high": x(r["high"])} for r in group],
        "zero": x(0),
        "ticks": [
            {"x": x(value), "value": value} for value in range(math.ceil(low / step) * step, math.floor(high) + 1, step)
        ],
    }
