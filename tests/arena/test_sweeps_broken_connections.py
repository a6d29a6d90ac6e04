"""Sweeps past rows that hang in the database, break its connection, or vanish; and what is remembered of them."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from annotations.models import Alarm
from arena import sweeps
from arena.models import Study, Sweep, SweepFailure

NAME = "boards"  # any of the schedule


@pytest.fixture
def studies(db):
    return [Study.objects.create(slug=f"study-{n}", name="Study").pk for n in range(4)]


def sweep(due, work, each_s=60):
    sweeps.over_studies(NAME, lambda: due, work, each_s=each_s)
    return Sweep.objects.get(name=NAME)


def execute(sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def sleeps(study):
    execute("SELECT pg_sleep(60)")


def sleeps_in_a_transaction(study):
    with transaction.atomic():
        Study.objects.filter(pk=study.pk).update(name="half done")
        sleeps(study)


def loses_its_connection(study):
    execute("SELECT pg_terminate_backend(pg_backend_pid())")


def fails_at_commit(study):
    execute("INSERT INTO arena_study_systems (study_id, system_id) VALUES (%s, 999999)", study.pk)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fails", [sleeps, sleeps_in_a_transaction, loses_its_connection, fails_at_commit])
def test_the_others_have_their_turn_in_the_same_turn_and_alone(studies, fails):
    done, alone = [], []

    def work(study):
        if study.pk == studies[1]:
            fails(study)
        done.append(study.pk)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
            alone.append(cursor.fetchone()[0])

    row = sweep(studies, work, each_s=1)
    assert done == [studies[0], *studies[2:]] and alone == [1, 1, 1]
    assert row.finished_at and not row.n_failures
    assert SweepFailure.objects.get().row == studies[1]
    assert not Study.objects.filter(name="half done").exists()
    if fails in (sleeps, sleeps_in_a_transaction):
        assert "TookTooLong: It was not done within 1 s." in SweepFailure.objects.get().error


@pytest.mark.django_db(transaction=True)
def test_a_study_that_is_deleted_while_it_fails_stops_nothing_and_is_not_remembered(studies):
    done = []

    def work(study):
        if study.pk == studies[1]:
            Study.objects.filter(pk=study.pk).delete()
            raise ValueError("as planned")
        done.append(study.pk)

    row = sweep(studies, work)
    assert done == [studies[0], *studies[2:]] and not row.n_failures
    assert not SweepFailure.objects.exists() and not Alarm.objects.exists()


def fails(study):
    raise ValueError("as planned")


def test_a_failure_of_a_row_that_is_no_longer_due_is_forgotten(studies):
    sweep(studies, fails)
    sweep(studies[:2], fails)
    assert {failure.row for failure in SweepFailure.objects.all()} == {*studies[:2]}
    sweep([], fails)
    assert not SweepFailure.objects.exists()


def test_a_clock_that_was_set_back_makes_no_pause_longer(studies):
    sweep(studies, fails)
    SweepFailure.objects.update(next_try_at=timezone.now() + timedelta(days=3650))
    Sweep.objects.update(next_try_at=timezone.now() + timedelta(days=3650))
    done = []
    sweep(studies, lambda study: done.append(study.pk))
    assert done == studies
