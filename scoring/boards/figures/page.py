"""The figures of a study as its readers see them: a drawing, a sentence, a table, and the data to download."""

import re
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.utils.html import escape
from django.utils.safestring import mark_safe
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from arena import csv_files
from arena.models import Study
from arena.refusals import NotFound
from scoring.metrics.certainty import shortfalls
from scoring.stats.board_method import OVERALL
from scoring.wording.numbers import DASH, figure, percent, share, signed

from .data import NAMES, of_category

TAG, STYLE = re.compile(r"<[^<>]*>"), re.compile(r' style="([^"]*)"')
TOKEN = re.compile(r"\[\[(word|number|percent):([^\]]*)\]\]")
MOST_ROWS = 200  # in a table on the page; the downloads have all of them

TITLES = {
    "intervals": gettext_lazy("Ratings"),
    "history": gettext_lazy("How the ratings developed"),
    "wins": gettext_lazy("Who wins against whom"),
    "rewards": gettext_lazy("Rewards and ratings"),
    "reliability": gettext_lazy("Is the reward model’s confidence justified?"),  # noqa: RUF001
    "biases": gettext_lazy("Bias over time"),
    "days": gettext_lazy("Votes per day"),
}
WORDS = {
    "rating": gettext_lazy("Rating"),
    "reward": gettext_lazy("Mean reward"),
    "edition": gettext_lazy("Edition"),
    "sure": gettext_lazy("Confidence of the model"),
    "right": gettext_lazy("How often it was right"),
    "votes": gettext_lazy("Votes"),
    "part": gettext_lazy("Part of the votes"),
}


def _count(value):
    return DASH if value is None else f"{value}"


COLUMNS: dict[str, tuple] = {
    "group": (gettext_lazy("Group"), _count),
    "system": (gettext_lazy("System"), str),
    "rating": (WORDS["rating"], signed),
    "low": (gettext_lazy("From"), signed),
    "high": (gettext_lazy("To"), signed),
    "n_votes": (WORDS["votes"], _count),
    "edition": (WORDS["edition"], _count),
    "at": (gettext_lazy("Computed (UTC)"), lambda at: at[:16].replace("T", " ")),
    "a": (gettext_lazy("System"), str),
    "b": (gettext_lazy("Against"), str),
    "share": (gettext_lazy("Wins"), percent),
    "n": (WORDS["votes"], _count),
    "wins": (gettext_lazy("Won"), _count),
    "losses": (gettext_lazy("Lost"), _count),
    "ties": (gettext_lazy("Tied"), _count),
    "reward": (WORDS["reward"], signed),
    "reward_low": (gettext_lazy("From"), signed),
    "reward_high": (gettext_lazy("To"), signed),
    "n_clips": (gettext_lazy("Clips"), _count),
    "confidence": (gettext_lazy("Confidence"), share),
    "accuracy": (gettext_lazy("Correct"), share),
    "margin_low": (gettext_lazy("Difference in reward from"), figure),
    "margin_high": (gettext_lazy("To"), figure),
    "part": (WORDS["part"], _count),
    "since": (gettext_lazy("First vote"), str),
    "until": (gettext_lazy("Last vote"), str),
    "bias": (gettext_lazy("Bias"), signed),
    "n_pairs": (gettext_lazy("Pairs"), _count),
    "day": (gettext_lazy("Day"), str),
    "votes": (WORDS["votes"], _count),
    "standing": (gettext_lazy("Not withdrawn"), _count),
}
OF_RATINGS = ("intervals", "history", "wins", "rewards")  # not drawn while the board is preliminary
SHARES = {"wins": ("low", "high"), "reliability": ("low", "high")}  # figures where these are shares, not ratings


def page(study: Study) -> dict[str, Any]:
    """{"figures": [...], "edition", "drawn_at", "preliminary"}; no figures until the first edition is drawn."""
    rows = {row.name: row for row in study.figures.select_related("edition")}
    first = next(iter(rows.values()), None)
    preliminary = shortfalls(first.edition.result) if first else []
    return {
        "figures": [_shown(rows[name], bool(preliminary)) for name in NAMES if name in rows],
        "edition": first and first.edition.number,
        "drawn_at": first and first.drawn_at,
        "preliminary": preliminary,
    }


def _shown(row, preliminary):
    rows, says = row.data["rows"], SENTENCES[row.name](row.data)
    drawn = not (preliminary and row.name in OF_RATINGS)
    return {
        "name": row.name,
        "title": TITLES[row.name],
        "says": says,
        "explains": EXPLANATIONS[row.name],
        "drawings": [(size, _readable(svg, row.name, size, says)) for size, svg in _sizes(row) if svg and drawn],
        "columns": [COLUMNS[name][0] for name in rows[0]] if rows else [],
        "rows": [_cells(row.name, figure_row) for figure_row in rows[-MOST_ROWS:]],
        "n_rows": len(rows),
        "n_more": max(0, len(rows) - MOST_ROWS),
    }  # fmt: skip


def _sizes(row):
    return ("narrow", row.narrow), ("wide", row.wide)


def _cells(name, row):
    """[(label, text)] of a row of the table."""
    shares = SHARES.get(name, ())
    return [
        (COLUMNS[column][0], percent(value) if column in shares else COLUMNS[column][1](value))
        for column, value in row.items()
    ]


def _readable(svg, name, size, says):
    """The drawing with its words and numbers in the reader's language, and a text for those who cannot see it."""
    svg = TAG.sub(lambda tag: STYLE.sub(_as_attributes, tag[0]), svg)
    labels = f"figure-{name}-{size}-title", f"figure-{name}-{size}-desc"
    root, rest = TOKEN.sub(_put_in, svg).split(">", 1)
    root = root.replace("<svg", f'<svg role="img" aria-labelledby="{" ".join(labels)}"', 1)
    title, desc = (
        f'<{tag} id="{label}">{escape(str(text))}</{tag}>'
        for tag, label, text in zip(("title", "desc"), labels, (TITLES[name], says), strict=True)
    )
    return mark_safe(f"{root}>{title}{desc}{rest}")  # matplotlib escapes the names; everything else is escaped here


def _as_attributes(style):
    """`fill: none; stroke: red` as attributes: the pages' policy allows no inline styles."""
    pairs = (part.split(":", 1) for part in style[1].split(";") if part.strip())
    return "".join(f' {name.strip()}="{value.strip()}"' for name, value in pairs)


def _put_in(match):
    kind, value = match.groups()
    try:
        if kind == "word":
            return escape(str(WORDS[value]))
        number = float(value)
    except (KeyError, ValueError):
        return match[0]  # not one of ours: the name of a system may look like a token
    digits = len(value.partition(".")[2])
    return escape(percent(number) if kind == "percent" else signed(number, digits).lstrip("+"))


# ---- in words ----------------------------------------------------------------------------------------


def _intervals(data):
    if not data["rows"]:
        return _("No system has a rating yet.")
    best, last = data["rows"][0], data["rows"][-1]
    return _("{best} is at {rating} ({low} to {high}), {last} at {last_rating} ({last_low} to {last_high}).").format(
        best=best["system"], last=last["system"], last_rating=signed(last["rating"]), last_low=signed(last["low"]),
        last_high=signed(last["high"]), **_signed(best),
    )  # fmt: skip


def _signed(row):
    return {name: signed(row[name]) for name in ("rating", "low", "high")}


def _history(data):
    rows = data["rows"]
    if not rows:
        return _("No system has a rating yet.")
    editions = sorted({row["edition"] for row in rows})
    if len(editions) == 1:
        return _("There is one edition so far.")
    ends: dict[str, list[float]] = {}
    for row in rows:
        ends.setdefault(row["system"], [row["rating"], row["rating"]])[1] = row["rating"]
    system, (first, last) = max(ends.items(), key=lambda item: abs(item[1][1] - item[1][0]))
    return _("From edition {first} to {last}, {system} moved most: from {start} to {end}.").format(
        first=editions[0], last=editions[-1], system=system, start=signed(first), end=signed(last)
    )


def _wins(data):
    if not data["rows"]:
        return _("No two systems have met yet.")
    clear = max(data["rows"], key=lambda row: max(row["low"] - 0.5, 0.5 - row["high"]))
    if clear["low"] <= 0.5 <= clear["high"]:
        return _("No pair of systems is settled by its own votes alone.")
    won, a, b = clear["share"] > 0.5, clear["a"], clear["b"]
    shares = [clear[name] if won else 1 - clear[name] for name in ("share", "low", "high")]
    low, high = sorted(shares[1:])
    return ngettext(
        "The clearest pair: {a} wins {share} against {b} ({low} to {high}), of {n} vote.",
        "The clearest pair: {a} wins {share} against {b} ({low} to {high}), of {n} votes.",
        clear["n"],
    ).format(
        a=a if won else b,
        b=b if won else a,
        share=percent(shares[0]),
        low=percent(low),
        high=percent(high),
        n=clear["n"],
    )


def _rewards(data):
    if not data["rows"]:
        return _("No reward model has scored these systems yet.")
    if data["correlation"] is None:
        return _("The reward model {model} has scored too few systems for a correlation.").format(
            model=data["reward_model"]
        )
    return ngettext(
        "The correlation of ratings and the mean rewards of {model} is {correlation}, over {n} system.",
        "The correlation of ratings and the mean rewards of {model} is {correlation}, over {n} systems.",
        len(data["rows"]),
    ).format(model=data["reward_model"], correlation=signed(data["correlation"]), n=len(data["rows"]))


def _reliability(data):
    if data["reward_model"] is None:
        return _("There is no live reward model.")
    if not data["rows"]:
        return _("There is no decided vote here that {model} has not seen and whose clips it has scored.").format(
            model=data["reward_model"]
        )
    return ngettext(
        "On {n} decided vote that {model} had not seen, its calibration error is {ece}. Left out: {seen} that it had "
        "seen, {unscored} on clips without a reward.",
        "On {n} decided votes that {model} had not seen, its calibration error is {ece}. Left out: {seen} that it had "
        "seen, {unscored} on clips without a reward.",
        data["n"],
    ).format(
        n=data["n"],
        model=data["reward_model"],
        ece=figure(data["ece"]),
        seen=data["n_seen"],
        unscored=data["n_unscored"],
    )


def _biases(data):
    if data["reward_model"] is None:
        return _("There is no live reward model.")
    if not data["rows"]:
        return _("There are too few votes on clips that {model} has scored to split them into parts.").format(
            model=data["reward_model"]
        )
    if not data["moved"]:
        return _("Between the newest votes and the earlier ones, no bias of {model} moved beyond its interval.").format(
            model=data["reward_model"]
        )
    return _("Between the newest votes and the earlier ones, the bias of {model} moved for: {systems}.").format(
        model=data["reward_model"], systems=", ".join(data["moved"])
    )


def _days(data):
    rows = data["rows"]
    if not rows:
        return _("There is no vote yet.")
    most = max(rows, key=lambda row: row["votes"])
    return ngettext(
        "{votes} votes on {n} day; most on {day}: {most}.",
        "{votes} votes on {n} days; most on {day}: {most}.",
        len(rows),
    ).format(votes=sum(row["votes"] for row in rows), n=len(rows), day=most["day"], most=most["votes"])


SENTENCES = {
    "intervals": _intervals, "history": _history, "wins": _wins, "rewards": _rewards, "reliability": _reliability,
    "biases": _biases, "days": _days,
}  # fmt: skip
EXPLANATIONS = {
    "intervals": gettext_lazy("Dot: the rating. Bar: its interval (95 %)."),
    "history": gettext_lazy(
        "Line: the rating, edition by edition. Band: its interval (95 %). Faint: the other systems. At most 60 "
        "editions and 12 systems are drawn."
    ),
    "wins": gettext_lazy(
        "How often the system of the row wins against that of the column, by their own votes alone; a tie is half a "
        "win. Where there is room, the number of votes. The deeper the colour, the clearer."
    ),
    "rewards": gettext_lazy(
        "Each number is a system, as in the table below. Lines: intervals (95 %); that of the reward is over the "
        "clips of the system."
    ),
    "reliability": gettext_lazy(
        "Votes in groups of equal size by the model’s confidence, from its uncorrected rewards. Bar: interval (95 %). "  # noqa: RUF001
        "On the dashed line it is right as often as it claims."
    ),
    "biases": gettext_lazy(
        "From left to right: older to newer votes. Dot: the bias on that part of them; above 0 the model overrates the "
        "system. Bar: its interval (95 %). Faint: the other systems, at most 12."
    ),
    "days": gettext_lazy("All votes up to the edition, in UTC; dark: those that were not withdrawn."),
}


# ---- downloads ---------------------------------------------------------------------------------------


def download(study: Study, name: str, form: str, edition: Any = None, category: str = OVERALL) -> HttpResponse:
    """The data of a figure as a "json" or "csv" file: of the last edition, or of a category of an edition. NotFound
    where there is no such figure."""
    if category == OVERALL:
        figures = {row.name: (row.edition, row.data) for row in study.figures.select_related("edition")}
    else:
        figures = {figure: (edition, data) for figure, data in of_category(edition, category).items()}
    if name not in figures:
        raise NotFound(f"{study.slug} has no figure {name!r}; it has {', '.join(figures) or 'none yet'}.")
    edition, data = figures[name]
    part = "" if category == OVERALL else f"-{slugify(category.replace(':', '-'))}"
    filename = f"{study.slug}-{name}{part}-edition-{edition.number}.{form}"
    if form == "json":
        content = {"study": study.slug, "edition": edition.number, "category": category, "figure": name, **data}
        response = JsonResponse(content, json_dumps_params={"indent": 1, "ensure_ascii": False})
    else:
        columns = list(data["rows"][0]) if data["rows"] else []
        text = "".join(csv_files.lines(columns, data["rows"]))
        response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response
