"""How a sweep works off what is due: in turns, past what fails, and never two workers at one sweep.

A turn ends when its time is over (`SWEEP_TURN_S`) and the next one goes on behind the row that it reached, so that a
study with much to do cannot keep the others waiting. A row that fails, takes too long or ends its worker is tried again
after a pause that doubles each time; all of this is in the database, so that a restart forgets nothing. The first
failure of a row is handed to `settings.SWEEP_ALARM`, which tells staff.
"""

import logging
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import Any

import psycopg
from django.conf import settings
from django.db import Error, connection
from django.utils import timezone
from django.utils.module_loading import import_string
from psycopg.pq import TransactionStatus

from . import disk
from .locks import Lock, held_over_transactions, try_session_lock
from .models import Status, Study, Sweep, SweepFailure

TIMES_LATE = 3  # periods without an end, after which a sweep stands still
SHORTEST_PAUSE = timedelta(seconds=10)  # after a first failure, or the sweep's period where that is longer
LONGEST_PAUSE = timedelta(hours=1)
AGAIN_S = 5  # where a row catches the end of its time, it is told again
CANCEL_S = 5
LONGEST_PAUSE_OF_ALL = timedelta(minutes=5)  # where the sweep fails as a whole
KILLED = "The worker ended while it was at this: killed at its time limit, for want of memory, or by hand."

logger = logging.getLogger(__name__)


class TookTooLong(Exception):
    """A row was not done within the time that a sweep has for one."""


def over_studies(name: str, due: Callable, work: Callable, *, each_s: float) -> None:
    """Call work(study) for each study whose primary key `due()` returns. each_s: seconds that one may take."""

    def work_on(key):
        if study := Study.objects.filter(pk=key).first():
            work(study)

    over_rows(name, lambda: {key: key for key in due()}, work_on, what="study", each_s=each_s)


def over_rows(name: str, due: Callable, work: Callable, *, what: str, each_s: float) -> None:
    """Call work(primary key) for each row in `due()`: {primary key: its study's, or None}. what: the kind of row.

    `due` must be cheap and `work` harmless where a row is no longer due: another turn may have done it meanwhile.
    """
    sweep = _named(name)
    if _is_paused(sweep):
        return
    with _noting_failure(sweep):
        studies = due()
        if not studies and sweep.working_on is None:
            _forget_failures(sweep, studies)
            _finish(sweep)
            return
        with held_over_transactions(Lock.SWEEP, sweep) as is_alone:
            if is_alone:
                sweep.refresh_from_db()
                _turn(sweep, studies, work, what, each_s)


def over_claims(name: str, rows: Any, work: Callable, *, what: str, most: int) -> None:
    """Claim and do pending rows of a ClaimQuerySet one at a time, at most `most`. Several workers may be at it: each
    has claims of its own, and that of a killed one expires."""
    sweep = _named(name)
    if _is_paused(sweep):
        return
    with _noting_failure(sweep):
        pending = rows.filter(status=Status.PENDING)
        _forget_failures(sweep, pending.values("pk"))
        if not pending.exists():
            _finish(sweep)
            return
        _update(sweep, begun_at=timezone.now())
        failures = _failures(sweep)
        waiting = [key for key, failure in failures.items() if _waits(sweep.name, failure.next_try_at, LONGEST_PAUSE)]
        deadline = monotonic() + turn_s(name)
        for _ in range(most):
            if monotonic() >= deadline or (key := rows.exclude(pk__in=waiting).claim()) is None:
                break
            if not _do(sweep, key, None, work, what, failures, each_s=None):
                waiting.append(key)
        _finish(sweep)


def once(name: str, work: Callable) -> None:
    """Call work(): a sweep that looks for its own rows. Where it fails, the next call comes after a pause."""
    sweep = _named(name)
    if _is_paused(sweep):
        return
    _update(sweep, begun_at=timezone.now())
    with _noting_failure(sweep):
        work()
        _finish(sweep)


# ---- a turn -------------------------------------------------------------------------------------------


def _turn(sweep, studies, work, what, each_s):
    """Work on the rows behind the position where the last turn stopped, until the time is over."""
    _update(sweep, begun_at=timezone.now())
    if sweep.working_on is not None:  # nobody else has the lock, so whoever was at it has ended
        if sweep.working_on in studies:
            _note_row(sweep, sweep.working_on, studies[sweep.working_on], what, KILLED, alarm_from=2)
        _update(sweep, working_on=None)
    _forget_failures(sweep, studies)
    failures = _failures(sweep)
    deadline, session = monotonic() + turn_s(sweep.name), connection.connection
    is_free = {
        key: key not in failures or not _waits(sweep.name, failures[key].next_try_at, LONGEST_PAUSE) for key in studies
    }
    behind = -1 if sweep.position is None else sweep.position
    for n_done, key in enumerate(sorted(key for key in studies if key > behind and is_free[key])):
        if n_done and monotonic() >= deadline:
            return
        _update(sweep, position=key, working_on=key)
        _do(sweep, key, studies[key], work, what, failures, each_s)
        _update(sweep, working_on=None)
        if connection.connection is not session:  # what failed has broken it, and the lock went with it
            session = connection.connection
            if not try_session_lock(Lock.SWEEP, sweep):
                return
    _finish(sweep, position=None)


def _do(sweep, key, study, work, what, failures, each_s):
    """Whether work(key) succeeded; a failure is noted."""
    try:
        with at_most(each_s):
            work(key)
    except Exception:
        logger.exception("the sweep %s fails on %s %s", sweep.name, what, key)
        _mend_connection()
        _note_row(sweep, key, study, what, traceback.format_exc(), alarm_from=1)
        return False
    if key in failures:
        SweepFailure.objects.filter(sweep=sweep, row=key).delete()
    return True


@contextmanager
def at_most(seconds: float | None) -> Iterator[None]:
    """Raise TookTooLong in the block after so many seconds. Without effect in a thread: signals are for the main one,
    where Celery's processes work. None: no limit.

    A query that is running then is cancelled: left alone, it would go on, and the connection's lock with it."""
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    too_long, is_over = TookTooLong(f"It was not done within {seconds:g} s."), False

    def give_up(*_):
        nonlocal is_over
        is_over = True
        if not _cancel_query():
            raise too_long

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_S)
    try:
        yield
    except Error as error:
        if is_over:
            raise too_long from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _cancel_query():
    """Whether a query was running, and is now cancelled: it then fails where it was sent."""
    session = connection.connection
    if session is None or session.pgconn.transaction_status != TransactionStatus.ACTIVE:
        return False
    try:
        session.cancel_safe(timeout=CANCEL_S)
    except psycopg.Error:
        return False
    return True


# ---- what is remembered -------------------------------------------------------------------------------


def period_s(name: str) -> float:
    """Seconds between two calls of the sweep."""
    return settings.CELERY_BEAT_SCHEDULE[name]["schedule"]


def turn_s(name: str) -> float:
    """Seconds after which the sweep begins with no further row."""
    return settings.SWEEP_TURN_S.get(name, settings.SWEEP_TURN_S["default"])


def _named(name):
    return Sweep.objects.filter(name=name).first() or Sweep.objects.get_or_create(name=name)[0]


def _update(sweep, **values):
    Sweep.objects.filter(pk=sweep.pk).update(**values)
    for field, value in values.items():
        setattr(sweep, field, value)


def _finish(sweep, **values):
    now = timezone.now()
    if not sweep.begun_at or (sweep.finished_at and sweep.begun_at <= sweep.finished_at):
        values["begun_at"] = now
    if sweep.n_failures:
        values |= {"n_failures": 0, "next_try_at": None}
    _update(sweep, finished_at=now, **values)


def _mend_connection():
    """What failed may have left the connection broken. Within a transaction it is the caller's to end that."""
    if not connection.in_atomic_block:
        connection.errors_occurred = True  # so that it is looked at
        connection.close_if_unusable_or_obsolete()


def _is_paused(sweep):
    if sweep.name in settings.SWEEPS_THAT_WRITE_FILES and disk.space().is_low:
        return True
    return sweep.next_try_at is not None and _waits(sweep.name, sweep.next_try_at, LONGEST_PAUSE_OF_ALL)


def _waits(name, next_try_at, longest):
    """Whether it is too early. A time that no pause can reach is from before the clock was set back."""
    return timedelta(0) < next_try_at - timezone.now() <= max(longest, _shortest_pause(name))


def _forget_failures(sweep, due):
    """Rows that are no longer due were done otherwise, or are gone. due: their primary keys."""
    sweep.failures.exclude(row__in=due).delete()


def _failures(sweep):
    """{primary key: SweepFailure}."""
    return {failure.row: failure for failure in sweep.failures.defer("error")}


@contextmanager
def _noting_failure(sweep):
    """A failure of the sweep as a whole: it is noted, and the sweep pauses."""
    try:
        yield
    except Exception as error:
        logger.exception("the sweep %s fails", sweep.name)
        _mend_connection()
        text, now = traceback.format_exc(), timezone.now()
        n_failures = sweep.n_failures + 1
        pause = _pause(sweep.name, n_failures, LONGEST_PAUSE_OF_ALL)
        _update(sweep, n_failures=n_failures, error=text, failed_at=now, next_try_at=now + pause)
        if n_failures == 1:
            message = f"The sweep {sweep.name} fails: {error!r}"
            tell_staff(sweep.name, None, sweep.name, message, {"traceback": text})


def _note_row(sweep, key, study, what, text, alarm_from):
    """Count the row's failure. Staff are told at its `alarm_from`-th in a row, once."""
    if study and not Study.objects.filter(pk=study).exists():
        return  # it was deleted meanwhile, so there is nothing to try again
    now = timezone.now()
    failure = SweepFailure.objects.filter(sweep=sweep, row=key).first() or SweepFailure(sweep=sweep, row=key, what=what)
    failure.n_failures += 1
    failure.study_id, failure.error, failure.failed_at = study, text, now
    failure.next_try_at = now + _pause(sweep.name, failure.n_failures, LONGEST_PAUSE)
    is_news = not failure.is_told and failure.n_failures >= alarm_from
    failure.is_told = failure.is_told or is_news
    failure.save()
    if is_news:
        last_line = text.strip().splitlines()[-1]
        message = f"The sweep {sweep.name} fails on {what} {key}, and goes on without it: {last_line}"
        tell_staff(sweep.name, study, f"{sweep.name}: {what} {key}", message, {"traceback": text})


def _shortest_pause(name):
    return max(SHORTEST_PAUSE, timedelta(seconds=period_s(name)))


def _pause(name, n_failures, longest):
    shortest = _shortest_pause(name)
    return min(shortest * 2 ** min(n_failures - 1, 20), max(longest, shortest))


# ---- sweeps that stand still --------------------------------------------------------------------------

WATCH = "watch"


def watch() -> None:
    """Tell staff of each sweep that has not reached all that was due for three of its periods (or turns, where these
    are longer), and has not failed either: of that they know. And of a disk that is nearly full, once a day."""
    now, schedule = timezone.now(), settings.CELERY_BEAT_SCHEDULE
    known = {sweep.name: sweep for sweep in Sweep.objects.all()}
    Sweep.objects.bulk_create([Sweep(name=name) for name in schedule if name not in known], ignore_conflicts=True)
    last = known[WATCH].finished_at if WATCH in known else None
    if not last or now - last > TIMES_LATE * timedelta(seconds=period_s(WATCH)):
        Sweep.objects.update(expected_from=now)  # nothing ran: the arena was down, and no sweep is at fault
        return
    space = disk.space()
    if space.is_low:
        waiting = ", ".join(sorted(settings.SWEEPS_THAT_WRITE_FILES))
        message = f"The disk is nearly full: {space}. Until there is more space these sweeps wait: {waiting}."
        tell_staff(WATCH, None, "disk", message, {"free": space.free, "total": space.total})
    for sweep in known.values():
        waits = space.is_low and sweep.name in settings.SWEEPS_THAT_WRITE_FILES
        if sweep.name in schedule and not sweep.n_failures and not waits and _is_late(sweep, now):
            _alarm_of_standstill(sweep, schedule[sweep.name]["options"]["queue"])


def _is_late(sweep, now):
    since = max(at for at in (sweep.created_at, sweep.expected_from, sweep.finished_at) if at)
    return now - since > TIMES_LATE * timedelta(seconds=max(period_s(sweep.name), turn_s(sweep.name)))


def _alarm_of_standstill(sweep, queue):
    times = sweep.begun_at, sweep.finished_at
    begun, finished = (at.isoformat(timespec="seconds") if at else "never" for at in times)
    message = (
        f"The sweep {sweep.name} does not get through: last begun {begun}, last finished {finished}. Does a worker"
        f" take the queue {queue}, and is it overloaded?"
    )
    facts = {"begun_at": begun, "finished_at": finished, "queue": queue, "position": sweep.position}
    tell_staff(sweep.name, None, f"{sweep.name} stands still", message, facts)


def tell_staff(name: str, study: int | None, screen: str, message: str, facts: dict[str, Any]) -> None:
    """Raise an alarm of the sweep `name` about a study (primary key), or about all."""
    try:
        import_string(settings.SWEEP_ALARM)(study, screen, message, {"sweep": name, **facts})
    except Exception:  # the failure is noted all the same, and the sweep goes on
        logger.exception("no alarm could be raised: %s", message)
