"""Alarms where the pass rate of a screen changes or it stops giving results: the raters have changed, or it broke."""

import logging
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db.models import Count, F, Q
from django.utils import timezone

from arena.models import Battle, Participation, Study

from . import quality
from .models import Alarm, Screening, Vote

logger = logging.getLogger(__name__)

NOW, BEFORE = timedelta(days=1), timedelta(days=15)
SCREENINGS = ("risk", "quality")
FEWEST = {"quality": quality.MIN_VOTES}


def watch_pass_rates(study: Study, now: datetime | None = None) -> list[Alarm]:
    """Compare each screen's pass rate of the last day with that of the two weeks before, and its share of raters with
    a result; only a fall of the latter raises an alarm. Returns the new alarms."""
    now = now or timezone.now()
    alarms = []
    for screen, passed_at in _screens(study).items():
        rate, detail = _compare(passed_at, now)
        if rate.moved:
            alarms.append(_raise_about(study, screen, "passed", rate, detail, now))
    for screen in SCREENINGS:
        rate, detail = _compare(partial(_known, study, screen), now)
        if rate.moved and rate.now < rate.before:
            alarms.append(_raise_about(study, f"{screen} known", "had a result", rate, detail, now))
    return [alarm for alarm in alarms if alarm]


def _compare(share_at, now):
    before, today = share_at(now - BEFORE, now - NOW), share_at(now - NOW, now)
    rate = quality.pass_rate_moved(*before, *today)
    return rate, {"before": before, "now": today, "p": rate.p}


def _raise_about(study, screen, what, rate, detail, now):
    message = f"{screen}: {rate.now:.0%} {what} in the last day, {rate.before:.0%} in the two weeks before."
    return raise_alarm(study, screen, message, detail, now)


def raise_alarm(study: Study | None, screen: str, message: str, detail: dict[str, Any], now: datetime) -> Alarm | None:
    """Store an alarm and log it; None where the same screen raised one within the last day. study: None where it
    concerns all."""
    if Alarm.objects.filter(study=study, screen=screen, raised_at__gt=now - NOW).exists():
        return None
    logger.critical("%s: %s", study.slug if study else "all studies", message)
    return Alarm.objects.create(study=study, screen=screen, message=message, detail=detail, raised_at=now)


def raise_about_sweep(study_id: int | None, sweep: str, message: str, detail: dict[str, Any]) -> Alarm | None:
    """Tell staff that a sweep fails, or fails on a row: what `arena.sweeps` calls, by the setting SWEEP_ALARM. detail:
    with the traceback. study_id: None where the row is of no study."""
    study = Study.objects.filter(pk=study_id).first() if study_id else None
    longest = Alarm._meta.get_field("screen").max_length
    return raise_alarm(study, sweep[:longest], message, detail, timezone.now())


def studies_with_news(now: datetime | None = None) -> list[int]:
    """Primary keys of the open studies in which a screen had somebody to judge within the last day: without anybody, no
    pass rate can have moved."""
    since = (now or timezone.now()) - NOW
    open_studies = Study.objects.filter(is_open=True)
    news: tuple[Any, ...] = (
        Participation.objects.filter(started_at__gt=since).values("study"),
        Screening.objects.filter(at__gt=since).values("study"),
        Vote.objects.filter(received_at__gt=since, battle__kind__in=["gold", "trap"]).values("battle__study"),
    )
    return [pk for rows in news for pk in open_studies.filter(pk__in=rows).values_list("pk", flat=True)]


def _screens(study):
    """{screen: function from (since, until) to (passed, screened)}."""
    checks = {
        kind: lambda since, until, kind=kind: _checks(study, kind, since, until)
        for kind in (Battle.Kind.GOLD.value, Battle.Kind.TRAP.value)
    }
    return {
        **checks,
        "headphones": lambda since, until: _headphones(study, since, until),
        **{screen: partial(_screenings, study, screen) for screen in SCREENINGS},
    }


def _checks(study, kind, since, until):
    votes = Vote.objects.filter(battle__study=study, battle__kind=kind, received_at__range=(since, until))
    return _pair(votes, Q(preference=F("battle__expected")))


def _headphones(study, since, until):
    taken = Participation.objects.filter(study=study, started_at__range=(since, until), headphones__in=["pass", "fail"])
    return _pair(taken, Q(headphones="pass"))


def _screenings(study, screen, since, until):
    done = Screening.objects.filter(study=study, screen=screen, at__range=(since, until), result__in=["pass", "fail"])
    return _pair(done, Q(result="pass"))


def _known(study, screen, since, until):
    """(with a result, screened), of raters with enough answers for one: a new rater has none, whatever the screen."""
    done = Screening.objects.filter(study=study, screen=screen, at__range=(since, until))
    if screen in FEWEST:
        done = done.filter(n_votes__gte=FEWEST[screen])
    return _pair(done, ~Q(result="unknown"))


def _pair(rows, passed):
    counted = rows.aggregate(passed=Count("pk", filter=passed), all=Count("pk"))
    return counted["passed"], counted["all"]
