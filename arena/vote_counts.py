"""How many votes every pair of systems has, asked before every battle."""

from datetime import timedelta

from django.db.models import Count

from arena.recently import forget, recent

SETTLED = timedelta(minutes=1)  # a vote takes less from its reading of the clock to its commit
FOLDED = 2 * SETTLED
RECOUNT_S = 600  # votes that come with an old time, as imported ones do, are seen after that


class Votes:
    """How many votes every pair of systems has, or will have had. What is older than a minute is counted once; the rest
    at every question, so that it takes no longer where there are more votes."""

    def __init__(self, study, now):
        self._study, self._until = study, now - SETTLED
        self._counted = _rows(study.battles.voted().filter(closed_at__lte=self._until))
        self._tallied = None

    def on(self, stock, now):
        """int [pairs] of the stock."""
        if now - self._until > FOLDED:
            self._fold(now - SETTLED)
        if self._tallied is None or self._tallied[0] is not stock:
            self._tallied = stock, stock.tally(self._counted)
        lately = self._study.battles.voted().filter(closed_at__gt=self._until)
        return self._tallied[1] + stock.tally(_rows(lately, self._study.battles.awaited(now)))

    def knows(self, now):
        """Whether its count ends before `now`; a clock may have been set back."""
        return now >= self._until

    def _fold(self, until):
        since = self._study.battles.voted().filter(closed_at__gt=self._until, closed_at__lte=until)
        self._counted, self._until, self._tallied = self._counted + _rows(since), until, None


def _rows(*battles):
    """[(system, system, battles)], several times where a pair has battles in both orders or of several kinds."""
    first, *others = (
        some.order_by().values_list("system_a_id", "system_b_id").annotate(n=Count("pk")) for some in battles
    )
    return list(first.union(*others, all=True) if others else first)


def votes_on(study, stock, now):
    """int [pairs] of the stock: votes there are and votes to come."""
    key = ("votes", study.pk)
    if not recent(key, lambda _: Votes(study, now), RECOUNT_S).knows(now):
        forget(key)
    return recent(key, lambda _: Votes(study, now), RECOUNT_S).on(stock, now)
