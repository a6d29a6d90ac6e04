"""The ledger: gives every committed vote and flag the next `seq` and its link in a chain of hashes."""

import hashlib
import json

from django.db import connection, transaction

from arena.locks import Lock, hold
from arena.models import Study

from . import vote_blocks
from .models import Ledger

GENESIS = "0" * 64


def catch_up() -> None:
    """Number everything committed so far; waits for a sweep that is running."""
    while extend(wait=True):
        pass


@transaction.atomic
def extend(limit: int = 5000, wait: bool = False) -> int:
    """Number up to `limit` waiting entries. Returns how many; without `wait`, 0 while another sweep is running."""
    if not hold(Lock.LEDGER, wait=wait):
        return 0
    last = Ledger.objects.filter(seq__isnull=False).order_by("-seq").first()
    seq, digest = (last.seq or 0, last.digest) if last else (0, GENESIS)
    waiting = list(_with_content(Ledger.objects.filter(seq__isnull=True)).order_by("pk")[:limit])
    numbered = []
    for entry in waiting:
        seq += 1
        digest = link(digest, seq, entry)
        numbered.append((entry.pk, seq, digest))
    if numbered:
        _store(numbered)
        for study in Study.objects.filter(pk__in={entry.study_id for entry in waiting}):
            vote_blocks.keep(study)
    return len(numbered)


def _store(numbered):
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE annotations_ledger AS ledger SET seq = new.seq, digest = new.digest "
            "FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS new (id, seq, digest) WHERE ledger.id = new.id",
            [list(column) for column in zip(*numbered, strict=True)],
        )


def verify() -> int | None:
    """The seq of the first entry whose hash does not follow from the one before it, or None."""
    digest, expected = GENESIS, 1
    for entry in _with_content(Ledger.objects.filter(seq__isnull=False)).order_by("seq").iterator(2000):
        digest = link(digest, expected, entry)
        if entry.seq != expected or entry.digest != digest:
            return expected
        expected += 1
    return None


def link(previous: str, seq: int, entry: Ledger) -> str:
    """SHA-256, in hex, over the previous digest and the unchangeable content of this entry."""
    content = json.dumps([seq, *_content(entry)], separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(f"{previous}{content}".encode()).hexdigest()


def _content(entry):
    if entry.vote_id:
        vote = entry.vote
        return ["vote", vote.pk, str(vote.battle_id), vote.answer, vote.received_at.isoformat()]
    flag = entry.flag
    return ["flag", flag.pk, flag.vote_id, flag.rule, flag.rule_version, flag.created_at.isoformat()]


def _with_content(entries):
    return entries.select_related("vote", "flag")


def head() -> int:
    """The last `seq` in the ledger, 0 before the first."""
    return Ledger.objects.filter(seq__isnull=False).order_by("-seq").values_list("seq", flat=True).first() or 0
