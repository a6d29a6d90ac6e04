"""How a reward model's biases are drawn over time: a row per system, all on one scale. x is the place in the ledger, in
per cent; y in pixels. Coordinates are text, as in `reward_models`."""

from django import template

from .boards import EDGE
from .reward_models import WIDTH, nice_ticks

register = template.Library()

HEIGHT = 64  # px of a row


@register.inclusion_tag("scoring/_bias_plot.html")
def bias_plot(anchors):
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
        return f"{HEIGHT * (high - value) / (high - low):.1f}"

    def row(system):
        parts = [
            {"x": f"{EDGE + (100 - 2 * EDGE) * x((part['from_seq'] + part['to_seq']) / 2):.2f}%",
             "y": y(bias["bias"]), "y_low": y(bias["low"]), "y_high": y(bias["high"])}
            for part in fit["slices"] for bias in part["biases"] if bias["system"] == system["system"]
        ]  # fmt: skip
        line = [
            f"{WIDTH * (EDGE / 100 + (1 - EDGE / 50) * x(fit_then['ledger_seq'])):.1f},"
            f"{y(fit_then['biases'][system['system']])}"
            for fit_then in anchors["history"]
            if system["system"] in fit_then["biases"]
        ]
        changed = next((change for change in fit["changes"] if change["system"] == system["system"]), None)
        return {**system, "parts": parts, "d": "M" + "L".join(line) if len(line) > 1 else "", "change": changed}

    return {
        "rows": [row(system) for system in fit["biases"]],
        "zero": y(0),
        "ends": [{"y": y(ticks[0]), "value": ticks[0]}, {"y": y(ticks[-1]), "value": ticks[-1]}],
        "height": HEIGHT,
        "width": WIDTH,
        "n_parts": len(fit["slices"]),
    }
