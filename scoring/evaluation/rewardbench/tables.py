"""CMI-RewardBench's figures from rewards, in the definitions of its evaluate_results.py (commit 142cb19).

A reward is one scalar, so it stands for musicality and for alignment alike. What else their code decides:

- PAM, MusicEval: Pearson (LCC), tie-aware Spearman (SRCC) and Kendall's tau-b (K-Tau) with mean opinion scores.
- Pairs: the share of right predictions; a truth of "both" or "neither" gives half a point whatever is predicted.
- A predicted tie counts as B in CMI-Pref and in MusicArena's months (_pair_pref_label), but as A in MusicArena's
  total (_compute_summary_rows). So where rewards tie, the months do not add up to the total; `n_ties` says how many.
- Confidence below 3, of 3, above 3; rows without one are in no group. "ref" and "no_ref": with or without reference
  audio; "instru" and "vocal": without or with lyrics.

Intervals are at 95 %: of accuracies by Wilson (1927), a half point being half a success, which makes them slightly
too wide; of correlations, from 10 clips on, the percentiles of 1,000 bootstrap samples of clips. Neither knows of
prompts, raters or systems that several rows share.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotations.proportions import wilson
from scoring.metrics.preference import kendall, pearson, spearman

from .rows import BOTH, CMI_PREF, DATASETS, MUSIC_ARENA, PAIRS, TASKS, A, B, Row

CORRELATIONS: dict[str, Callable[..., Any]] = {"LCC": pearson, "SRCC": spearman, "K-Tau": kendall}
ACC = "ACC"
ALL = "all"
LEVEL, BOOTSTRAPS, SEED = 0.95, 1000, 0
MIN_BOOTSTRAPPED = 10  # clips; samples of two clips are all alike, and their interval would be a point
NO_REF, REF = ("text", "text+lyrics"), ("text+ref", "text+lyrics+ref")
INSTRU, VOCAL = ("text", "text+ref"), ("text+lyrics", "text+lyrics+ref")

# The rewards of a row's clips: (reward of a, reward of b), or (reward,) of one clip; None where there is none.
Rewards = tuple[float | None, ...]


@dataclass(frozen=True)
class Figure:
    """One number of the benchmark, over `n` rows.

    group, value: which rows of the dataset: all, a month, a modality, a confidence, ref_subset or modality_type;
    ref_category: of a confidence, whether rows with reference audio ("ref"), without, or all. figure: None where
    `n` is too small or nothing varies; low, high: its interval, None where there is no figure or there are too few
    clips. n_ties: pairs of equal rewards.
    """

    dataset: str
    task: str
    metric: str
    n: int
    figure: float | None
    low: float | None
    high: float | None
    n_ties: int = 0
    group: str = ALL
    value: str = ""
    ref_category: str = ""


@dataclass(frozen=True)
class Coverage:
    """Of a dataset's rows, how many a task's figure is made of, and why the others are not."""

    dataset: str
    task: str
    rows: int
    used: int
    without_truth: int
    without_reward: int


def summary(rows: Sequence[Row], rewards: Sequence[Rewards]) -> list[Figure]:
    """The figures of whole datasets, those of datasets without rows left out; rewards[i] is of rows[i]."""
    figures = []
    for dataset, task in _tasks():
        scored = _of(dataset, rows, rewards)
        if not scored:
            continue
        if dataset in PAIRS:
            figures.append(_accuracy(scored, dataset, task, tie=A if dataset == MUSIC_ARENA else B))
        else:
            figures += _correlations(scored, dataset, task)
    return figures


def detail(rows: Sequence[Row], rewards: Sequence[Rewards]) -> list[Figure]:
    """The accuracies of parts of MusicArena and CMI-Pref, empty parts left out."""
    figures = []
    for dataset, task in _tasks():
        if dataset not in PAIRS:
            continue
        scored = _of(dataset, rows, rewards)
        parts = _months(scored) if dataset == MUSIC_ARENA else _cmi_parts(scored, task)
        figures += [_accuracy(part, dataset, task, tie=B, **names) for names, part in parts if part]
    return figures


def coverage(rows: Sequence[Row], rewards: Sequence[Rewards]) -> list[Coverage]:
    """For each task of each dataset that has rows."""
    coverages = []
    for dataset, task in _tasks():
        scored = _of(dataset, rows, rewards)
        n, n_with_truth = len(scored), sum(row.truth[task] is not None for row, _ in scored)
        used = len(_usable(scored, task))
        if n:
            coverages.append(Coverage(dataset, task, n, used, n - n_with_truth, n_with_truth - used))
    return coverages


def composites(figures: Sequence[Figure]) -> dict[str, float | None]:
    """The means that the paper's tables hold: each of the figures that are there, None where none is."""
    values = {(f.dataset, f.task, f.metric, f.group, f.value): f.figure for f in figures}
    pam = [values.get(("PAM", task, "SRCC", ALL, "")) for task in ("musicality", "alignment")]
    cmi = [values.get((CMI_PREF, task, ACC, ALL, "")) for task in ("musicality", "alignment")]
    alignment = {
        name: [values.get((CMI_PREF, "alignment", ACC, "modality", modality)) for modality in modalities]
        for name, modalities in (("without_ref", NO_REF), ("with_ref", REF))
    }
    return {
        "PAM mean SRCC": _mean(pam),
        "CMI-Pref mean ACC": _mean(cmi),
        "CMI-Pref alignment without reference audio": _mean(alignment["without_ref"]),
        "CMI-Pref alignment with reference audio": _mean(alignment["with_ref"]),
    }


def predicted(rewards: Rewards, tie: str) -> str:
    """A or B by the larger of two rewards; `tie` where they are equal."""
    a, b = rewards
    assert a is not None and b is not None, "pairs without a reward are left out"
    return tie if a == b else A if a > b else B


# ---- which rows ---------------------------------------------------------------------------------------

Scored = tuple[Row, Rewards]


def _tasks() -> Iterator[tuple[str, str]]:
    return ((dataset, task) for dataset in DATASETS for task in TASKS[dataset])


def _of(dataset: str, rows: Sequence[Row], rewards: Sequence[Rewards]) -> list[Scored]:
    return [(row, of_sides) for row, of_sides in zip(rows, rewards, strict=True) if row.dataset == dataset]


def _usable(scored: Sequence[Scored], task: str) -> list[Scored]:
    return [(row, rewards) for row, rewards in scored if row.truth[task] is not None and None not in rewards]


def _months(scored: Sequence[Scored]) -> list[tuple[dict[str, Any], list[Scored]]]:
    months = sorted({row.month for row, _ in scored})
    return [
        ({"group": "month", "value": month}, [pair for pair in scored if pair[0].month == month]) for month in months
    ]


def _cmi_parts(scored: Sequence[Scored], task: str) -> Iterator[tuple[dict[str, Any], list[Scored]]]:
    def of_modality(names: Sequence[str]) -> list[Scored]:
        return [pair for pair in scored if pair[0].modality in names]

    for modality in sorted({row.modality for row, _ in scored}):
        yield {"group": "modality", "value": modality}, of_modality([modality])
    for name in ("<3", "=3", ">3"):
        sure = [pair for pair in scored if _confidence(pair[0].confidence[task]) == name]
        with_ref = [pair for pair in sure if pair[0].modality in REF]
        without = [pair for pair in sure if pair[0].modality not in REF]
        for category, part in (("no_ref", without), ("ref", with_ref), (ALL, sure)):
            yield {"group": "confidence", "value": name, "ref_category": category}, part
    for name, modalities in (("no_ref", NO_REF), ("ref", REF)):
        yield {"group": "ref_subset", "value": name}, of_modality(modalities)
    for name, modalities in (("instru", INSTRU), ("vocal", VOCAL)):
        yield {"group": "modality_type", "value": name}, of_modality(modalities)


def _confidence(value: float | None) -> str | None:
    if value is None:
        return None
    return "<3" if value < 3 else ">3" if value > 3 else "=3"


# ---- the figures --------------------------------------------------------------------------------------


def _accuracy(scored: Sequence[Scored], dataset: str, task: str, *, tie: str, **names: str) -> Figure:
    used = _usable(scored, task)
    credit = sum(_credit(row.truth[task], predicted(rewards, tie)) for row, rewards in used)
    low, high = wilson(credit, len(used), LEVEL) or (None, None)
    return Figure(
        dataset=dataset,
        task=task,
        metric=ACC,
        n=len(used),
        figure=credit / len(used) if used else None,
        low=low,
        high=high,
        n_ties=sum(a == b for _, (a, b) in used),
        **names,
    )


def _credit(truth: float | str | None, prediction: str) -> float:
    return 0.5 if truth == BOTH else float(truth == prediction)


def _correlations(scored: Sequence[Scored], dataset: str, task: str) -> list[Figure]:
    used = _usable(scored, task)
    truth = np.array([row.truth[task] for row, _ in used], dtype=np.float64)
    rewards = np.array([reward for _, (reward,) in used], dtype=np.float64)
    samples = BOOTSTRAPS if len(used) >= MIN_BOOTSTRAPPED else 0
    resamples = np.random.default_rng(SEED).integers(max(len(used), 1), size=(samples, len(used)))
    figures = []
    for metric, correlate in CORRELATIONS.items():
        figure = correlate(truth, rewards)
        low, high = (
            (None, None) if figure is None else _percentiles([correlate(truth[i], rewards[i]) for i in resamples])
        )
        figures.append(Figure(dataset, task, metric, len(used), figure, low, high))
    return figures


def _percentiles(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Of the samples in which both things vary; None where that is less than half of them, or there are none."""
    defined = [value for value in values if value is not None]
    if not defined or 2 * len(defined) < len(values):
        return None, None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
