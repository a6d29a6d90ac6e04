"""Far more new raters than a study ever has: then a proof of work is asked for, for a while (the study's setting
`proof_of_work`: auto), and staff are told.

The measure is the study's own busiest ten minutes of the week before, without what an alarm was raised about: an attack
must not become what the study is used to. A class may count as one: its browsers then do a sum of a second each.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from arena.models import Participation, Study

from .alarms import raise_alarm

SCREEN = "burst of new raters"
WINDOW, BEFORE = timedelta(minutes=10), timedelta(days=7)
FEWEST = 60  # in ten minutes
TIMES_BUSIEST = 4
ALARMED = timedelta(days=1)  # how long the same alarm is not raised again
ASKED_FOR = timedelta(hours=1)  # after the last time that there were too many

LATELY = """
    SELECT participation.study_id FROM arena_participation AS participation
        JOIN arena_study AS study ON study.id = participation.study_id
    WHERE participation.started_at > %s AND study.is_open AND NOT study.is_simulated AND study.proof_of_work = 'auto'
    GROUP BY participation.study_id HAVING count(*) >= %s"""
BUSIEST = """
    SELECT coalesce(max(n), 0) FROM (
        SELECT count(*) AS n FROM arena_participation AS participation
        WHERE study_id = %s AND started_at > %s AND started_at <= %s AND NOT EXISTS (
            SELECT FROM annotations_alarm AS alarm
            WHERE alarm.study_id = participation.study_id AND screen = %s AND started_at > raised_at - %s
                AND started_at <= raised_at + %s
        )
        GROUP BY date_bin(make_interval(secs => %s), started_at, %s)
    ) AS counted"""


def due_studies(now: datetime | None = None) -> list[int]:
    """Primary keys of the studies with enough new raters within ten minutes that one must look."""
    with connection.cursor() as cursor:
        cursor.execute(LATELY, [(now or timezone.now()) - WINDOW, FEWEST])
        return [study for (study,) in cursor.fetchall()]


def ask_for_proof(study: Study, now: datetime | None = None) -> bool:
    """Ask new raters of the study for a proof of work where far more came than ever. Returns whether they did."""
    now = now or timezone.now()
    since = now - WINDOW
    n = Participation.objects.filter(study=study, started_at__gt=since).count()
    with connection.cursor() as cursor:
        alarm: list[Any] = [SCREEN, WINDOW, ALARMED]
        cursor.execute(BUSIEST, [study.pk, now - BEFORE, since, *alarm, WINDOW.total_seconds(), since])
        (busiest,) = cursor.fetchone()
    if n < max(FEWEST, TIMES_BUSIEST * busiest):
        return False
    is_auto = Q(pk=study.pk, proof_of_work=Study.ProofOfWork.AUTO)
    Study.objects.filter(is_auto).update(proof_until=now + ASKED_FOR)
    message = (
        f"{n} new raters within ten minutes; the most in the week before were {busiest}. New raters now do a small sum "
        "first, until an hour after the last such burst. If it is a class, set proof_of_work to off."
    )
    detail = {"raters": n, "busiest_before": busiest, "proof_until": (now + ASKED_FOR).isoformat()}
    raise_alarm(study, SCREEN, message, detail, now)
    return True
