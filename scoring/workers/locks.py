"""One after the other: what two workers must not write at the same time."""

from enum import IntEnum

from django.db import connection


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


def hold(lock, study=None):
    """Wait for the lock, of the study's own where one is given, and hold it until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [int(lock), study.pk if study else 0])
