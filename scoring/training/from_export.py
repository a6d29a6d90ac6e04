"""A training set from files alone: the rows that `export` wrote, and the folder of clips that `export --clips` made.

`votes` include ties, `pairs` only decided votes. Rows are JSON lines. A row that cannot be used is reported with its
line and field, and nothing is trained on the others: an export is used whole or not at all.
"""

import hashlib
import json
import logging
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from annotations.models import Ledger
from annotations.quality import QUALITY_RULES
from arena import audio
from arena.models import ANSWERS, Battle, Clip
from scoring import inputs
from scoring.jury.embedding import checked, vectors_or_reasons
from scoring.jury.features import as_block, read_all_features
from scoring.reward.encoders import Encoder, resample
from scoring.reward.faults import MACHINES_FAULT, described
from scoring.reward.whole_file import written_whole

from . import from_ledger
from .from_ledger import TrainingSet

SHOWN = 10  # mistakes in one message
BATCH = 16  # files that are embedded, and then cached, together
SAVE_EVERY_S = 30  # seconds of embedding that are lost, at most, when the process is killed
logger = logging.getLogger(__name__)


class BadExport(ValueError):
    """Rows or clips that cannot be trained on; the message names the file, the lines and the fields."""


@dataclass
class Export:
    """The usable votes of an export, column by column, and its clips."""

    columns: dict[str, np.ndarray]
    excluded: Counter
    clips: dict[int, "ExportedClip"]
    sha256: str
    last: dict | None  # {seq, battle} of the last row

    def ledger_seq(self) -> int:
        """The place in this arena's ledger up to which it has votes; 0 if it is another arena's export."""
        if not self.last:
            return 0
        entry = Ledger.objects.filter(seq=self.last["seq"], vote__isnull=False).select_related("vote__battle").first()
        if not entry or not entry.vote:
            return 0
        battle = entry.vote.battle
        return self.last["seq"] if self.last["battle"] in (str(battle.pk), battle.external_id) else 0


@dataclass(frozen=True)
class ExportedClip:
    path: Path
    sha256: str
    prompt: str


def training_set(
    export: str | Path,
    clips: str | Path,
    encoders: Sequence[Encoder],
    *,
    keep_flagged: bool = False,
    progress: Callable[[int], object] | None = None,
) -> tuple[TrainingSet, Export, dict[str, str]]:
    """(TrainingSet, Export, {file name: why it could not be embedded}) of an export's votes.

    Votes that a quality rule flags are left out, as on a board, unless `keep_flagged`. An embedding comes from the
    database where the clip has an undamaged one, else from the cache `EXPORT.ENCODER-REVISION.npz`, into which files
    are embedded.
    progress: called repeatedly with the number of clips embedded since the last call.
    """
    rows = read_export(export, clips, keep_flagged=keep_flagged)
    blocks: list[dict[int, np.ndarray]] = []
    failed: dict[str, str] = {}
    for encoder in encoders:
        vectors, reasons = _embed(encoder, rows.clips, Path(export), progress or (lambda n: None))
        blocks.append(vectors)
        failed |= {rows.clips[clip].path.name: reason for clip, reason in reasons.items()}
    ids = sorted(set.intersection(*(set(block) for block in blocks)))
    features = np.empty((len(ids), sum(encoder.dimension for encoder in encoders)), dtype=np.float32)
    start = 0
    for encoder, block in zip(encoders, blocks, strict=True):
        for row, clip in enumerate(ids):
            features[row, start : start + encoder.dimension] = block[clip]
        start += encoder.dimension
    return from_ledger.assemble(rows.columns, np.array(ids, dtype=np.int64), features, rows.excluded), rows, failed


# ---- rows ---------------------------------------------------------------------------------------------


def read_export(path: str | Path, clips: str | Path, *, keep_flagged: bool = False) -> Export:
    """The Export in the JSON lines at `path`, its clips looked up in the folder `clips`. Raises BadExport."""
    path, digest = Path(path), hashlib.sha256()
    folder, reader = _Folder(Path(clips)), _Reader(keep_flagged)
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            digest.update(text)
            try:
                reader.take(text, folder)
            except ValueError as error:
                reader.wrong.append(f"line {line}: {error}")
    if reader.wrong:
        more = f"\n  and {len(reader.wrong) - SHOWN} more" if len(reader.wrong) > SHOWN else ""
        raise BadExport(f"{path} cannot be trained on:\n  " + "\n  ".join(reader.wrong[:SHOWN]) + more)
    rows = sorted(reader.rows, key=lambda row: row["time"])
    kinds = {
        "target": float,
        "weight": float,
        "time": np.int64,
        "prompt": np.int64,
        "clip_a": np.int64,
        "clip_b": np.int64,
    }
    names = ("clip_a", "clip_b", "target", "weight", "prompt", "rater", "system_a", "system_b", "source", "time")
    columns = {name: np.array([row[name] for row in rows], dtype=kinds.get(name, str)) for name in names}
    return Export(columns, reader.excluded, reader.clips, digest.hexdigest(), reader.last)


class _Folder:
    """Clip files by the clip's id, which is the stem of their names; each is hashed once."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise BadExport(f"{path}: there is no such folder of clips; `export --clips` makes one")
        self.path = path
        self.files = {file.stem: file for file in sorted(path.iterdir()) if file.is_file()}
        self.hashes: dict[int, str] = {}

    def find(self, field: str, clip: int, sha256: str | None) -> Any:
        if (file := self.files.get(str(clip))) is None:
            raise ValueError(f"{field}: there is no file {clip}.* in {self.path}")
        if clip not in self.hashes:
            with file.open("rb") as source:
                self.hashes[clip] = hashlib.file_digest(source, "sha256").hexdigest()
        if sha256 is not None and sha256 != self.hashes[clip]:
            raise ValueError(
                f"{field}: {file} is not the clip of the export: its sha256 is {self.hashes[clip]}, not {sha256}"
            )
        return file, self.hashes[clip]


@dataclass
class _Reader:
    keep_flagged: bool
    rows: list = field(default_factory=list)
    clips: dict = field(default_factory=dict)
    excluded: Counter = field(default_factory=Counter)
    wrong: list = field(default_factory=list)
    seqs: set = field(default_factory=set)
    last: dict | None = None

    def take(self, text: bytes, folder: _Folder) -> Any:
        """Read one line. Raises ValueError that begins with the field's name."""
        try:
            record = json.loads(text)
        except ValueError as error:
            raise ValueError(f"not JSON: {error}") from error
        if not isinstance(record, dict):
            raise ValueError("not a JSON object")
        row, kind, preference, sides = _vote(record) if "preference" in record else _pair(record)
        if row["time"] in self.seqs:
            raise ValueError(f"seq: {row['time']} is there twice")
        self.seqs.add(row["time"])
        if self.last is None or row["time"] > self.last["seq"]:
            self.last = {"seq": row["time"], "battle": record.get("battle")}
        flags = set(_get(record, "flags", list, of=str))
        rule = inputs.excluding_rule(flags, () if self.keep_flagged else QUALITY_RULES)
        reason = inputs.why_excluded(kind, preference, flagged_by=rule)
        if not reason and None in (clip for _, clip, _ in sides):
            reason = "no_clips"
        if reason:
            self.excluded[reason] += 1
            return
        row["prompt"] = _get(record, "prompt_id", int)
        prompt = _get(record, "prompt", str)
        for side, (name, clip, sha256) in zip("ab", sides, strict=True):
            file, sha256 = folder.find(name, clip, sha256)
            self.clips[clip] = ExportedClip(file, sha256, prompt)
            row[f"clip_{side}"] = clip
        if row["clip_a"] == row["clip_b"]:
            raise ValueError(f"{sides[1][0]}: both clips are {row['clip_a']}")
        self.rows.append(row)


def _vote(record):
    """(row, battle kind, preference, [(field, clip id, None)] of a and b) of a line of `export votes`."""
    preference = _get(record, "preference", str)
    if preference not in ANSWERS:
        raise ValueError(f"preference: it is {preference!r}, not one of {', '.join(ANSWERS)}")
    kind = _get(record, "kind", str)
    if kind not in Battle.Kind.values:
        raise ValueError(f"kind: it is {kind!r}, not one of {', '.join(Battle.Kind.values)}")
    sides = [(name, _get(record, name, int, null=True), None) for name in ("clip_a", "clip_b")]
    systems = [_get(record, name, str) for name in ("system_a", "system_b")]
    return _row(record, systems, inputs.CREDIT_TO_A.get(preference)), kind, preference, sides


def _pair(record):
    """As _vote, of a line of `export pairs`: the chosen clip is a."""
    sides, systems = [], []
    for name in ("chosen", "rejected"):
        clip = _get(record, name, dict)
        try:
            sides.append((f"{name}.clip", _get(clip, "clip", int), _get(clip, "sha256", str)))
            systems.append(_get(clip, "system", str))
        except ValueError as error:
            raise ValueError(f"{name}.{error}") from error
    return _row(record, systems, 1.0), Battle.Kind.RANKED, "A", sides


def _row(record, systems, target):
    seq = _get(record, "seq", int)
    return {
        "target": target,
        "weight": 1.0,
        "rater": inputs.rater_label(_get(record, "rater", str, null=True), seq),
        "system_a": systems[0],
        "system_b": systems[1],
        "source": _get(record, "study", str),
        "time": seq,
    }


def _get(record, name, kind, *, null=False, of=None):
    if name not in record:
        raise ValueError(f"{name}: it is missing; is this an export of votes or pairs as jsonl?")
    value = record[name]
    if value is None and null:
        return None
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if not fits or (of and not all(isinstance(item, of) for item in value)):
        expected = {int: "a whole number", str: "text", list: "a list of texts", dict: "an object"}[kind]
        raise ValueError(f"{name}: it is {json.dumps(value)[:80]}, not {expected}{' or null' * null}")
    return value


# ---- embeddings ---------------------------------------------------------------------------------------


def _embed(encoder, clips, export, progress):
    """({clip: float32 [D]}, {clip: why there is none}) by the encoder."""
    key_of = {clip: _key(encoder, exported) for clip, exported in clips.items()}
    cache = _Cache(export.with_name(f"{export.name}.{encoder.key}-{encoder.revision}.npz"), encoder)
    known = {key: cache.vectors[key] for key in set(key_of.values()) & cache.vectors.keys()}
    if encoder.kind == "audio":
        here = dict(Clip.objects.filter(sha256__in=set(key_of.values())).values_list("pk", "sha256"))
        found, vectors = read_all_features(list(here), [as_block(encoder)], logger.warning)
        known |= {here[clip]: vector for clip, vector in zip(found.tolist(), vectors, strict=True)}
    reasons = {}
    missing = {key: clip for clip, key in key_of.items() if key not in known}
    todo = list(missing.items())
    try:
        for start in range(0, len(todo), BATCH):
            outcomes = _outcomes(encoder, {key: clips[clip] for key, clip in todo[start : start + BATCH]})
            for key, outcome in outcomes.items():
                if isinstance(outcome, Exception):
                    reasons[key] = described(outcome)
                else:
                    cache.vectors[key] = known[key] = np.asarray(outcome, dtype=np.float32)
            cache.save_now_and_then()
            progress(len(outcomes))
    finally:
        if todo:
            cache.save()
    for key, reason in reasons.items():
        logger.warning("%s cannot be embedded by %s: %s", clips[missing[key]].path, encoder.key, reason)
    return (
        {clip: known[key] for clip, key in key_of.items() if key in known},
        {clip: reasons[key] for clip, key in key_of.items() if key in reasons},
    )


def _outcomes(encoder, batch):
    """{key: vector, or the exception that says why there is none} of {key: clip}."""
    readable, outcomes = {}, {}
    for key, clip in batch.items():
        try:
            readable[key] = _input(encoder, clip)
        except MACHINES_FAULT:
            raise
        except Exception as failure:  # whatever a file provokes concerns that clip, not the export
            outcomes[key] = failure
    return outcomes | dict(zip(readable, vectors_or_reasons(encoder, list(readable.values())), strict=True))


def _key(encoder, clip):
    return hashlib.sha256(clip.prompt.encode()).hexdigest() if encoder.kind == "text" else clip.sha256


def _input(encoder, clip):
    if encoder.kind == "text":
        return clip.prompt
    samples, rate = audio.decode_once(clip.path)
    return resample(samples, rate, encoder.sample_rate)


class _Cache:
    """Vectors by sha256, of one encoder at one revision, in an .npz that is replaced whole."""

    def __init__(self, path: Path, encoder: Encoder) -> None:
        self.path, self.vectors, self.saved_at = path, {}, time.monotonic()
        if not path.exists():
            return
        try:
            with np.load(path, allow_pickle=False) as stored:
                vectors = checked(encoder, stored["vectors"].astype(np.float32), len(stored["sha256"]))
                self.vectors = dict(zip(stored["sha256"].tolist(), vectors, strict=True))
        except (ValueError, KeyError, zipfile.BadZipFile) as error:
            raise BadExport(
                f"{path}: not the embeddings of an export; delete it, and they are computed again ({error})"
            ) from error

    def save_now_and_then(self) -> None:
        if time.monotonic() - self.saved_at > SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        if not self.vectors:
            return
        with written_whole(self.path) as unfinished, unfinished.open("wb") as file:
            np.savez(file, sha256=np.array(list(self.vectors)), vectors=np.stack(list(self.vectors.values())))
        self.saved_at = time.monotonic()
