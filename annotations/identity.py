"""Whether a rater is one person answering at a human pace: a screen over when and from where raters came and what they
answered.

The result is `unknown` where the screen fails or has no data; nobody is excluded for that.
"""

import logging
from collections import defaultdict
from datetime import datetime, timedelta
from statistics import median
from uuid import UUID

from django.db import DatabaseError, transaction
from django.utils import timezone

from arena.models import Arrival, Battle, Rater, Study

from . import quality
from .alarms import raise_alarm
from .checks import MIRRORED
from .models import Flag, Screening, Vote
from .services import flag_votes

logger = logging.getLogger(__name__)

SCREEN, VERSION = "risk", 1
HOUR = timedelta(hours=1)


def screen_identities(study: Study, now: datetime | None = None) -> dict[UUID, str]:
    """Screen the raters who voted in the study within the hour. Returns {rater id: result}."""
    now = now or timezone.now()
    votes = _recent_votes(study, now)
    results = {}
    for rater, own in votes.items():
        try:
            risk = _risk(study, rater, own, now)
        except (ArithmeticError, DatabaseError, LookupError, TypeError, ValueError) as error:
            logger.exception("the screen %s does not run", SCREEN)
            raise_alarm(study, SCREEN, f"The screen does not run: {error}", {}, now)
            risk = quality.Risk("unknown", None, {})
        _write(study, rater, own, risk, now)
        results[rater] = risk.result
    return results


@transaction.atomic
def _write(study, rater, votes, risk, now):
    """Store a result and its flags, unless the rater has withdrawn meanwhile; the lock keeps a withdrawal out until
    then."""
    if not Rater.objects.select_for_update(no_key=True).filter(pk=rater, withdrawn_at__isnull=True).first():
        return
    values = {"result": risk.result, "score": risk.score, "detail": risk.signals, "n_votes": len(votes), "at": now}
    Screening.objects.update_or_create(rater_id=rater, study=study, screen=SCREEN, version=VERSION, defaults=values)
    cleared = Flag.objects.filter(vote__rater=rater, vote__battle__study=study, rule=Flag.CLEARED)
    if risk.result == "fail" and not cleared.exists():
        flag_votes([vote.pk for vote in votes], SCREEN, VERSION, {"score": risk.score, **risk.signals}, now)


def _recent_votes(study, now):
    by_rater = defaultdict(list)
    recent = Vote.objects.filter(
        battle__study=study, battle__kind=Battle.Kind.RANKED, received_at__gt=now - HOUR, rater__isnull=False,
        rater__withdrawn_at__isnull=True,
    ).exclude(flags__rule=Flag.WITHDRAWN)  # fmt: skip
    for vote in recent.select_related("battle").order_by("pk"):
        by_rater[vote.rater_id].append(vote)
    return by_rater


def _risk(study, rater, votes, now):
    others = _same_connection(rater)
    agreement, pairs = _closest_twin(study, rater, others or ())
    known = [vote for vote in votes if None not in (vote.opened_ms, vote.decided_ms)]
    times = [vote.decided_ms - vote.opened_ms for vote in known if vote.decided_ms >= vote.opened_ms]
    return quality.risk(
        arrivals_same_connection=None if others is None else len(others) + 1,
        twin_agreement=agreement,
        twin_pairs=pairs,
        median_decision_ms=median(times) if times else None,
    )


def _same_connection(rater):
    """Other raters who came over the same connection within an hour of this one; None where the connection is
    unknown."""
    arrival = Arrival.objects.filter(rater=rater).order_by("at").first()
    if not arrival:
        return None
    near = Arrival.objects.filter(connection=arrival.connection, at__range=(arrival.at - HOUR, arrival.at + HOUR))
    return set(near.exclude(rater=rater).values_list("rater_id", flat=True))


def _closest_twin(study, rater, others):
    """(the largest share of equal answers with one of the others, the number of clip pairs that both judged), among
    those who share at least TWIN_PAIRS pairs; (None, 0) without any."""
    own = _answers(study, rater)
    best = (None, 0)
    for other in others:
        theirs = _answers(study, other)
        shared = own.keys() & theirs.keys()
        if len(shared) >= quality.TWIN_PAIRS:
            share = sum(own[pair] == theirs[pair] for pair in shared) / len(shared)
            best = max(best, (share, len(shared)), key=lambda candidate: (candidate[0] or 0, candidate[1]))
    return best


def _answers(study, rater):
    """{(lower clip id, higher clip id): the answer, as if the lower one had been in slot A}."""
    votes = Vote.objects.filter(battle__study=study, battle__kind=Battle.Kind.RANKED, rater=rater)
    return {
        (min(a, b), max(a, b)): preference if a < b else MIRRORED[preference]
        for a, b, preference in votes.values_list("battle__clip_a_id", "battle__clip_b_id", "preference")
    }
