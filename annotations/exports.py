"""Votes as rows, and writers for rows. With a ledger `seq`, an export is a snapshot that can be repeated."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from arena import csv_files
from arena.models import Study

from .models import Flag, Ledger

FORMATS = ("jsonl", "csv")
VOTE_COLUMNS_1 = (
    "seq", "vote", "battle", "study", "simulated", "kind", "rater", "prompt_id", "prompt", "lyrics",
    "system_a", "system_b", "clip_a", "clip_b", "preference", "degree", "axes", "tags", "flags",
    "policy", "pair_probability", "clip_probability", "length_ms", "heard_a_ms", "heard_b_ms",
    "first_played", "switches", "served_at", "received_at",
)  # fmt: skip
VOTE_COLUMNS_2 = (
    *VOTE_COLUMNS_1,
    "expected", "repeats", "first_play_ms", "opened_ms", "decided_ms", "pauses", "hidden", "volume",
)  # fmt: skip
_BESIDE = VOTE_COLUMNS_2.index("pair_probability") + 1  # a vote weighs 1 / (probability * pairs)
VOTE_COLUMNS = (*VOTE_COLUMNS_2[:_BESIDE], "eligible_pairs", *VOTE_COLUMNS_2[_BESIDE:])


def vote_rows(seq: int, study: Study | None = None, excluded: Counter[str] | None = None) -> Iterator[dict[str, Any]]:
    """Every vote up to `seq` that was not withdrawn, as dicts in ledger order.

    excluded: a Counter to which the number of excluded votes is added, by reason.
    """
    excluded = Counter() if excluded is None else excluded
    entries = Ledger.objects.filter(seq__lte=seq, **({"study": study} if study else {})).order_by("seq")
    flags: dict[int | None, set[str]] = {}
    for vote, rule in entries.filter(flag__isnull=False).values_list("flag__vote_id", "flag__rule"):
        flags.setdefault(vote, set()).add(rule)
    votes = entries.filter(vote__isnull=False).select_related(
        "study", "vote__battle__prompt", "vote__battle__system_a", "vote__battle__system_b"
    )
    for entry in votes.iterator(chunk_size=1000):
        rules = flags.get(entry.vote_id, set())
        if Flag.WITHDRAWN in rules:
            excluded[Flag.WITHDRAWN] += 1
        else:
            yield vote_row(entry, sorted(rules))


def vote_row(entry: Ledger, rules: list[str]) -> dict[str, Any]:
    vote, study = entry.vote, entry.study
    assert vote and study, "the entry is of a vote"
    battle = vote.battle
    return {
        "seq": entry.seq,
        "vote": vote.pk,
        "battle": battle.external_id or str(battle.pk),
        "study": study.slug,
        "simulated": study.is_simulated,
        "kind": battle.kind,
        "rater": str(vote.rater_id) if vote.rater_id else None,
        "prompt_id": battle.prompt_id,
        "prompt": battle.prompt.text if battle.prompt else None,
        "lyrics": battle.prompt.lyrics if battle.prompt else None,
        "system_a": battle.system_a.name,
        "system_b": battle.system_b.name,
        "clip_a": battle.clip_a_id,
        "clip_b": battle.clip_b_id,
        "preference": vote.preference,
        "degree": vote.degree or None,
        "axes": vote.axes,
        "tags": vote.tags,
        "flags": rules,
        "policy": battle.policy or None,
        "pair_probability": battle.pair_probability,
        "eligible_pairs": battle.eligible_pairs,
        "clip_probability": battle.clip_probability,
        "length_ms": battle.length_ms,
        "heard_a_ms": vote.heard_a_ms,
        "heard_b_ms": vote.heard_b_ms,
        "first_played": vote.first_played or None,
        "switches": vote.switches,
        "served_at": battle.served_at.isoformat(),
        "received_at": vote.received_at.isoformat(),
        "expected": battle.expected or None,
        "repeats": battle.repeats_id and str(battle.repeats_id),
        "first_play_ms": vote.first_play_ms,
        "opened_ms": vote.opened_ms,
        "decided_ms": vote.decided_ms,
        "pauses": vote.pauses,
        "hidden": vote.hidden,
        "volume": vote.volume,
    }


def write(
    rows: Iterable[dict[str, Any]], columns: Sequence[str], format: str, *, guarded: bool = True
) -> Iterator[tuple[int, str]]:
    """The rows' columns as (rows so far, text) pieces. CSV has a header, an empty cell for None, JSON for lists and
    objects. guarded: False for CSV as it was before method version 5 of releases, see `csv_files`."""
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}; it is one of {', '.join(FORMATS)}")
    if format == "jsonl":
        return _jsonl(rows, columns)
    lines = csv_files.lines if guarded else csv_files.lines_without_guard
    return enumerate(lines(columns, ({name: _cell(row[name]) for name in columns} for row in rows)))


def _jsonl(rows, columns):
    for number, row in enumerate(rows, start=1):
        yield number, json.dumps({name: row[name] for name in columns}, ensure_ascii=False, allow_nan=False) + "\n"


def _cell(value):
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
