"""Whose turn it is: researchers take turns, and the clips of the arena theirs."""

import time

import pytest
from django.core.files.base import ContentFile

from arena.models import Clip
from scoring import tasks
from scoring.api import score as score_api
from scoring.file_scoring import jobs as score_jobs
from scoring.jury import embedding
from scoring.jury.worker import score_pending
from scoring.models import ScoreJob
from tests.casts.score import Researcher, make_model, sound


def test_behind_a_long_queue_a_request_does_not_wait(model, rosa, monkeypatch, tmp_path):
    monkeypatch.setattr(score_api, "WAIT_S", 0)
    for _ in range(3):
        rosa.send("/api/score/", sound(tmp_path))
    monkeypatch.setattr(score_api, "WAIT_S", 60)
    started = time.monotonic()
    answer = rosa.send("/api/score/", sound(tmp_path))
    assert time.monotonic() - started < 30
    assert (answer.status_code, answer.json()["queue_position"]) == (202, 4)
    assert int(answer.headers["Retry-After"]) == 4


def test_jobs_of_one_researcher_are_scored_in_the_order_they_came(model, rosa, no_worker, tmp_path):
    first, second = (rosa.send("/api/score/", sound(tmp_path)).json()["id"] for _ in range(2))
    assert str(score_jobs.claim().pk) == first
    assert str(score_jobs.claim().pk) == second
    assert score_jobs.claim() is None


def test_researchers_take_turns_however_many_jobs_one_of_them_sends(model, rosa, no_worker, tmp_path):
    paul, zoe = Researcher("paul"), Researcher("zoe")
    for owner in (rosa, rosa, rosa, paul, paul, zoe):
        owner.send("/api/score/", sound(tmp_path))
    served = []
    while job := score_jobs.claim():
        served.append(job.user.username)
        score_jobs.score_some(job)
    assert served == ["rosa", "paul", "zoe", "rosa", "paul", "rosa"]


def test_between_two_batches_of_a_long_job_others_have_their_turn(model, rosa, no_worker, monkeypatch, tmp_path):
    monkeypatch.setattr(score_jobs, "BATCH", 1)
    rosa.send("/api/best-of-n/", sound(tmp_path), sound(tmp_path, "b.wav", seed=1))
    Researcher("paul").send("/api/score/", sound(tmp_path))
    served = []
    while job := score_jobs.claim():
        served.append(job.user.username)
        assert score_jobs.score_some(job) == 1
    assert served == ["rosa", "paul", "rosa"]


def test_the_place_in_the_queue_counts_the_turns_of_others_not_all_their_jobs(model, rosa, no_worker, tmp_path):
    for _ in range(5):
        rosa.send("/api/score/", sound(tmp_path))
    paul = Researcher("paul")
    places = [paul.send("/api/score/", sound(tmp_path)).json()["queue_position"] for _ in range(2)]
    assert places == [2, 4]
    assert rosa.send("/api/score/", sound(tmp_path)).json()["queue_position"] == 8  # behind all of theirs


def test_the_place_in_the_queue_is_that_of_the_turn_that_ends_the_job_whatever_files_a_job_has(
    model, rosa, no_worker, monkeypatch, tmp_path
):
    monkeypatch.setattr(score_jobs, "BATCH", 2)
    many = [sound(tmp_path, f"{n}.wav", seed=n, seconds=1.0) for n in range(5)]
    paul, zoe = Researcher("paul"), Researcher("zoe")
    rosa.send("/api/best-of-n/", *many)
    paul.send("/api/score/", many[0])
    zoe.send("/api/best-of-n/", *many[:4])
    last = rosa.send("/api/best-of-n/", *many[:3]).json()
    assert last["queue_position"] == 3 + 2 + 1 + 2  # her two jobs, paul's, zoe's
    turns = 0
    while ScoreJob.objects.get(pk=last["id"]).done_at is None:
        assert score_jobs.ahead_of(ScoreJob.objects.get(pk=last["id"])) == 7 - turns
        score_jobs.score_some(score_jobs.claim())
        turns += 1
    assert turns == last["queue_position"]


@pytest.fixture
def six_clips(study, tmp_path):
    for clip in Clip.objects.all():
        clip.original.save(f"originals/{clip.pk}.wav", ContentFile(sound(tmp_path).read_bytes()))


def test_clips_wait_while_a_researcher_does_but_each_sweep_does_a_batch(
    six_clips, model, rosa, no_worker, monkeypatch, tmp_path
):
    monkeypatch.setattr(embedding, "BATCH", 2)
    rosa.send("/api/score/", sound(tmp_path))
    assert score_pending(others_wait=score_jobs.are_waiting) == 2
    score_jobs.work_off()
    assert score_pending() == 4


def test_files_that_keep_coming_do_not_keep_a_new_live_model_from_its_rewards(
    six_clips, model, rosa, no_worker, monkeypatch, tmp_path
):
    """The messages that ask for clips to be scored have all run out by the time the files are."""
    score_pending()
    newer = make_model("newer", seed=5)
    for _ in range(2):
        rosa.send("/api/score/", sound(tmp_path))
    monkeypatch.setattr(score_jobs.work_off, "__defaults__", (0.01,))  # time for one of them
    tasks.work_off_score_jobs()
    assert score_jobs.are_waiting()
    assert newer.rewards.count() == 6
