"""The number of votes of every pair of systems, needed for every battle."""

from datetime import datetime, timedelta

import numpy as np
from django.db import connection
from django.db.models import Count
from numpy.typing import NDArray

from arena.models import Study
from arena.serving.process_cache import forget, recent
from arena.serving.stock import Stock

SETTLED = timedelta(minutes=1)  # a vote commits within this time after its timestamp
FOLDED = 2 * SETTLED
RECOUNT_S = 600  # votes with an old timestamp, such as imported ones, are counted after that
# Battles by the rules of `BattleQuerySet.voted` and `awaited`. Raw SQL: it runs for every battle, and building it in
# the ORM takes longer than running it.
LATELY_AND_AWAITED = """
    SELECT system_a_id, system_b_id, count(*) FROM arena_battle
    WHERE study_id = %(study)s AND kind IN ('ranked', 'imported') AND policy <> 'again'
        AND close_reason = 'voted' AND closed_at > %(until)s
    GROUP BY system_a_id, system_b_id
    UNION ALL
    SELECT system_a_id, system_b_id, count(*) FROM arena_battle
    WHERE study_id = %(study)s AND kind IN ('ranked', 'imported') AND policy <> 'again'
        AND closed_at IS NULL AND reserved_until > %(now)s
    GROUP BY system_a_id, system_b_id"""


class Votes:
    """The number of votes of every pair of systems, including expected ones. Votes older than SETTLED are counted once,
    the others at every call, so that its time does not depend on the number of votes."""

    def __init__(self, study, now):
        until = now - SETTLED
        self._study = study
        # One tuple, replaced atomically: threads may share it.
        self._counted = until, _rows(study.battles.voted().filter(closed_at__lte=until))
        self._tallied = None

    def on(self, stock: Stock, now: datetime) -> NDArray[np.int64]:
        """int [pairs] of the stock: votes given and votes expected."""
        if now - self._counted[0] > FOLDED:
            self._counted = self._folded(now - SETTLED)
        counted, tallied = self._counted, self._tallied
        if not tallied or tallied[0] is not stock or tallied[1] is not counted:
            tallied = self._tallied = stock, counted, stock.tally(counted[1])
        with connection.cursor() as cursor:
            cursor.execute(LATELY_AND_AWAITED, {"study": self._study.pk, "until": counted[0], "now": now})
            return tallied[2] + stock.tally(cursor.fetchall())

    def knows(self, now: datetime) -> bool:
        """Whether its count ends before `now`; not so where the clock was set back."""
        return now >= self._counted[0]

    def _folded(self, until):
        before, rows = self._counted
        return until, rows + _rows(self._study.battles.voted().filter(closed_at__gt=before, closed_at__lte=until))


def _rows(battles):
    """[(system, system, battles)], twice where a pair has battles in both orders."""
    return list(battles.order_by().values_list("system_a_id", "system_b_id").annotate(n=Count("pk")))


def votes_on(study: Study, stock: Stock, now: datetime) -> NDArray[np.int64]:
    """int [pairs] of the stock: votes given and votes expected."""
    key = ("votes", study.pk)
    if not recent(key, lambda _: Votes(study, now), RECOUNT_S).knows(now):
        forget(key)
    return recent(key, lambda _: Votes(study, now), RECOUNT_S).on(stock, now)
