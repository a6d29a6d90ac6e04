"""Figures as SVG, by matplotlib, from their data. No Django; only workers import this.

A drawing is inlined into the page and uses its fonts and its colours, light or dark: it names colours by the page's CSS
variables, such as `var(--a)`. Its only words are the systems' names: `[[word:rating]]` stands for a word and
`[[number:0.5]]` for a number, which the page replaces in the reader's language. So a study is drawn once for all
languages, but twice for screen widths: what is readable at 330 px looks clumsy at 900.
"""

import io
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Sheet
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from scoring.metrics.certainty import is_vague

Row = dict[str, Any]  # of a figure's data: the columns that its drawer reads

WIDTHS = {"narrow": 330, "wide": 880}  # px
MOST_SYSTEMS, MOST_PANELS = {"intervals": 100, "wins": 30}, 12
SIZE = 12  # px of letters
INK, SOFT, LINE, A, B, CARD = COLOURS = [f"#00000{n}" for n in range(1, 7)]
NAMES = dict(zip(COLOURS, ("ink", "soft", "line", "a", "b", "card"), strict=True))
FINE = re.compile(r"\[\[.*?\]\]|>[^<]*<|(\d+\.\d{2})\d+")  # a token, a text, or a number with too many decimals
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "arena",
    "text.parse_math": False,
    "font.size": SIZE,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 1,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": False,
    "path.simplify": True,
}


def draw(name: str, data: dict[str, Any], size: str) -> str:
    """The figure as SVG with ids of its own and no size on its root; "" where there is nothing to draw.

    name: of `DRAWERS`; data: as `scoring.boards.figures.data` gathers it; size: of WIDTHS.
    """
    if not data["rows"]:
        return ""
    with matplotlib.rc_context(STYLE):
        sheet = DRAWERS[name](data, WIDTHS[size], size == "wide")
        return _for_a_page(sheet, f"{name}-{size}")


# ---- a sheet, laid out in px --------------------------------------------------------------------------


def _sheet(width: float, height: float) -> Sheet:
    sheet = Sheet(figsize=(width / 72, height / 72), dpi=72)
    FigureCanvasSVG(sheet)
    return sheet


def _axes(sheet: Sheet, left: float, top: float, right: float, bottom: float, **more: Any) -> Axes:
    """Axes with these margins in px."""
    width, height = sheet.get_size_inches() * 72
    return sheet.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height), **more
    )


def _number(value: float, _: object = None) -> str:
    return f"[[number:{value:.10g}]]"


def _share(value: float, _: object = None) -> str:
    return f"[[percent:{value:.10g}]]"


def _word(name: str) -> str:
    return f"[[word:{name}]]"


def _ticks(axis: Axis, most: int, form: Callable[..., str] = _number, integers: bool = False) -> None:
    axis.set_major_locator(MaxNLocator(most, integer=integers, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(form))


def _call_y(axes: Axes, name: str) -> None:
    """Name the y axis above its top, so that nobody has to read sideways."""
    axes.set_title(_word(name), loc="left", fontsize=SIZE, color=SOFT, pad=8)


def _cut(name: str, letters: int) -> str:
    return name if len(name) <= letters else name[: letters - 1] + "…"


def _bars(axes: Axes, at: Any, low: Sequence[float], high: Sequence[float], horizontal: bool = True) -> None:
    line = axes.hlines if horizontal else axes.vlines
    line(at, low, high, color=A, linewidth=7, alpha=0.38, capstyle="round")


def _dots(axes: Axes, x: Any, y: Any) -> None:
    axes.plot(x, y, "o", color=A, markersize=9, markeredgecolor=CARD, markeredgewidth=1.5)


def _for_a_page(sheet: Sheet, prefix: str) -> str:
    """SVG to inline into a page: no prologue, no style that would apply to the page, no size, unique ids."""
    out = io.StringIO()
    sheet.savefig(out, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = out.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", text, count=1)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda match: f' id="{prefix}-{match[1]}"' if match[1] in used else "", text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", text)
    text = re.sub("#00000[1-6]", lambda match: f"var(--{NAMES[match[0]]})", text)
    text = FINE.sub(lambda match: match[1] or match[0], text)  # a hundredth of a px is enough
    return re.sub(r"\s*\n\s*", " ", text)


# ---- the figures --------------------------------------------------------------------------------------


def _clear(rows: Sequence[Row]) -> list[Row]:
    """The ratings that are not too vague to be drawn beside others; all where that would leave none."""
    return [row for row in rows if not is_vague(row)] or list(rows)


def _intervals(data: dict[str, Any], width: float, wide: bool) -> Sheet:
    rows = _clear(data["rows"])[: MOST_SYSTEMS["intervals"]]
    step, left = (30, 210) if wide else (44, 12)
    sheet = _sheet(width, step * len(rows) + 52)
    axes = _axes(sheet, left, 6, 14, 46)
    axes.axvline(0, color=LINE, linewidth=1.5, linestyle=(0, (3, 3)))
    places = np.arange(len(rows))[::-1]
    _bars(axes, places, [r["low"] for r in rows], [r["high"] for r in rows])
    _dots(axes, [r["rating"] for r in rows], places)
    low, high = min(0, *(r["low"] for r in rows)), max(0, *(r["high"] for r in rows))
    edge = 0.03 * max(high - low, 1)
    axes.set(xlim=(low - edge, high + edge), ylim=(-0.6, len(rows) - (0.4 if wide else 0.15)), xlabel=_word("rating"))
    axes.spines["left"].set_visible(False)
    _ticks(axes.xaxis, 8 if wide else 5)
    if wide:
        axes.set_yticks(places, [_cut(r["system"], 30) for r in rows])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
    else:
        axes.set_yticks([])
        for place, row in zip(places, rows, strict=True):
            axes.text(0.0, place + 0.3, _cut(row["system"], 44), transform=axes.get_yaxis_transform(), va="bottom")
    return sheet


def _history(data: dict[str, Any], width: float, wide: bool) -> Sheet:
    clear = _clear(data["rows"])
    systems = [r["system"] for r in clear if r["edition"] == clear[-1]["edition"]]

    def own(axes: Axes, rows: list[Row]) -> None:
        at = [r["edition"] for r in rows]
        axes.fill_between(at, [r["low"] for r in rows], [r["high"] for r in rows], color=A, alpha=0.25, linewidth=0)
        axes.plot(at, [r["rating"] for r in rows], color=A, linewidth=2)
        _dots(axes, at[-1:], [rows[-1]["rating"]])

    return _panels(clear, systems, "edition", "rating", own, width, wide)


def _biases(data: dict[str, Any], width: float, wide: bool) -> Sheet:
    def own(axes: Axes, rows: list[Row]) -> None:
        axes.axhline(0, color=LINE, linewidth=1.5, linestyle=(0, (3, 3)))
        at = [r["part"] for r in rows]
        _bars(axes, at, [r["low"] for r in rows], [r["high"] for r in rows], horizontal=False)
        _dots(axes, at, [r["bias"] for r in rows])

    systems = list(dict.fromkeys(r["system"] for r in data["rows"]))
    return _panels(data["rows"], systems, "part", "bias", own, width, wide)


def _panels(
    rows: list[Row],
    systems: list[str],
    along: str,
    value: str,
    draw_own: Callable[[Axes, list[Row]], None],
    width: float,
    wide: bool,
) -> Sheet:
    """A panel for each system, its own line dark in front of the faint ones of the others: this needs no legend and no
    colours to tell apart. along, value: columns; draw_own: called with a panel's axes and its system's rows."""
    systems = systems[:MOST_PANELS]
    lines = {system: [r for r in rows if r["system"] == system] for system in systems}
    columns = min(4 if wide else 2, len(systems))
    panel, left, gap, below = 120, 40, 14, 40
    height = math.ceil(len(systems) / columns) * (panel + 26) + 4 + below
    sheet = _sheet(width, height)
    shown = [r for own in lines.values() for r in own]
    low, high = min(r["low"] for r in shown), max(r["high"] for r in shown)
    edge = 0.05 * (high - low)
    first, last = min(r[along] for r in shown), max(r[along] for r in shown)
    each = (width - left - 8 - gap * (columns - 1)) / columns
    for n, system in enumerate(systems):
        row, column = divmod(n, columns)
        x, top = left + column * (each + gap), row * (panel + 26) + 24
        axes = _axes(sheet, x, top, width - x - each, height - top - panel)
        for other in systems:
            axes.plot([r[along] for r in lines[other]], [r[value] for r in lines[other]], color=LINE, linewidth=1)
        draw_own(axes, lines[system])
        axes.set(
            ylim=(low - edge, high + edge),
            xlim=(first - 0.02 * (last - first) - 0.5, last + 0.02 * (last - first) + 0.5),
        )
        axes.set_title(_cut(system, 26 if wide else 18), loc="left", fontsize=SIZE, color=INK, pad=5)
        _ticks(axes.yaxis, 4)
        axes.set_xticks([first, last] if last > first else [last])
        axes.xaxis.set_major_formatter(FuncFormatter(_number))
        axes.tick_params(labelleft=column == 0, labelbottom=n + columns >= len(systems))
    sheet.text((left + (width - left) / 2) / width, 6 / height, _word(along), ha="center", color=SOFT)
    return sheet


def _wins(data: dict[str, Any], width: float, wide: bool) -> Sheet:
    """How often the row's system wins against the column's; the deeper the colour, the clearer the result."""
    systems = data["systems"][: MOST_SYSTEMS["wins"]]
    n = len(systems)
    left = 190 if wide else 118
    cell = min((width - left - 4) / n, 64)
    sheet = _sheet(width, cell * n + 28)
    axes = _axes(sheet, left, 26, width - left - cell * n, 2)
    place = {system: number for number, system in enumerate(systems)}
    roomy, counts = cell >= 34, cell >= 44
    for row in data["rows"]:
        for a, b, share in ((row["a"], row["b"], row["share"]), (row["b"], row["a"], 1 - row["share"])):
            if a not in place or b not in place:
                continue
            x, y = place[b], n - 1 - place[a]
            colour = A if share >= 0.5 else B
            axes.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, alpha=0.08 + 0.8 * abs(share - 0.5), linewidth=0))
            if roomy:
                axes.text(x + 0.5, y + (0.6 if counts else 0.5), _share(share), ha="center", va="center", fontsize=11)
            if counts:
                axes.text(x + 0.5, y + 0.26, _number(row["n"]), ha="center", va="center", fontsize=9.5, color=SOFT)
    axes.set(xlim=(0, n), ylim=(0, n))
    for edge in range(n + 1):
        axes.axhline(edge, color=CARD, linewidth=1.5)
        axes.axvline(edge, color=CARD, linewidth=1.5)
    for side in axes.spines.values():
        side.set_visible(False)
    names = [f"{k}  {_cut(system, 24 if wide else 13)}" for k, system in enumerate(systems, start=1)]
    axes.set_yticks(n - 0.5 - np.arange(n), names)
    axes.set_xticks(0.5 + np.arange(n), [str(number) for number in range(1, n + 1)])
    axes.tick_params(length=0, labelcolor=INK, top=True, bottom=False, labeltop=True, labelbottom=False)
    return sheet


def _rewards(data: dict[str, Any], width: float, wide: bool) -> Sheet:
    """Each system under its number in the table: names would overlap."""
    rows = data["rows"]
    sheet = _sheet(width, 420 if wide else 330)
    axes = _axes(sheet, 46, 30, 12, 50)
    for row in rows:
        axes.hlines(row["reward"], row["low"], row["high"], color=A, linewidth=1.5, alpha=0.45)
        if row["reward_low"] is not None:
            axes.vlines(row["rating"], row["reward_low"], row["reward_high"], color=A, linewidth=1.5, alpha=0.45)
    axes.plot(
        [r["rating"] for r in rows], [r["reward"] for r in rows], "o", color=A, markersize=17, markeredgecolor=CARD
    )
    for number, row in enumerate(rows, start=1):
        axes.text(row["rating"], row["reward"], str(number), ha="center", va="center_baseline", fontsize=10, color=CARD)
    axes.set_xlabel(_word("rating"))
    _call_y(axes, "reward")
    _ticks(axes.xaxis, 8 if wide else 5)
    _ticks(axes.yaxis, 6)
    return sheet


def _reliability(data: dict[str, Any], width: float, wide: bool) -> Sheet:
    rows = data["rows"]
    sheet = _sheet(width, 420 if wide else 330)
    axes = _axes(sheet, 50, 30, 16, 50)
    axes.plot([0.5, 1], [0.5, 1], color=LINE, linewidth=1.5, linestyle=(0, (4, 4)))
    x = [r["confidence"] for r in rows]
    _bars(axes, x, [r["low"] for r in rows], [r["high"] for r in rows], horizontal=False)
    _dots(axes, x, [r["accuracy"] for r in rows])
    floor = min(0.4, math.floor(min(r["low"] for r in rows) * 10) / 10)
    axes.set(xlim=(0.485, 1.01), ylim=(floor, 1.02), xlabel=_word("sure"))
    _call_y(axes, "right")
    _ticks(axes.xaxis, 6, _share)
    _ticks(axes.yaxis, 6, _share)
    return sheet


def _days(data: dict[str, Any], width: float, wide: bool) -> Sheet:
    rows = data["rows"]
    days = np.array([row["day"] for row in rows], dtype="datetime64[D]").astype(int)
    sheet = _sheet(width, 240)
    axes = _axes(sheet, 46, 30, 12, 30)
    axes.bar(days, [r["votes"] for r in rows], width=0.8, color=A, alpha=0.3, linewidth=0)
    axes.bar(days, [r["standing"] for r in rows], width=0.8, color=A, alpha=0.75, linewidth=0)
    edge = max(1, 0.02 * np.ptp(days))
    axes.set_xlim(days[0] - edge, days[-1] + edge)
    _call_y(axes, "votes")
    ends = [days[0], days[-1]] if days[-1] > days[0] else [days[0]]
    axes.set_xticks(ends, [str(np.datetime64(int(day), "D")) for day in ends])
    sides: tuple[Literal["left", "right", "center"], ...] = ("left", "right") if len(ends) > 1 else ("center",)
    for label, side in zip(axes.get_xticklabels(), sides, strict=True):
        label.set_horizontalalignment(side)
    _ticks(axes.yaxis, 5, integers=True)
    return sheet


DRAWERS = {
    "intervals": _intervals, "history": _history, "wins": _wins, "rewards": _rewards, "reliability": _reliability,
    "biases": _biases, "days": _days,
}  # fmt: skip
