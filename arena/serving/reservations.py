"""Places of a study with `votes_per_pair`: who is served a battle holds one of its pair's places for some minutes.

A place is held for HELD, and longer while there are signs of listening: the excerpts are asked for, or the page says
that it plays. After 30 minutes it is free in any case, and a later vote counts as late. So that nobody can empty a
study by asking: a rater keeps the place of one battle, the first that is open; who has left their last UNANSWERED
battles without an answer holds none; and one connection holds a part of the open places at most. Whoever has a battle
can answer it all the same: only the place is somebody else's then.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from arena.models import Battle, Rater, Study
from arena.refusals import Conflict, NotFound, TooMany

from .stock import Stock

HELD = timedelta(minutes=5)
RENEWED_BELOW = timedelta(minutes=3)  # so that not every sign of listening is a write
LONGEST = timedelta(minutes=30)
UNANSWERED = 3
FEWEST = 2  # places that a connection may always hold: the pair that somebody hears, and the next
SOONEST_S = 20

# Raw SQL, as in `draw_pair`: it runs for every battle.
AWAITED = """
    SELECT system_a_id, system_b_id, count(*), count(*) FILTER (WHERE rater_id IN (
        SELECT rater_id FROM arena_arrival WHERE connection = %(connection)s
    )), min(reserved_until)
    FROM arena_battle
    WHERE study_id = %(study)s AND closed_at IS NULL AND reserved_until > %(now)s AND kind IN ('ranked', 'imported')
        AND policy <> %(again)s
    GROUP BY 1, 2"""
RENEW = """
    UPDATE arena_battle AS battle SET reserved_until = %(until)s
    WHERE id = %(battle)s AND closed_at IS NULL AND reserved_until < %(until)s AND NOT EXISTS (
        SELECT FROM arena_battle AS earlier
        WHERE earlier.rater_id = battle.rater_id AND earlier.study_id = battle.study_id
            AND earlier.served_at < battle.served_at AND earlier.closed_at IS NULL AND earlier.expires_at > %(now)s
    )"""


def held_until(past: Sequence[Battle], now: datetime) -> datetime:
    """Until when a battle that is served now holds its place. past: the rater's battles in the study, in order."""
    last = past[-UNANSWERED:]
    answers = any(battle.close_reason == "voted" for battle in last)
    return now + HELD if answers or len(last) < UNANSWERED else now


def late_from(battle: Battle) -> datetime:
    """From when on a vote on the battle is late."""
    return battle.served_at + LONGEST


def note_listening(battle: Battle, now: datetime) -> None:
    """A sign that the battle, given with its study, is being heard: its place is held for longer."""
    if not battle.study.votes_per_pair or battle.closed_at or not battle.reserved_until:
        return
    until = min(now + HELD, late_from(battle))
    if battle.reserved_until < min(now + RENEWED_BELOW, until):
        with connection.cursor() as cursor:
            cursor.execute(RENEW, {"battle": battle.pk, "until": until, "now": now})


def keep_listening(rater: Rater, battle_id: Any, now: datetime) -> Battle:
    """The rater's page says that it plays the battle. Returns the battle."""
    battle = Battle.objects.select_related("study").filter(pk=battle_id, rater=rater).first()
    if not battle:
        raise NotFound("You have no such battle.")
    note_listening(battle, now)
    return battle


@dataclass(frozen=True)
class Places:
    """awaited: int [pairs] of the stock, places that are held; of_connection: how many of all, in stock or not, by
    raters of one connection; free_in_s: seconds until the first may be free again."""

    awaited: NDArray[np.int64]
    of_connection: int
    free_in_s: int

    @classmethod
    def of(cls, study: Study, stock: Stock, now: datetime, mark: str | None = None) -> "Places":
        """mark: the connection's, None where it is unknown."""
        with connection.cursor() as cursor:
            cursor.execute(AWAITED, {"study": study.pk, "now": now, "connection": mark, "again": Battle.AGAIN})
            rows = cursor.fetchall()
        awaited = stock.tally([row[:3] for row in rows])
        first = min((row[4] for row in rows), default=now)
        wait_s = math.ceil((first - now).total_seconds())
        return cls(awaited, sum(row[3] for row in rows), max(SOONEST_S, wait_s))

    def full_for_now(self) -> Conflict:
        return Conflict(
            f"Full for the moment: every place is taken. Please come back in {_minutes(self.free_in_s)}.",
            code="full_for_now",
            retry_after_s=self.free_in_s,
        )

    def require_share(self, study: Study, counts: NDArray[np.int64]) -> None:
        """TooMany where the connection holds its share of the places that are not voted on yet. counts: int [pairs],
        votes given and expected."""
        if not study.votes_per_pair or not self.of_connection:
            return
        n_open = int(np.clip(study.votes_per_pair - (counts - self.awaited), 0, None).sum())
        if self.of_connection >= max(FEWEST, math.ceil(n_open * study.places_per_connection / 100)):
            raise TooMany(
                "Your connection holds as many places of this study as one connection can. "
                f"Please come back in {_minutes(self.free_in_s)}.",
                code="too_many_places",
                retry_after_s=self.free_in_s,
            )


def _minutes(seconds):
    minutes = -(-seconds // 60)
    return "a minute" if minutes == 1 else f"{minutes} minutes"
