"""How a reward model's biases are drawn over time: a row per system, all on one scale. x is the place in the ledger, in
per cent; y in pixels, see `coordinates`."""

from typing import Any

from django import template

from .coordinates import EDGE, WIDTH, between_edges, nice_ticks, path, pixels

register = template.Library()

HEIGHT = 64  # px of a row


@register.inclusion_tag("scoring/_bias_plot.html")
def bias_plot(anchors: dict[str, Any]) -> dict[str, Any]:
    """Of `anchor_page.anchors_json`: each part of the votes by itself with its interval, and the fits of all votes so
    far as a line."""
    fit = anchors["fit"]
    values = [0.0, *(bias["bias"] for bias in fit["biases"])]
    values += [bias[end] for part in fit["slices"] for bias in part["biases"] for end in ("low", "high")]
    low, high = min(*values, -0.5), max(*values, 0.5)
    ticks = [tick for tick in nice_ticks(low, high) if low <= tick <= high]
    first = min([part["from_seq"] for part in fit["slices"]], default=0)
    first = min([first, *(earlier["ledger_seq"] for earlier in anchors["history"])])
    span = max(fit["ledger_seq"] - first, 1)

    def x(seq):
        return (seq - first) / span

    def y(value):
        return HEIGHT * (high - value) / (high - low)

    def row(system):
        name = system["system"]
        parts = [
            {
                "x": between_edges(x((part["from_seq"] + part["to_seq"]) / 2)),
                "y": pixels(y(bias["bias"])),
                "y_low": pixels(y(bias["low"])),
                "y_high": pixels(y(bias["high"])),
            }
            for part in fit["slices"]
            for bias in part["biases"]
            if bias["system"] == name
        ]
        line = [
            (WIDTH * (EDGE / 100 + (1 - EDGE / 50) * x(earlier["ledger_seq"])), y(earlier["biases"][name]))
            for earlier in anchors["history"]
            if name in earlier["biases"]
        ]
        change = next((change for change in fit["changes"] if change["system"] == name), None)
        return {**system, "parts": parts, "d": path(line) if len(line) > 1 else "", "change": change}

    return {
        "rows": [row(system) for system in fit["biases"]],
        "zero": pixels(y(0)),
        "ends": [{"y": pixels(y(tick)), "value": tick} for tick in (ticks[0], ticks[-1])],
        "height": HEIGHT,
        "width": WIDTH,
        "n_parts": len(fit["slices"]),
    }
