"""Votes as rows, and writers for rows. A `seq` of the ledger makes every export one snapshot for ever."""

import csv
import io
import json
from collections import Counter

from .models import Flag, Ledger

FORMATS = ("jsonl", "csv")


def vote_rows(seq, study=None, excluded=None):
    """Every vote up to `seq` that was not withdrawn, as dicts in ledger order.

    excluded: a Counter that is filled with the votes left out, by reason.
    """
    excluded = Counter() if excluded is None else excluded
    entries = Ledger.objects.filter(seq__lte=seq, **({"study": study} if study else {})).order_by("seq")
    flags = {}
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


def vote_row(entry, rules):
    vote, battle = entry.vote, entry.vote.battle
    return {
        "seq": entry.seq,
        "vote": vote.pk,
        "battle": battle.external_id or str(battle.pk),
        "study": entry.study.slug,
        "simulated": entry.study.is_simulated,
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
        "clip_probability": battle.clip_probability,
        "length_ms": battle.length_ms,
        "heard_a_ms": vote.heard_a_ms,
        "heard_b_ms": vote.heard_b_ms,
        "first_played": vote.first_played or None,
        "switches": vote.switches,
        "served_at": battle.served_at.isoformat(),
        "received_at": vote.received_at.isoformat(),
    }


def write(rows, format):
    """The rows as text, a piece per row. CSV has a header, an empty cell for None, JSON for lists and objects."""
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}; it is one of {', '.join(FORMATS)}")
    return _jsonl(rows) if format == "jsonl" else _csv(rows)


def _jsonl(rows):
    for row in rows:
        yield json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(rows):
    buffer = io.StringIO()
    writer = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(buffer, row.keys(), lineterminator="\n")
            writer.writeheader()
        writer.writerow(
            {
                name: json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
                for name, value in row.items()
            }
        )
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
