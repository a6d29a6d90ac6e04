"""The coordinates of plots in SVG. They are text: as numbers a template would write them with the decimal mark of the
reader's language.

x is in per cent of the width and y in pixels, so that a plot is as wide as the page and its words stay readable. Lines
lie in an inner drawing, WIDTH units wide, that is stretched in x alone.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

HEIGHT = 200  # px of a plot
WIDTH = 1000  # units of the inner drawing
EDGE = 3  # per cent kept free at either side, where points are drawn


def percent(x: float) -> str:
    """A position across the plot, 0 to 100."""
    return f"{x:.2f}%"


def between_edges(share: float) -> str:
    """A position across the plot, 0 to 1, with EDGE kept free at either side."""
    return percent(EDGE + (100 - 2 * EDGE) * share)


def pixels(y: float) -> str:
    return f"{y:.1f}"


def path(points: Iterable[tuple[float, float]]) -> str:
    """Lines through (x, y), in units of the inner drawing and in pixels."""
    return "M" + "L".join(f"{x:.1f},{pixels(y)}" for x, y in points)


def y_ticks(values: Iterable[float], y: Callable[[float], float]) -> list[dict[str, Any]]:
    """Grid lines with their labels; y: a value's place, in pixels."""
    return [{"y": pixels(y(value)), "label_y": pixels(y(value) + 4), "value": value} for value in values]


def frame(height: int = HEIGHT) -> dict[str, int]:
    """The sizes of a plot of this height, with a line of labels below it."""
    return {"height": height, "width": WIDTH, "below": height + 18, "all": height + 26}


def nice_ticks(low: float, high: float) -> list[float]:
    """Two to seven round numbers that enclose `low` and `high`, the ends within a step of them."""
    span = max(high - low, 1e-3)
    step = 10 ** math.floor(math.log10(span / 3))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 5)
    first = math.floor(low / step)
    return [round(n * step, 10) for n in range(first, max(math.ceil(high / step), first + 1) + 1)]
