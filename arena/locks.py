"""Advisory locks for what two workers must not do at the same time. All locks of the project are here."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum, unique
from typing import Any

from django.db import connection


@unique
class Lock(IntEnum):
    """PostgreSQL advisory locks of all apps: arbitrary constants, all different."""

    LEDGER = 0x1ED6E2
    BOARD = 0xB0A2D
    ANCHORS = 0xA2C402
    CARD = 0xCA2D01
    CATEGORIES = 0xCA7E60
    POWERED = 0x9E41D
    REWARDS = 0x2E3A2D
    LIVE_MODEL = 0x11FE0D
    RETRAINING = 0x2E72A1
    TRAINING_MARKS = 0x3A2C4D
    RELEASES = 0x5E1EA5E
    SCREENING = 0x5C2EE2
    IDENTITIES = 0x1DE2717
    SWEEP = 0x53EEB
    EXCERPTS = 0xE8CE27


def hold(lock: Lock, study: Any = None, *, wait: bool = True) -> bool:
    """Hold the lock, per study if one is given, until the transaction ends. Waits for it; with wait=False, returns
    False at once where another holds it."""
    function = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s, %s)", [int(lock), study.pk if study else 0])
        (is_ours,) = cursor.fetchone()
    return wait or is_ours


def try_session_lock(lock: Lock, row: Any) -> bool:
    """Take the lock of a row (a study, a sweep) until this connection ends or gives it back. Never waits: False where
    another holds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [int(lock), row.pk])
        (is_ours,) = cursor.fetchone()
    return is_ours


@contextmanager
def held_over_transactions(lock: Lock, row: Any) -> Iterator[bool]:
    """Hold the lock of a row until the block ends, across its transactions. Never waits: yields False where another
    holds it."""
    is_ours = try_session_lock(lock, row)
    try:
        yield is_ours
    finally:
        if is_ours:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [int(lock), row.pk])
