"""CMI-RewardBench's test file, data/all_test.jsonl, as checked rows.

Names and rules are those of inference_benchmark.py and evaluate_results.py (github.com/Haiwen-Xia/CMI-RewardBench,
commit 142cb19), but what they drop without a word is an error that names its line and key, or is counted: a label
or number that cannot be read is an error, one that is not there is a row without that truth, and rows of another
split or of an unknown source are counted. Where a key is null or absent their code reads a clip's lyrics as "None"
or "nan", which are lyrics; here there are none.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

PAM, MUSIC_EVAL, MUSIC_ARENA, CMI_PREF = DATASETS = ("PAM", "MusicEval", "MusicArena", "CMI-Pref")
A, B, BOTH = "A", "B", "both"
LABELS = {"a": A, "model_a": A, "b": B, "model_b": B, "both": BOTH, "neither": BOTH}
# The key that holds the truth of each task; a mean opinion score in the first two, a label in the others.
TASKS = {
    PAM: {"musicality": "musicality", "alignment": "text-music alignment"},
    MUSIC_EVAL: {"musicality": "musicality"},
    MUSIC_ARENA: {"preference": "preference"},
    CMI_PREF: {"musicality": "preference-musicality", "alignment": "preference-alignment"},
}
PAIRS = (MUSIC_ARENA, CMI_PREF)
UNKNOWN_MONTH = "unknown"


class BadRow(ValueError):
    """A line of the benchmark's file that cannot be read; the sentence names the line and the key."""


@dataclass(frozen=True)
class Row:
    """One clip (PAM, MusicEval) or pair of clips (MusicArena, CMI-Pref) with what people said of it.

    line: its place in the file, from 1. audio, audio_b: paths below the folder of the file, "" where there is none.
    truth: by task, a mean opinion score or A, B, BOTH ("neither" is BOTH, too); None where nobody said.
    confidence: by task, of CMI-Pref, 1 to 5; None where not given. raw: the line as it is.
    """

    line: int
    dataset: str
    audio: str
    audio_b: str
    prompt: str
    truth: dict[str, float | str | None]
    confidence: dict[str, float | None]
    modality: str
    month: str
    raw: dict[str, Any]

    @property
    def sides(self) -> tuple[str, ...]:
        """The paths to score: one clip, or a and b."""
        return (self.audio, self.audio_b) if self.dataset in PAIRS else (self.audio,)


@dataclass(frozen=True)
class Benchmark:
    """The rows of one split, and how many lines of the file were left out, by reason."""

    rows: list[Row]
    left_out: dict[str, int]


def read(path: str | PathLike[str], *, split: str = "test", limit: int | None = None) -> Benchmark:
    """The rows of `split` in a file of JSON lines; with `limit`, at most so many of each dataset.

    Raises BadRow, also where no row is left, and OSError.
    """
    with Path(path).open(encoding="utf-8") as lines:
        try:
            benchmark = select(_objects(lines), split=split, limit=limit)
        except UnicodeDecodeError as error:
            raise BadRow(f"{path}: this is not a text in UTF-8 ({error})") from error
    if not benchmark.rows:
        reasons = "; ".join(f"{n} of {reason}" for reason, n in benchmark.left_out.items()) or "the file is empty"
        raise BadRow(f"{path}: no row to evaluate ({reasons})")
    return benchmark


def select(
    objects: Iterable[tuple[int, dict[str, Any]]], *, split: str = "test", limit: int | None = None
) -> Benchmark:
    """(line, object) pairs to the rows of `split`. Raises BadRow."""
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for line, row in objects:
        if str(row.get("split", "")) != split:
            left_out[f"split {row['split']!r}" if "split" in row else "no split"] += 1
            continue
        dataset = dataset_of(row)
        if dataset is None:
            left_out[f"unknown source {row.get('source')!r}"] += 1
            continue
        seen[dataset] += 1
        if limit is not None and seen[dataset] > limit:
            left_out[f"{dataset} beyond the limit of {limit}"] += 1
            continue
        rows.append(_row(line, dataset, row))
    return Benchmark(rows, dict(left_out))


def dataset_of(row: dict[str, Any]) -> str | None:
    """Which dataset a line is of, by its source; None for a source the benchmark does not have."""
    source = str(row.get("source") or "")
    if "PAM" in source:
        return PAM
    if source in ("MusicEval", "SongEval"):
        return MUSIC_EVAL
    if "Music Arena" in source:
        return MUSIC_ARENA
    return CMI_PREF if source == "cmi-arena-annotation" else None


def _objects(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise BadRow(f"line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise BadRow(f"line {number}: a JSON object is expected, not {type(row).__name__}")
        yield number, row


def _row(line: int, dataset: str, row: dict[str, Any]) -> Row:
    text = {
        key: _text(line, row, key) for key in ("audio-path", "audio2", "prompt", "lyrics", "ref-audio-path", "modality")
    }
    read_truth = _label if dataset in PAIRS else _number
    tasks = TASKS[dataset]
    return Row(
        line=line,
        dataset=dataset,
        audio=text["audio-path"],
        audio_b=text["audio2"],
        prompt=text["prompt"],
        truth={task: read_truth(line, row, key) for task, key in tasks.items()},
        confidence={task: _number(line, row, f"confidence_{key}") for task, key in tasks.items()}
        if dataset == CMI_PREF
        else {},
        modality=text["modality"].strip() or _modality(text["lyrics"], text["ref-audio-path"]),
        month=_month(text["audio-path"]) or _month(text["audio2"]) or UNKNOWN_MONTH,
        raw=row,
    )


def _modality(lyrics: str, reference: str) -> str:
    return "text" + "+lyrics" * bool(lyrics.strip()) + "+ref" * bool(reference.strip())


def _month(path: str) -> str | None:
    """The second folder below MusicArena_data: MusicArena_data/audio_files/04-2025NOV/clip.mp3 -> 04-2025NOV."""
    parts = PurePosixPath(path.strip()).parts
    if "MusicArena_data" not in parts:
        return None
    below = parts[parts.index("MusicArena_data") + 1 :]
    return below[1] if len(below) > 1 else None


def _text(line: int, row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if _missing(value):
        return ""
    if not isinstance(value, str):
        raise BadRow(f"line {line}: {key} is {value!r}, not a text")
    return value


def _number(line: int, row: dict[str, Any], key: str) -> float | None:
    value: Any = row.get(key)
    if _missing(value):
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise BadRow(f"line {line}: {key} is {value!r}, not a number")
    return number


def _label(line: int, row: dict[str, Any], key: str) -> str | None:
    value = row.get(key)
    if _missing(value):
        return None
    label = LABELS.get(value.strip().lower()) if isinstance(value, str) else None
    if label is None:
        raise BadRow(f"line {line}: {key} is {value!r}, not one of {', '.join(LABELS)} (in any case)")
    return label


def _missing(value: Any) -> bool:
    """null, a key that is not there, "", and the NaN that pandas writes for any of them."""
    return (
        value is None
        or (isinstance(value, str) and not value.strip())
        or (isinstance(value, float) and math.isnan(value))
    )
