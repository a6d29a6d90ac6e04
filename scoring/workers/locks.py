"""One after the other: what two workers must not do at the same time. Every advisory lock of the project is here."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from django.db import connection

from arena.models import Study


class Lock(IntEnum):
    """Advisory locks of PostgreSQL; any constants, but no two alike."""

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


def hold(lock: Lock, study: Study | None = None, *, wait: bool = True) -> bool:
    """Hold the lock, of the study's own where one is given, until the transaction ends. Waits for it; without `wait`,
    False at once where another holds it."""
    function = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s, %s)", [int(lock), study.pk if study else 0])
        (held,) = cursor.fetchone()
    return wait or held


@contextmanager
def held_over_transactions(lock: Lock, study: Study) -> Iterator[bool]:
    """Hold the study's lock until the block is left, over as many transactions as it has. Never waits: False where
    another holds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [int(lock), study.pk])
        (held,) = cursor.fetchone()
    try:
        yield held
    finally:
        if held:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [int(lock), study.pk])
