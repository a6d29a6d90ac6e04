"""Far more new raters than a study ever has switch its proof of work on, for a while."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotations.bursts import ask_for_proof, due_studies
from annotations.models import Alarm
from annotations.tasks import watch_bursts
from arena.models import Participation, Rater, Study
from tests.casts.listener import Listener


def come(study, n, ago=timedelta(minutes=1)):
    now = timezone.now()
    raters = Rater.objects.bulk_create([Rater() for _ in range(n)])
    Participation.objects.bulk_create(
        [Participation(rater=rater, study=study, started_at=now - ago) for rater in raters]
    )


def status_of_joining():
    return Listener().post("/api/raters/", {"consent_version": 1}).status_code


def test_a_burst_switches_it_on_for_an_hour_and_tells_staff(study, time_passes):
    come(study, 60)
    watch_bursts()
    assert status_of_joining() == 403
    alarm = Alarm.objects.get()
    assert alarm.study == study and "60 new raters within ten minutes" in alarm.message
    assert alarm.detail["raters"] == 60 and alarm.detail["busiest_before"] == 0
    time_passes(3700)
    watch_bursts()
    assert status_of_joining() == 201


def test_as_long_as_it_goes_on_it_stays_on_and_is_told_once(study, time_passes):
    come(study, 60)
    watch_bursts()
    time_passes(1800)
    come(study, 300)
    watch_bursts()
    time_passes(3000)
    assert status_of_joining() == 403
    assert Alarm.objects.count() == 1


def test_what_a_busy_study_is_used_to_is_no_burst(study):
    come(study, 30, ago=timedelta(days=3))
    come(study, 119)
    assert due_studies() == [study.pk]
    assert not ask_for_proof(study)
    come(study, 1)
    assert ask_for_proof(study)


def test_few_new_raters_are_no_burst(study):
    come(study, 59)
    come(study, 500, ago=timedelta(minutes=11))
    assert due_studies() == []


@pytest.mark.parametrize("forced", [{"proof_of_work": "off"}, {"is_open": False}])
def test_staff_can_keep_it_off(study, forced):
    Study.objects.update(**forced)
    come(study, 100)
    assert due_studies() == []
    assert status_of_joining() == 201


def test_simulated_raters_are_no_burst(db):
    simulated = Study.objects.create(slug="made-up", name="Made up", is_simulated=True)
    come(simulated, 100)
    assert due_studies() == []


def test_an_attack_is_not_what_the_study_is_used_to_afterwards(study, time_passes):
    come(study, 200)
    watch_bursts()
    for hours in (2, 30, 30):
        time_passes(hours * 3600)
        assert status_of_joining() == 201
        come(study, 200)
        watch_bursts()
        assert status_of_joining() == 403
    assert Alarm.objects.count() == 3
