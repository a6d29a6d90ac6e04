"""Files through workers that die, machines in trouble, and away again: nothing of them stays."""

import os
import sys
from datetime import timedelta

import pytest
import torch
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from scoring import tasks
from scoring.file_scoring import jobs as score_jobs
from scoring.jury import hearing
from scoring.models import RewardModel, ScoreItem, ScoreJob
from scoring.reward.encoders.spectral import SpectralEncoder
from tests.casts.leases import lasts, renew_often
from tests.casts.score import Researcher, make_model, sound, uploads


def test_what_a_killed_worker_had_claimed_is_scored_by_the_next(model, rosa, no_worker, time_passes, tmp_path):
    url = rosa.send("/api/score/", sound(tmp_path)).json()["url"]
    score_jobs.claim()
    assert score_jobs.work_off() == 0
    time_passes(31)
    assert score_jobs.work_off() == 1
    assert rosa.get(url).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_takes_long_keeps_its_claim(no_worker, monkeypatch, time_passes, tmp_path):
    make_model()
    Researcher().send("/api/score/", sound(tmp_path))
    renew_often(monkeypatch, score_jobs)
    really, meanwhile = hearing.rewards_of_files, []

    def slow(scorer, files):
        claim_lasts = lasts(score_jobs.LEASE, lambda: ScoreJob.objects.get().claimed_until, time_passes)
        meanwhile.append((claim_lasts, score_jobs.are_waiting()))
        return really(scorer, files)

    monkeypatch.setattr(hearing, "rewards_of_files", slow)
    assert score_jobs.work_off() == 1
    assert meanwhile == [(True, False)]


def test_a_file_that_ends_its_worker_every_time_is_given_up_and_the_others_are_not(
    model, rosa, no_worker, time_passes, monkeypatch, tmp_path
):
    files = [sound(tmp_path, f"{n}.wav", seed=n) for n in range(3)]
    url = rosa.send("/api/best-of-n/", *files).json()["url"]
    killer = ScoreItem.objects.get(position=1).file.name
    really = hearing.rewards_of_files

    class WorkerDies(BaseException):
        pass

    def deadly(scorer, files):
        files = list(files)
        if any(str(path).endswith(killer) for path, _ in files):
            raise WorkerDies
        return really(scorer, files)

    monkeypatch.setattr(hearing, "rewards_of_files", deadly)
    for _ in range(12):
        try:
            score_jobs.work_off()
        except WorkerDies:
            time_passes(31)
    found = {file["filename"]: file for file in rosa.get(url).json()["files"]}
    assert found["1.wav"]["error"] == score_jobs.GAVE_UP
    assert found["0.wav"]["reward"] is not None
    assert found["2.wav"]["reward"] is not None


def test_the_machines_fault_is_tried_again_and_told_in_the_end(
    model, rosa, no_worker, time_passes, monkeypatch, tmp_path
):
    url = rosa.send("/api/score/", sound(tmp_path)).json()["url"]

    def full_disk(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(hearing.audio, "decode_once", full_disk)
    for _ in range(2):
        assert score_jobs.work_off() == 0
        assert score_jobs.work_off() == 0, "not before a pause"
        time_passes(31)
    assert score_jobs.work_off() == 1
    answer = rosa.get(url)
    assert answer.status_code == 422
    assert "No space left" in answer.json()["detail"]


def test_a_device_that_fails_ends_the_worker_and_the_next_one_scores(
    model, rosa, no_worker, time_passes, monkeypatch, tmp_path
):
    url = rosa.send("/api/best-of-n/", sound(tmp_path), sound(tmp_path, "b.wav", seed=1)).json()["url"]
    with monkeypatch.context() as broken, pytest.raises(SystemExit):
        failure = torch.AcceleratorError("CUDA error")
        broken.setattr(SpectralEncoder, "embed", lambda *_: (_ for _ in ()).throw(failure))
        broken.setattr(tasks.os, "_exit", sys.exit)
        tasks.work_off_score_jobs()
    time_passes(31)
    assert score_jobs.work_off() == 2
    assert all(file["error"] is None for file in rosa.get(url).json()["files"])


def test_a_model_that_cannot_be_loaded_says_so_in_the_end(model, rosa, no_worker, time_passes, tmp_path):
    default_storage.delete(model.weights.name)
    url = rosa.send("/api/best-of-n/", sound(tmp_path), sound(tmp_path, "b.wav")).json()["url"]
    for _ in range(3):
        score_jobs.work_off()
        time_passes(31)
    answer = rosa.get(url)
    assert answer.status_code == 422
    assert "jury" in answer.json()["files"][0]["error"]
    assert uploads() == []


def test_all_files_of_a_job_are_scored_by_the_model_that_began(model, rosa, no_worker, monkeypatch, tmp_path):
    monkeypatch.setattr(score_jobs, "BATCH", 1)
    url = rosa.send("/api/best-of-n/", sound(tmp_path), sound(tmp_path, "b.wav", seed=1)).json()["url"]
    score_jobs.score_some(score_jobs.claim())
    make_model("newer", seed=5)
    score_jobs.work_off()
    assert rosa.get(url).json()["reward_model"] == "jury"
    assert RewardModel.live().name == "newer"


# ---- away ----


def test_jobs_are_forgotten_a_day_after_they_were_scored(model, rosa, worker, time_passes, tmp_path):
    url = f"/api/score/{rosa.send('/api/score/', sound(tmp_path)).json()['id']}/"
    time_passes(23 * 3600)
    tasks.erase_scored_files()
    assert rosa.get(url).status_code == 200
    time_passes(2 * 3600)
    tasks.erase_scored_files()
    assert rosa.get(url).status_code == 404
    assert not ScoreItem.objects.exists()


def test_what_waits_is_never_erased(model, rosa, no_worker, time_passes, tmp_path):
    url = rosa.send("/api/score/", sound(tmp_path)).json()["url"]
    time_passes(7 * 24 * 3600)
    tasks.erase_scored_files()
    score_jobs.work_off()
    assert rosa.get(url).status_code == 200


def test_files_whose_request_or_worker_died_are_erased_too(model, rosa, no_worker, tmp_path):
    rosa.send("/api/score/", sound(tmp_path))
    ScoreItem.objects.update(reward=1.0)  # a worker that died before it erased the file
    orphan = default_storage.save("uploads/orphan.wav", ContentFile(b"RIFF"))
    fresh = default_storage.save("uploads/fresh.wav", ContentFile(b"RIFF"))
    long_ago = (timezone.now() - timedelta(days=2)).timestamp()
    os.utime(default_storage.path(orphan), (long_ago, long_ago))
    score_jobs.erase()
    assert uploads() == [fresh.removeprefix("uploads/")]
