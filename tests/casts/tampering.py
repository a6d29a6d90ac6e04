"""Votes in the ledger, and an owner of the tables who changes them past every trigger."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from annotations import ledger, ledger_heads, ledger_links
from annotations.models import Flag, Ledger, Vote
from annotations.services import flag
from arena.models import Rater, Study
from arena.serving import serve_battle

TABLES = (
    "annotations_vote", "annotations_flag", "annotations_ledger", "annotations_ledgerseal", "arena_battle",
    "arena_system", "arena_prompt", "arena_study",
)  # fmt: skip
THIRD = "(SELECT vote_id FROM annotations_ledger WHERE seq = 3)"
ITS_BATTLE = f"(SELECT battle_id FROM annotations_vote WHERE id = {THIRD})"


def six_entries(study: Study, rater: Rater) -> list[Vote]:
    """Five votes, the first of them flagged: six numbered entries, their head signed."""
    votes = [cast(study, rater) for _ in range(5)]
    flag(votes[0], Flag.LATE, 1)
    ledger.extend()
    ledger_heads.publish()
    return votes


def cast(study: Study, rater: Rater) -> Vote:
    """A vote on the next battle, with what was heard."""
    battle, _ = serve_battle(rater, study)
    battle.closed_at, battle.close_reason = timezone.now(), "voted"
    battle.save(update_fields=["closed_at", "close_reason"])
    heard = {"A": [[0, 4000]], "B": [[0, 5000]]}
    return Vote.objects.create(
        battle=battle, rater=rater, preference="A", received_at=timezone.now(), heard=heard, heard_a_ms=4000,
        heard_b_ms=5000, first_played="A", switches=1, volume=0.5,
    )  # fmt: skip


def tamper(*statements: str) -> None:
    """As the owner of the tables: with their triggers disabled, and without the foreign keys."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f' "
            "AND (conrelid::regclass::text = ANY(%s) OR confrelid::regclass::text = ANY(%s))",
            [list(TABLES), list(TABLES)],
        )
        for table, constraint in cursor.fetchall():
            cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{constraint}"')
        for statement in statements:
            cursor.execute(statement)


def without_constraints() -> None:
    """The owner of the tables can drop these too."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype IN ('c', 'u') "
            "AND conrelid::regclass::text = ANY(%s)",
            [["annotations_vote", "annotations_flag", "annotations_ledger"]],
        )
        for table, constraint in cursor.fetchall():
            cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{constraint}" CASCADE')


def recompute(version: int = ledger_links.VERSION) -> None:
    """Compute the whole chain anew, as who owns the tables can."""
    digest = ledger_links.GENESIS
    entries = list(ledger_links.numbered(ledger.head()))
    tamper()
    for entry in entries:
        digest = ledger_links.link(digest, entry.seq, entry.content, version)
        Ledger.objects.filter(pk=entry.pk).update(digest=digest, link_version=version)


def verify(*arguments: str) -> str:
    """What `verify_ledger` says where all holds."""
    said = StringIO()
    call_command("verify_ledger", *arguments, stdout=said)
    return said.getvalue()


def finds(what: str, *arguments: str) -> None:
    with pytest.raises(CommandError, match=what):
        verify(*arguments)
