"""Import votes: a CSV or JSONL file becomes battles of kind `imported` in a study of their own."""

import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from arena import tables
from arena.models import ANSWERS, Battle, Prompt, Rater, Study, System
from arena.refusals import Conflict, Refusal
from arena.storable import nfc

from .models import Vote

REQUIRED = ("battle_id", "preference", "system_a", "system_b")
OPTIONAL = ("prompt", "rater", "time")
COLUMNS = tables.Columns(REQUIRED, OPTIONAL, tables.IGNORED, is_row=lambda cells: cells["preference"] in ANSWERS)
BATCH = 1000
MAX_LABEL = 100
EPOCH_SECONDS, EPOCH_MILLISECONDS = re.compile(r"[0-9]{9,10}(\.[0-9]+)?"), re.compile(r"[0-9]{12,13}(\.[0-9]+)?")
EPOCH, EARLIEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(1990, 1, 1, tzinfo=UTC)


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
    """Import the file's rows into the study `slug`, which is created, not open, if it is new. Returns a Report.

    A bad row is reported with its line and the reason; the others are imported. A file of which no row can be imported
    leaves nothing behind. Importing a file again changes nothing: a battle id that is already stored with the same
    answer is skipped. Raises Refusal for a file that cannot be used.
    """
    try:
        table = tables.read(path, COLUMNS)
    except tables.BadTable as error:
        raise Refusal(str(error)) from error
    study = _study_of_imports(slug)
    report = Report(ignored_columns=table.ignored)
    rows = _valid_rows(table, report)
    while batch := list(islice(rows, BATCH)):
        _import_batch(study, batch, report)
    return report


def _study_of_imports(slug):
    """The study, if it takes imported votes; a new one is not stored yet."""
    if not re.fullmatch(r"[a-z0-9_-]{1,50}", slug):
        raise Refusal(f"{slug!r} cannot name a study: give --study 1 to 50 of the characters a-z, 0-9, - and _.")
    study = Study.objects.filter(slug=slug).first()
    if not study:
        name = slug.replace("-", " ").capitalize()
        return Study(slug=slug, name=name, description="Imported votes.", is_open=False)
    if study.is_open or study.battles.exclude(kind=Battle.Kind.IMPORTED).exists():
        raise Conflict(f"The study {slug!r} has battles of its own; import into another one with --study.")
    return study


# ---- reading ------------------------------------------------------------------------------------------


def _valid_rows(table, report):
    """Yield (line, Row); bad rows go into the report."""
    for row in table:
        if row.problem:
            report.bad.append((row.line, row.problem))
            continue
        try:
            yield row.line, _parse(row.cells)
        except ValueError as error:
            report.bad.append((row.line, str(error)))


def _parse(record):
    cells = {name: tables.text(name, record.get(name)) for name in REQUIRED + OPTIONAL if name != "time"}
    cells["time"] = tables.text("time", record.get("time"), float)
    if missing := [name for name in REQUIRED if not cells[name]]:
        raise ValueError(f"{', '.join(missing)} is empty")
    for name in ("system_a", "system_b", "prompt", "rater"):
        cells[name] = nfc(cells[name])
    for name in ("battle_id", "system_a", "system_b"):
        if len(cells[name]) > MAX_LABEL:
            raise ValueError(f"{name} is longer than {MAX_LABEL} characters")
    if cells["preference"] not in ANSWERS:
        raise ValueError(f"preference is {cells['preference']!r}; it is one of {', '.join(ANSWERS)}")
    if cells["system_a"] == cells["system_b"]:
        raise ValueError(f"both systems are {cells['system_a']!r}")
    return Row(**{**cells, "time": _time(cells["time"])})


def _time(text):
    """The moment in UTC: ISO 8601, or the seconds (10 digits) or milliseconds (13) since 1970 that programs write."""
    if not text:
        return None
    try:
        if EPOCH_SECONDS.fullmatch(text):
            time = datetime.fromtimestamp(float(text), UTC)
        elif EPOCH_MILLISECONDS.fullmatch(text):
            time = EPOCH + timedelta(milliseconds=float(text))
        else:
            time = datetime.fromisoformat(text)
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # the latter: the year is out of range in UTC
        raise ValueError(
            f"time is {text!r}, not ISO 8601 such as 2026-02-14T20:00:00Z, nor seconds or milliseconds since 1970"
        ) from None
    if not EARLIEST <= time <= timezone.now() + timedelta(days=1):
        raise ValueError(f"time is {text!r}, which is {time:%Y-%m-%d}: before {EARLIEST:%Y}, or in the future")
    return time


# ---- writing ------------------------------------------------------------------------------------------


@transaction.atomic
def _import_batch(study, batch, report):
    if study.pk is None:
        study.save()
    fresh = _not_yet_there(study, batch, report)
    systems = System.objects.made({name for _, row in fresh for name in (row.system_a, row.system_b)})
    prompts = Prompt.objects.made({(row.prompt, "") for _, row in fresh if row.prompt})
    raters = _raters(study, {row.rater for _, row in fresh if row.rater})
    study.systems.add(*systems.values())
    now = timezone.now()
    battles = [
        Battle(
            study=study,
            kind=Battle.Kind.IMPORTED,
            rater=raters.get(row.rater),
            prompt=prompts.get((row.prompt, "")),
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
        battle_id: (preference, nfc(a), nfc(b))
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


def _raters(study, labels):
    """One rater per label and study. The label may be personal: only an HMAC of it is stored."""
    keys = {label: _rater_key(study, label) for label in labels}
    # Before labels were normalised, a rater was known by the label as it was written.
    older = {label: _rater_key(study, unicodedata.normalize("NFD", label)) for label in labels if not label.isascii()}
    rater_of = _raters_by_key({*keys.values(), *older.values()})
    keys |= {label: key for label, key in older.items() if keys[label] not in rater_of and key in rater_of}
    missing = {*keys.values()} - rater_of.keys()
    Rater.objects.bulk_create(
        [Rater(kind="imported", import_key=key) for key in sorted(missing)], ignore_conflicts=True
    )
    rater_of |= _raters_by_key(missing)
    return {label: rater_of[key] for label, key in keys.items()}


def _raters_by_key(keys):
    return {rater.import_key: rater for rater in Rater.objects.filter(import_key__in=keys)}


def _rater_key(study, label):
    message = f"{study.slug}\0{label}".encode()
    return hmac.new(settings.SECRET_KEY.encode(), message, hashlib.sha256).hexdigest()
