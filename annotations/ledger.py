"""The ledger: gives every committed vote and flag the next `seq` and its link in a chain of hashes."""

from django.db import connection, transaction
from django.utils import timezone

from arena.locks import Lock, hold
from arena.models import Study

from . import group_numbers, ledger_links, vote_blocks
from .ledger_links import GENESIS, link
from .models import Ledger, LedgerSeal


def catch_up() -> None:
    """Number everything committed so far; waits for a sweep that is running."""
    while extend(wait=True):
        pass


@transaction.atomic
def extend(limit: int = 5000, wait: bool = False) -> int:
    """Number up to `limit` waiting entries. Returns how many; without `wait`, 0 while another sweep is running.

    Where the last link is of an older version, one more entry first seals all that is there."""
    if not hold(Lock.LEDGER, wait=wait):
        return 0
    last = Ledger.objects.filter(seq__isnull=False).order_by("-seq").first()
    if last and last.link_version != ledger_links.VERSION:
        last = _seal(last)
    seq, digest = 0, GENESIS
    if last:
        assert last.seq is not None, "it is numbered"
        seq, digest = last.seq, last.digest
    waiting = ledger_links.waiting(limit)
    numbered = []
    for entry in waiting:
        seq += 1
        digest = link(digest, seq, entry.content)
        numbered.append((entry.pk, seq, digest))
    if numbered:
        group_numbers.assign([pk for pk, *_ in numbered])
        _store(numbered)
        for study in Study.objects.filter(pk__in={entry.study_id for entry in waiting}):
            vote_blocks.keep(study)
    return len(numbered)


def _store(numbered):
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE annotations_ledger AS ledger SET seq = new.seq, digest = new.digest, link_version = %s "
            "FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS new (id, seq, digest) WHERE ledger.id = new.id",
            [ledger_links.VERSION, *(list(column) for column in zip(*numbered, strict=True))],
        )


def _seal(last):
    """The entry that seals all entries up to `last`: their links stay, and what those do not cover is hashed here."""
    hashes = ledger_links.SealHashes()
    for entry in ledger_links.numbered(last.seq):
        hashes.add(entry)
    seal = LedgerSeal.objects.create(through_seq=last.seq, hashes=hashes.hashes(), created_at=timezone.now())
    entry = Ledger.objects.create(seal=seal)
    content = ledger_links.one(entry.pk).content
    seq = last.seq + 1
    _store([(entry.pk, seq, link(last.digest, seq, content))])
    return Ledger.objects.get(pk=entry.pk)


def head() -> int:
    """The last `seq` in the ledger, 0 before the first."""
    return Ledger.objects.filter(seq__isnull=False).order_by("-seq").values_list("seq", flat=True).first() or 0
