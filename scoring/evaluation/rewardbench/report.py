"""CMI-RewardBench's tables as text, rows of CSV and JSON: ours with interval and count, the published ones beside."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scoring.wording.tables import NOTHING, aligned, number, percent

from . import published
from .rows import CMI_PREF, MUSIC_ARENA, MUSIC_EVAL, PAM, A, B, Row
from .tables import ACC, ALL, Coverage, Figure, Rewards, composites, coverage, detail, predicted, summary

SCALAR_NOTE = (
    "The model gives one scalar per clip. It fills both the musicality and the alignment columns, and it has heard "
    "neither lyrics nor reference audio."
)
TIE_NOTE = (
    "A predicted tie counts as the benchmark's code counts it: as A in Music Arena's total, as B in its months and in "
    'CMI-Pref. A truth of "both" or "neither" counts half.'
)
SILENCE_NOTE = (
    "A clip that is missing, cannot be read, is silent or lasts less than 1 s has no reward here, and its rows are "
    "left out and counted; the benchmark's own runner scores a second of silence in place of a missing one. Whole "
    "clips were scored, up to 10 minutes; the runner's default is 30 s."
)
INTERVAL_NOTE = (
    "Intervals are at 95 %: Wilson's for accuracies; for correlations, from 10 clips on, the percentiles of 1,000 "
    "bootstrap samples of clips."
)
MISSING_NOTE = (
    "Published rows hold what their sources say and nothing else. Not found in any text we could read: LCC and K-Tau "
    "of other models, the paper's full tables (arXiv 2603.00610), PAM score, Audiobox-Aesthetics."
)

Column = published.Column
CORRELATION_NAMES = ("LCC", "SRCC", "K-Tau")
MUSICALITY: dict[str, Column] = {
    **{f"PAM {metric}": (PAM, "musicality", metric, ALL, "") for metric in CORRELATION_NAMES},
    **{f"MusicEval {metric}": (MUSIC_EVAL, "musicality", metric, ALL, "") for metric in CORRELATION_NAMES},
    "Music Arena ACC": (MUSIC_ARENA, "preference", ACC, ALL, ""),
    "CMI-Pref ACC": (CMI_PREF, "musicality", ACC, ALL, ""),
}
ALIGNMENT: dict[str, Column] = {
    **{f"PAM {metric}": (PAM, "alignment", metric, ALL, "") for metric in CORRELATION_NAMES},
    "CMI-Pref ACC": (CMI_PREF, "alignment", ACC, ALL, ""),
    "CMI text": (CMI_PREF, "alignment", ACC, "modality", "text"),
    "CMI text+lyrics": (CMI_PREF, "alignment", ACC, "modality", "text+lyrics"),
    "CMI text+ref": (CMI_PREF, "alignment", ACC, "modality", "text+ref"),
    "CMI text+lyrics+ref": (CMI_PREF, "alignment", ACC, "modality", "text+lyrics+ref"),
}


@dataclass(frozen=True)
class Report:
    """All that is known of one model's rewards on the benchmark's rows."""

    name: str
    summary: list[Figure]
    detail: list[Figure]
    coverage: list[Coverage]
    composites: dict[str, float | None]
    left_out: dict[str, int]


def make(name: str, rows: Sequence[Row], rewards: Sequence[Rewards], left_out: dict[str, int]) -> Report:
    """The report of a model called `name`, from the reward of each side of each row and the lines left out before."""
    figures, parts = summary(rows, rewards), detail(rows, rewards)
    return Report(name, figures, parts, coverage(rows, rewards), composites(figures + parts), dict(left_out))


def as_text(report: Report) -> str:
    blocks = [
        SCALAR_NOTE,
        "Musicality\n" + _beside(report, MUSICALITY),
        "Alignment\n" + _beside(report, ALIGNMENT),
        "Means\n" + aligned(None, [[name, _mean(name, value)] for name, value in report.composites.items()]),
        *([f"CMI-Pref in parts, ACC\n{_cmi_parts(report)}"] if _has(report, CMI_PREF) else []),
        *([f"Music Arena by month, ACC\n{_months(report)}"] if _has(report, MUSIC_ARENA) else []),
        "Rows\n" + _coverage(report),
        "\n".join([TIE_NOTE, SILENCE_NOTE, INTERVAL_NOTE, MISSING_NOTE, *_sources()]),
    ]
    return "\n\n".join(blocks)


def as_json(report: Report) -> dict[str, Any]:
    return {
        "notes": [SCALAR_NOTE, TIE_NOTE, SILENCE_NOTE, INTERVAL_NOTE, MISSING_NOTE],
        "summary": [asdict(figure) for figure in report.summary],
        "detail": [asdict(figure) for figure in report.detail],
        "composites": report.composites,
        "rows": [asdict(row) for row in report.coverage],
        "left_out": report.left_out,
        "published": published_rows(),
    }


def published_rows() -> list[dict[str, Any]]:
    """One dict for each published figure, with its source."""
    names = ("dataset", "task", "metric", "group", "value")
    return [
        {"model": row.name, **dict(zip(names, column, strict=True)), "figure": value, "source": row.source.name}
        for row in published.PUBLISHED
        for column, value in row.figures.items()
    ]


def results(rows: Sequence[Row], rewards: Sequence[Rewards]) -> list[dict[str, Any]]:
    """The benchmark's own results.jsonl, which its evaluate_results.py reads: each line of it with our predictions."""
    return [
        {**row.raw, "benchmark_dataset": row.dataset, **_predictions(of_sides)}
        for row, of_sides in zip(rows, rewards, strict=True)
    ]


def _predictions(rewards: Rewards) -> dict[str, Any]:
    keys: dict[str, Any] = {"predicted_musicality": rewards[0], "predicted_text-music alignment": rewards[0]}
    if len(rewards) == 2:
        keys |= {f"{key}_b": rewards[1] for key in list(keys)}
        if None not in rewards:
            label = {A: "model_a", B: "model_b"}[predicted(rewards, tie=B)]
            names = ("predicted_preference", "predicted_preference-musicality", "predicted_preference-alignment")
            keys |= dict.fromkeys(names, label)
    return {key: value for key, value in keys.items() if value is not None}


# ---- text ------------------------------------------------------------------------------------------------


def _beside(report: Report, columns: dict[str, Column]) -> str:
    """Our row with its interval and count, then each published row that has one of the columns."""
    ours = {_column(figure): figure for figure in report.summary + report.detail}
    figures = [ours.get(column) for column in columns.values()]
    rows = [
        [
            report.name,
            *(_shown(figure.figure if figure else None, column) for figure, column in _pairs(figures, columns)),
            "this run",
        ],
        ["  95 % interval", *(_interval(figure, column) for figure, column in _pairs(figures, columns)), ""],
        ["  n", *(str(figure.n) if figure else NOTHING for figure in figures), ""],
    ]
    rows += [
        [row.name, *(_shown(row.figures.get(column), column) for column in columns.values()), row.source.label]
        for row in published.PUBLISHED
        if row.figures.keys() & set(columns.values())
    ]
    return aligned(["", *columns, "source"], rows)


def _pairs(figures: Sequence[Figure | None], columns: dict[str, Column]) -> Iterator[tuple[Figure | None, Column]]:
    return zip(figures, columns.values(), strict=True)


def _column(figure: Figure) -> Column:
    return (figure.dataset, figure.task, figure.metric, figure.group, figure.value)


def _shown(value: float | None, column: Column) -> str:
    return percent(value) if column[2] == ACC else number(value)


def _interval(figure: Figure | None, column: Column) -> str:
    if figure is None or figure.low is None:
        return NOTHING
    low, high = (percent(x, 1) if column[2] == ACC else number(x, 2) for x in (figure.low, figure.high))
    return f"{low}..{high}"


def _mean(name: str, value: float | None) -> str:
    return percent(value) if name.startswith(CMI_PREF) else number(value)


def _has(report: Report, dataset: str) -> bool:
    return any(figure.dataset == dataset for figure in report.detail)


def _cmi_parts(report: Report) -> str:
    totals = [figure for figure in report.summary if figure.dataset == CMI_PREF]
    return _parts([figure for figure in totals + report.detail if figure.dataset == CMI_PREF])


def _months(report: Report) -> str:
    return _parts([figure for figure in report.summary + report.detail if figure.dataset == MUSIC_ARENA])


def _parts(figures: Sequence[Figure]) -> str:
    rows = [
        [
            figure.task,
            " ".join(filter(None, [figure.group, figure.value])),
            figure.ref_category,
            percent(figure.figure),
            _interval(figure, _column(figure)),
            str(figure.n),
            str(figure.n_ties),
        ]
        for figure in figures
    ]
    return aligned(["axis", "rows", "reference audio", "ACC", "95 % interval", "n", "ties"], rows, left=3)


def _coverage(report: Report) -> str:
    header = ["", "rows", "used", "without truth", "without reward"]
    rows = [
        [f"{part.dataset} {part.task}", *map(str, (part.rows, part.used, part.without_truth, part.without_reward))]
        for part in report.coverage
    ]
    left_out = [f"  lines left out: {n} ({reason})" for reason, n in report.left_out.items()]
    return "\n".join([aligned(header, rows), *left_out])


def _sources() -> list[str]:
    sources = dict.fromkeys(row.source for row in published.PUBLISHED)
    notes: dict[str, list[str]] = {}
    for row in published.PUBLISHED:
        if row.note:
            notes.setdefault(row.note, []).append(row.name)
    return [
        *(f"{source.label}: {source.name}." for source in sources),
        *(f"{' and '.join(names)}: {note}." for note, names in notes.items()),
    ]
