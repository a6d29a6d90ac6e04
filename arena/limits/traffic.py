"""Limits on how much of a study may come from one connection or network within an hour (UTC).

Everything is counted where it is written, in the same transaction and in one statement with what is written there
anyway, so that a limit needs neither Redis nor a further round trip. A refusal rolls its own count back. A vote is
never refused: its battle was served. Whose address is not public has no marks, is not counted and not limited.

Rows are counted up in the order of their marks, and last in their transactions: no two wait for each other.
"""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from arena.models import Rater, Study, Traffic
from arena.participants import keyed_hash
from arena.refusals import TooMany

from .marks import Marks

HOUR = timedelta(hours=1)
COUNT = """
    INSERT INTO arena_traffic AS traffic (study_id, kind, mark, hour, n)
    SELECT %(study)s, %(kind)s, mark, %(hour)s, 1 FROM unnest(%(marks)s::text[]) AS mark ORDER BY mark
    ON CONFLICT (study_id, kind, mark, hour) DO UPDATE SET n = traffic.n + 1
    RETURNING mark, n"""
ARRIVE = f"""
    WITH came AS (
        INSERT INTO arena_arrival (rater_id, connection, network, device, is_forwarded, at)
        SELECT %(rater)s, %(connection)s, %(network)s, %(device)s, %(is_forwarded)s, %(now)s
        WHERE NOT EXISTS (SELECT FROM arena_arrival WHERE rater_id = %(rater)s AND device = %(device)s)
    ) {COUNT}"""
CLOSE = f"""
    WITH closed AS (
        UPDATE arena_battle SET closed_at = %(now)s, close_reason = 'voted' WHERE id = %(battle)s
    ) {COUNT}"""


def admit_rater(study: Study, rater: Rater, came_by: Marks, now: datetime) -> None:
    """Note from where a new rater came. Raises TooMany where the study has had its share from there."""
    if place := _exceeded(
        study, Traffic.Kind.RATERS, came_by, _arrive(study, rater, came_by, Traffic.Kind.RATERS, now)
    ):
        raise _too_many(f"Many people have joined this study from your {place} within the hour.", now)


def admit_battle(study: Study, rater: Rater, came_by: Marks | None, now: datetime) -> None:
    """Note from where a battle was asked for. Raises TooMany where the study has had its share from there."""
    if not came_by or not came_by.connection:
        return
    counts = _arrive(study, rater, came_by, Traffic.Kind.BATTLES, now)
    if place := _exceeded(study, Traffic.Kind.BATTLES, came_by, counts):
        raise _too_many(f"Your {place} has had all the pairs that this study has for it within an hour.", now)


def close_voted(study: Study, battle: UUID, came_by: Marks | None, now: datetime) -> str | None:
    """Close a battle that was answered. Returns "connection" or "network" where more votes came from there within the
    hour than the study hands out battles."""
    came_by = came_by or Marks()
    counts = _count(CLOSE, study, Traffic.Kind.VOTES, came_by, now, battle=battle)
    return _exceeded(study, Traffic.Kind.VOTES, came_by, counts)


def limit_of(study: Study, kind: str, place: str) -> int | None:
    """How many of a kind may come from one "connection" or "network" within an hour; None: any number. Votes have the
    limit of battles."""
    limit: int | None = getattr(study, f"{'raters' if kind == Traffic.Kind.RATERS else 'battles'}_per_{place}")
    return limit


def _arrive(study, rater, came_by, kind, now):
    return _count(ARRIVE, study, kind, came_by, now, rater=rater.pk, **asdict(came_by))


def _count(statement: str, study: Study, kind: str, came_by: Marks, now: datetime, **more: Any) -> dict[str, int]:
    """{mark: how many within the hour, this one included}."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    marks = list(_marks(study, came_by).values())
    values: dict[str, Any] = {"study": study.pk, "kind": kind, "marks": marks, "hour": hour, "now": now, **more}
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return dict(cursor.fetchall())


def _marks(study, came_by):
    """{place: its mark in the counts of this study}: another one than with arrivals, so that from a count that a
    withdrawal leaves nobody can tell who came by it."""
    places = {"connection": came_by.connection, "network": came_by.network}
    return {place: keyed_hash(f"traffic:{study.slug}", mark) for place, mark in places.items() if mark}


def _exceeded(study, kind, came_by, counts):
    """The narrower of the places that are over the study's limit; None where none is."""
    for place, mark in _marks(study, came_by).items():
        limit = limit_of(study, kind, place)
        if limit is not None and counts[mark] > limit:
            return place
    return None


def _too_many(sentence, now):
    left = HOUR - timedelta(minutes=now.minute, seconds=now.second)
    wait_s = max(1, int(left.total_seconds()))
    minutes = -(-wait_s // 60)
    again = f"Please try again in {minutes} minute{'s' * (minutes > 1)}."
    return TooMany(f"{sentence} {again}", retry_after_s=wait_s)
