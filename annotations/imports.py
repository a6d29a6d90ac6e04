"""Import votes: a CSV or JSONL file becomes battles of kind `imported` in a study of their own."""

import csv
import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from arena.models import ANSWERS, Battle, Prompt, Rater, Study, System
from arena.refusals import Conflict, Refusal
from arena.storable import storable

from .models import Vote

REQUIRED = ("battle_id", "preference", "system_a", "system_b")
OPTIONAL = ("prompt", "rater", "time")
BATCH = 1000
csv.field_size_limit(10_000_000)  # a prompt with lyrics can exceed the default limit of a cell
MAX_LABEL = 100


@dataclass(frozen=True)
class Row:
    battle_id: str
    preference: str
    system_a: str
    system_b: str
    prompt: str
    rater: str
    time: datetime | None


@dataclass
class Report:
    imported: int = 0
    already_there: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)  # (line, reason)
    ignored_columns: list[str] = field(default_factory=list)


def import_votes(path: str | Path, slug: str) -> Report:
    """Import the file's rows into the study `slug`, which is created if it is new. Returns a Report.

    A bad row is reported with its line and the reason; the others are imported. Importing a file again
    changes nothing: a battle id that is already stored with the same answer is skipped.
    """
    report = Report()
    study = _study_of_imports(slug)
    rows = _valid_rows(path, report)
    while batch := list(islice(rows, BATCH)):
        _import_batch(study, batch, report)
    return report


def _study_of_imports(slug):
    if not re.fullmatch(r"[a-z0-9_-]{1,50}", slug):
        raise Refusal(f"{slug!r} cannot name a study: give --study 1 to 50 of the characters a-z, 0-9, - and _.")
    study, created = Study.objects.get_or_create(
        slug=slug,
        defaults={"name": slug.replace("-", " ").capitalize(), "description": "Imported votes.", "is_open": False},
    )
    own = study.is_open or study.battles.exclude(kind=Battle.Kind.IMPORTED).exists()
    if own and not created:
        raise Conflict(f"The study {slug!r} has battles of its own; import into another one with --study.")
    return study


# ---- reading ------------------------------------------------------------------------------------------


def _valid_rows(path, report):
    """Yield (line, Row); bad rows go into the report."""
    for line, record in _records(path, report):
        try:
            yield line, _parse(record)
        except ValueError as error:
            report.bad.append((line, str(error)))


def _records(path, report):
    # A byte that is not UTF-8 must fail only its own row: it becomes a surrogate, which `_text` refuses.
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        if str(path).endswith((".jsonl", ".ndjson")):
            yield from _json_records(file, report)
        else:
            yield from _csv_records(file, path, report)


def _csv_records(file, path, report):
    reader = csv.DictReader(file)
    header = reader.fieldnames or []
    if missing := [name for name in REQUIRED if name not in header]:
        raise Refusal(
            f"{path}: the header has no column {', '.join(missing)}. It needs {', '.join(REQUIRED)}; "
            f"{', '.join(OPTIONAL)} are optional."
        )
    report.ignored_columns = [name for name in header if name not in REQUIRED + OPTIONAL]
    for record in reader:
        if None in record:
            report.bad.append((reader.line_num, "more cells than the header has columns"))
        else:
            yield reader.line_num, record


def _json_records(file, report):
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            report.bad.append((line, f"not JSON: {error}"))
            continue
        if isinstance(record, dict):
            yield line, record
        else:
            report.bad.append((line, "not a JSON object"))


def _parse(record):
    cells = {name: _text(name, record.get(name)) for name in REQUIRED + OPTIONAL}
    if missing := [name for name in REQUIRED if not cells[name]]:
        raise ValueError(f"{', '.join(missing)} is empty")
    for name in ("battle_id", "system_a", "system_b"):
        if len(cells[name]) > MAX_LABEL:
            raise ValueError(f"{name} is longer than {MAX_LABEL} characters")
    if cells["preference"] not in ANSWERS:
        raise ValueError(f"preference is {cells['preference']!r}; it is one of {', '.join(ANSWERS)}")
    if cells["system_a"] == cells["system_b"]:
        raise ValueError(f"both systems are {cells['system_a']!r}")
    return Row(**{**cells, "time": _time(cells["time"])})


def _text(name, value):
    value = "" if value is None else value
    if not isinstance(value, str | int):
        raise ValueError(f"{name} is {value!r}, not text")
    text = str(value).strip()
    if not storable(text):
        raise ValueError(f"{name} is not UTF-8 text, or holds a NUL character")
    return text


def _time(text):
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # the latter: the year is out of range in UTC
        raise ValueError(f"time is {text!r}, not ISO 8601 such as 2026-02-14T20:00:00Z") from None


# ---- writing ------------------------------------------------------------------------------------------


@transaction.atomic
def _import_batch(study, batch, report):
    fresh = _not_yet_there(study, batch, report)
    systems = _get_or_create(System, "name", {name for _, row in fresh for name in (row.system_a, row.system_b)})
    prompts = _prompts({row.prompt for _, row in fresh if row.prompt})
    raters = _raters(study, {row.rater for _, row in fresh if row.rater})
    study.systems.add(*systems.values())
    now = timezone.now()
    battles = [
        Battle(
            study=study,
            kind=Battle.Kind.IMPORTED,
            rater=raters.get(row.rater),
            prompt=prompts.get(row.prompt),
            system_a=systems[row.system_a],
            system_b=systems[row.system_b],
            served_at=row.time or now,
            closed_at=row.time or now,
            close_reason="voted",
            external_id=row.battle_id,
        )
        for _, row in fresh
    ]
    Battle.objects.bulk_create(battles)
    Vote.objects.bulk_create(
        Vote(battle=battle, rater=battle.rater, preference=row.preference, received_at=row.time or now)
        for battle, (_, row) in zip(battles, fresh, strict=True)
    )
    report.imported += len(fresh)


def _not_yet_there(study, batch, report):
    """The rows whose battle id is new; a known id with another answer is reported."""
    known = {
        battle_id: (preference, a, b)
        for battle_id, preference, a, b in Battle.objects.filter(
            study=study, external_id__in={row.battle_id for _, row in batch}
        ).values_list("external_id", "vote__preference", "system_a__name", "system_b__name")
    }
    fresh = []
    for line, row in batch:
        answer = (row.preference, row.system_a, row.system_b)
        stored = known.setdefault(row.battle_id, answer)
        if stored is answer:
            fresh.append((line, row))
        elif stored == answer:
            report.already_there += 1
        else:
            report.bad.append((line, f"battle {row.battle_id} is stored already, as {stored}, not {answer}"))
    return fresh


def _get_or_create(model, field, values):
    model.objects.bulk_create([model(**{field: value}) for value in sorted(values)], ignore_conflicts=True)
    return {getattr(row, field): row for row in model.objects.filter(**{f"{field}__in": values})}


def _prompts(texts):
    Prompt.objects.bulk_create([Prompt(text=text) for text in sorted(texts)], ignore_conflicts=True)
    return {prompt.text: prompt for prompt in Prompt.objects.filter(text__in=texts, lyrics="")}


def _raters(study, labels):
    """One rater per label and study. The label may be personal: only an HMAC of it is stored."""
    keys = {label: _rater_key(study, label) for label in labels}
    Rater.objects.bulk_create(
        [Rater(kind="imported", import_key=key) for key in sorted(keys.values())], ignore_conflicts=True
    )
    rater_of = {rater.import_key: rater for rater in Rater.objects.filter(import_key__in=keys.values())}
    return {label: rater_of[key] for label, key in keys.items()}


def _rater_key(study, label):
    message = f"{study.slug}\0{label}".encode()
    return hmac.new(settings.SECRET_KEY.encode(), message, hashlib.sha256).hexdigest()
