"""How sweeps take turns: nobody starves, nothing is forgotten by a restart, and staff hear of what stands still."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from annotations.models import Alarm
from arena import sweeps
from arena.locks import Lock, held_over_transactions
from arena.models import Study, Sweep, SweepFailure

NAME = "boards"  # any of the schedule


@pytest.fixture
def studies(db):
    return [Study.objects.create(slug=f"study-{n}", name="Study").pk for n in range(5)]


@pytest.fixture
def takes(settings, monkeypatch):
    """takes(7): seven seconds pass; a turn has ten."""
    clock = [0.0]
    settings.SWEEP_TURN_S = {"default": 10}
    monkeypatch.setattr(sweeps, "monotonic", lambda: clock[0])

    def move(seconds):
        clock[0] += seconds

    return move


def sweep(due, work, each_s=60):
    sweeps.over_studies(NAME, lambda: due, work, each_s=each_s)
    return Sweep.objects.get(name=NAME)


def test_a_turn_whose_time_is_over_leaves_the_rest_to_the_next_which_goes_on_behind(studies, takes):
    done = []

    def slow(study):
        done.append(study.pk)
        takes(7)

    row = sweep(studies, slow)
    assert done == studies[:2] and row.finished_at is None and row.position == studies[1]
    sweep(studies, slow)  # the first two are due again, and have to wait
    assert done == studies[:4]
    row = sweep(studies, slow)
    assert done == studies and row.finished_at and row.position is None
    sweep(studies, slow)
    assert done == [*studies, *studies[:2]], "and round again"


def test_one_row_is_done_in_every_turn_however_long_it_takes(studies, takes):
    done = []

    def very_slow(study):
        done.append(study.pk)
        takes(100)

    for _ in studies:
        sweep(studies, very_slow)
    assert done == studies


def test_a_row_that_takes_too_long_is_given_up_and_the_others_have_their_turn(studies):
    done = []

    def hangs_once(study):
        if study.pk == studies[0]:
            time.sleep(30)
        done.append(study.pk)

    began = time.monotonic()
    sweep(studies, hangs_once, each_s=0.2)
    assert time.monotonic() - began < 10
    assert done == studies[1:]
    assert "TookTooLong" in SweepFailure.objects.get(row=studies[0]).error


def test_a_row_that_kills_its_worker_is_not_the_first_that_the_next_worker_tries(studies):
    done = []

    def killed(study):
        if study.pk == studies[1]:
            raise KeyboardInterrupt  # as good as kill -9: nothing is written any more
        done.append(study.pk)

    with pytest.raises(KeyboardInterrupt):
        sweep(studies, killed)
    sweep(studies, killed)
    assert done == [studies[0], *studies[2:]]
    failure = SweepFailure.objects.get()
    assert (failure.row, failure.n_failures, failure.error) == (studies[1], 1, sweeps.KILLED)
    assert not Alarm.objects.exists(), "the first time it may have been an upgrade"
    SweepFailure.objects.update(next_try_at=timezone.now())
    with pytest.raises(KeyboardInterrupt):
        sweep(studies, killed)
    sweep(studies, killed)
    assert Alarm.objects.get().study_id == studies[1]


@pytest.mark.django_db(transaction=True)
def test_two_workers_are_never_at_one_sweep(studies):
    Sweep.objects.get_or_create(name=NAME)
    is_held, may_end = threading.Event(), threading.Event()

    def other_worker():
        with held_over_transactions(Lock.SWEEP, Sweep.objects.get(name=NAME)):
            is_held.set()
            may_end.wait(30)
        connection.close()

    thread = threading.Thread(target=other_worker)
    thread.start()
    is_held.wait(30)
    done = []
    sweep(studies, done.append)
    assert done == []
    may_end.set()
    thread.join()
    sweep(studies, done.append)
    assert len(done) == 5


def test_the_pause_doubles_up_to_an_hour(studies, time_passes):
    def fails(study):
        raise ValueError("always")

    pauses = []
    for _ in range(12):
        sweep(studies[:1], fails)
        failure = SweepFailure.objects.get()
        pauses.append(round((failure.next_try_at - failure.failed_at).total_seconds()))
        time_passes(pauses[-1] + 1)
    assert pauses[:4] == [10, 20, 40, 80] and pauses[-1] == 3600
    assert Alarm.objects.count() == 1


def test_an_alarm_that_cannot_be_raised_does_not_stop_the_sweep(studies, settings):
    settings.SWEEP_ALARM = "annotations.alarms.no_such_function"
    done = []

    def fails_first(study):
        if study.pk == studies[0]:
            raise ValueError("first")
        done.append(study.pk)

    sweep(studies, fails_first)
    assert done == studies[1:] and SweepFailure.objects.count() == 1


# ---- sweeps that stand still ----


def watch_all(time_passes, minutes, *names):
    """The watch runs every 30 s, and so do the named sweeps."""
    for _ in range(2 * minutes):
        time_passes(30)
        for name in names:
            sweeps.once(name, lambda: None)
        sweeps.once("watch", sweeps.watch)


def test_staff_hear_of_a_sweep_that_has_not_finished_for_three_periods(db, time_passes, settings):
    hourly = [name for name, entry in settings.CELERY_BEAT_SCHEDULE.items() if entry["schedule"] >= 600]
    others = [name for name in settings.CELERY_BEAT_SCHEDULE if name not in ("ledger", "watch", *hourly)]
    watch_all(time_passes, 3, *others, "ledger")
    assert not Alarm.objects.exists()
    watch_all(time_passes, 5, *others)
    alarm = Alarm.objects.get()
    assert alarm.screen == "ledger stands still" and "urgent" in alarm.message and alarm.study is None


def test_an_arena_that_was_down_blames_no_sweep(db, time_passes):
    watch_all(time_passes, 1, "ledger", "boards")
    time_passes(8 * 3600)
    sweeps.once("watch", sweeps.watch)
    assert not Alarm.objects.exists()


def test_staff_see_sweeps_and_their_failures_and_can_have_them_tried_at_once(studies, admin_client):
    def fails(study):
        raise ValueError("a reason to read")

    row = sweep(studies[:1], fails)
    Sweep.objects.filter(pk=row.pk).update(next_try_at=timezone.now() + timedelta(hours=1))
    failure = SweepFailure.objects.get()
    page = admin_client.get(f"/admin/arena/sweepfailure/{failure.pk}/change/").content.decode()
    assert "a reason to read" in page and "Traceback" in page
    for model, pk in (("sweep", row.pk), ("sweepfailure", failure.pk)):
        chosen = {"action": "try_now", "_selected_action": [pk]}
        assert admin_client.post(f"/admin/arena/{model}/", chosen).status_code == 302
    failure.refresh_from_db()
    assert failure.next_try_at <= timezone.now() and Sweep.objects.get(pk=row.pk).next_try_at is None
