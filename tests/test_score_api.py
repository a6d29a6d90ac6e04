"""The jury as a service: a file comes in over HTTP, a worker scores it, nothing of it stays."""

import os
import re
import struct
import sys
import time
import uuid
from datetime import timedelta

import numpy as np
import pytest
import torch
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from arena.models import Clip
from scoring import embedding, jury, score_files, score_jobs, tasks
from scoring.api import score as score_api
from scoring.models import Reward, RewardModel, ScoreItem, ScoreJob
from scoring.reward.encoders.spectral import SpectralEncoder

from .audio_files import write, write_plain_wav
from .score_cast import Researcher, make_model, silence, sound


@pytest.fixture
def model(db):
    return make_model()


@pytest.fixture
def rosa(db):
    return Researcher()


@pytest.fixture
def worker(monkeypatch):
    """A gpu worker that gets to run while a request waits."""
    monkeypatch.setattr(score_api, "pause", tasks.work_off_score_jobs)


@pytest.fixture
def no_worker(monkeypatch):
    monkeypatch.setattr(score_api, "WAIT_S", 0)


def uploads():
    return default_storage.listdir("uploads")[1] if default_storage.exists("uploads") else []


# ---- one file ----


def test_a_file_is_scored_while_the_request_waits_and_then_erased(model, rosa, worker, tmp_path):
    answer = rosa.send("/api/score/", sound(tmp_path), prompt="a calm song")
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body["filename"] == "song.wav"
    assert body["reward_model"] == "jury"
    assert np.isfinite(body["reward"])
    assert body["position"] == {"percentile": None, "n": 0}
    assert uploads() == []
    assert rosa.get(f"/api/score/{body['id']}/").json() == body


def test_a_file_gets_the_reward_that_it_gets_as_a_clip_of_the_arena(study, model, rosa, worker, tmp_path):
    path = sound(tmp_path)
    clip = Clip.objects.first()
    clip.original.save("originals/song.wav", ContentFile(path.read_bytes()))
    jury.score_pending()
    as_clip = Reward.objects.get(clip=clip, reward_model=model).value
    body = rosa.send("/api/score/", path, prompt=clip.prompt.text).json()
    assert body["reward"] == pytest.approx(as_clip, abs=1e-5)


def test_a_reward_has_its_position_among_the_arenas_clips_and_those_of_a_study(study, model, rosa, worker, tmp_path):
    clips = list(Clip.objects.order_by("pk"))
    reward = rosa.send("/api/score/", sound(tmp_path)).json()["reward"]
    retired = make_model("old", status="retired")
    for clip in clips:
        Reward.objects.create(clip=clip, reward_model=retired, value=reward - 1)
    for number, clip in enumerate(clips[:4]):
        Reward.objects.create(clip=clip, reward_model=model, value=reward + (1 if number == 0 else -1))
    study.systems.set([clips[0].system])
    answer = rosa.send("/api/score/?study=open", sound(tmp_path)).json()
    assert answer["position"] == {"percentile": 75.0, "n": 4}
    in_study = [clip for clip in clips[:4] if clip.system_id == clips[0].system_id]
    below = sum(clip != clips[0] for clip in in_study)
    assert answer["position_in_study"] == {
        "study": "open",
        "percentile": round(100 * below / len(in_study), 2),
        "n": len(in_study),
    }
    assert rosa.send("/api/score/?study=none", sound(tmp_path)).status_code == 404


def test_a_prompt_may_be_empty_or_absent(model, rosa, worker, tmp_path):
    without = rosa.send("/api/score/", sound(tmp_path))
    empty = rosa.send("/api/score/", sound(tmp_path), prompt="")
    assert without.status_code == empty.status_code == 200
    assert without.json()["reward"] == empty.json()["reward"]


# ---- when it takes longer ----


def test_without_a_worker_the_answer_is_where_to_ask_again(model, rosa, no_worker, tmp_path):
    answer = rosa.send("/api/score/?", sound(tmp_path))
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["Location"] == body["url"] == f"/api/score/{body['id']}/"
    assert int(answer.headers["Retry-After"]) >= 1
    assert body["queue_position"] == 1
    assert rosa.get(body["url"]).status_code == 202
    tasks.work_off_score_jobs()
    assert rosa.get(body["url"]).status_code == 200


def test_where_to_ask_again_remembers_the_study(study, model, rosa, no_worker, tmp_path):
    url = rosa.send("/api/score/?study=open", sound(tmp_path)).json()["url"]
    tasks.work_off_score_jobs()
    assert rosa.client.get(url, headers=rosa.headers).json()["position_in_study"]["study"] == "open"


def test_behind_a_long_queue_a_request_does_not_wait(model, rosa, monkeypatch, tmp_path):
    monkeypatch.setattr(score_api, "WAIT_S", 0)
    for _ in range(3):
        rosa.send("/api/score/", sound(tmp_path))
    monkeypatch.setattr(score_api, "WAIT_S", 60)
    started = time.monotonic()
    answer = rosa.send("/api/score/", sound(tmp_path))
    assert time.monotonic() - started < 5
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


def test_what_a_killed_worker_had_claimed_is_scored_by_the_next(model, rosa, no_worker, time_passes, tmp_path):
    url = rosa.send("/api/score/", sound(tmp_path)).json()["url"]
    score_jobs.claim()
    assert score_jobs.work_off() == 0
    time_passes(31)
    assert score_jobs.work_off() == 1
    assert rosa.get(url).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_takes_long_keeps_its_claim(no_worker, monkeypatch, tmp_path):
    make_model()
    Researcher().send("/api/score/", sound(tmp_path))
    monkeypatch.setattr(score_jobs, "LEASE", timedelta(seconds=0.6))
    really, free_meanwhile = score_files.score_files, []

    def slow(files, model):
        time.sleep(1.5)
        free_meanwhile.append(score_jobs.are_waiting())
        return really(files, model)

    monkeypatch.setattr(score_files, "score_files", slow)
    assert score_jobs.work_off() == 1
    assert free_meanwhile == [False]


def test_a_file_that_ends_its_worker_every_time_is_given_up_and_the_others_are_not(
    model, rosa, no_worker, time_passes, monkeypatch, tmp_path
):
    files = [sound(tmp_path, f"{n}.wav", seed=n) for n in range(3)]
    url = rosa.send("/api/best-of-n/", *files).json()["url"]
    killer = ScoreItem.objects.get(position=1).file.name
    really = score_files.score_files

    class WorkerDies(BaseException):
        pass

    def deadly(files, model):
        files = list(files)
        if any(str(path).endswith(killer) for path, _ in files):
            raise WorkerDies
        return really(files, model)

    monkeypatch.setattr(score_files, "score_files", deadly)
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

    monkeypatch.setattr(score_files.audio, "decode_once", full_disk)
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


@pytest.fixture
def six_clips(study, tmp_path):
    for clip in Clip.objects.all():
        clip.original.save(f"originals/{clip.pk}.wav", ContentFile(sound(tmp_path).read_bytes()))


def test_clips_wait_while_a_researcher_does_but_each_sweep_does_a_batch(
    six_clips, model, rosa, no_worker, monkeypatch, tmp_path
):
    monkeypatch.setattr(embedding, "BATCH", 2)
    rosa.send("/api/score/", sound(tmp_path))
    assert jury.score_pending() == 2
    score_jobs.work_off()
    assert jury.score_pending() == 4


def test_files_that_keep_coming_do_not_keep_a_new_live_model_from_its_rewards(
    six_clips, model, rosa, no_worker, monkeypatch, tmp_path
):
    """The messages that ask for clips to be scored have all run out by the time the files are."""
    jury.score_pending()
    newer = make_model("newer", seed=5)
    for _ in range(2):
        rosa.send("/api/score/", sound(tmp_path))
    monkeypatch.setattr(score_jobs.work_off, "__defaults__", (0.01,))  # time for one of them
    tasks.work_off_score_jobs()
    assert score_jobs.are_waiting()
    assert newer.rewards.count() == 6


# ---- who may ask ----


@pytest.mark.parametrize("path", ["/api/score/", "/api/best-of-n/"])
def test_scoring_needs_a_researchers_token(model, client, path):
    assert client.post(path).status_code == 401
    assert Researcher("eve", group=None).send(path).status_code == 403


def test_a_job_is_its_owners_alone(model, rosa, worker, tmp_path):
    url = f"/api/score/{rosa.send('/api/score/', sound(tmp_path)).json()['id']}/"
    assert Researcher("theirs").get(url).status_code == 404
    assert rosa.client.get(url).status_code == 401
    assert rosa.get(f"/api/score/{uuid.uuid4()}/").status_code == 404


# ---- what cannot be scored ----


def not_audio(folder):
    path = folder / "notes.wav"
    path.write_text("These are words. " * 500)
    return path


def empty(folder):
    path = folder / "empty.wav"
    path.touch()
    return path


def without_samples(folder):
    return write_plain_wav(folder / "none.wav", np.zeros((0, 1), np.float32), 48_000)


def not_a_number(folder):
    samples = np.full((96_000, 1), 0.1, np.float32)
    samples[50_000] = np.nan
    return write(folder / "nan.wav", samples, 48_000, "pcm_f32le")


def three_hours(folder):
    path = folder / "long.wav"
    n = 3 * 3600 * 8000
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", n + 36, b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8, b"data", n
    )
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + n)  # 8 bits a sample, all zeros: a hole on the disk
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (not_audio, "not a WAV"),
        (empty, "is empty"),
        (without_samples, "no samples"),
        (silence, "silent"),
        (not_a_number, "not a finite number"),
        (three_hours, "longer than 10 minutes"),
        (lambda folder: sound(folder, seconds=0.5), "at least 1 s"),
    ],
)
def test_a_bad_file_is_refused_with_a_sentence_and_erased(model, rosa, worker, tmp_path, make, reason):
    answer = rosa.send("/api/score/", make(tmp_path))
    assert answer.status_code == 422, answer.content
    assert answer.json()["code"] == "bad_audio"
    assert re.search(reason, answer.json()["detail"]), answer.json()
    assert uploads() == []


def test_a_file_that_is_too_large_is_refused_before_it_is_kept(model, rosa, monkeypatch, tmp_path):
    monkeypatch.setattr(score_api, "MAX_FILE", 100_000)
    answer = rosa.send("/api/score/", sound(tmp_path))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert not ScoreJob.objects.exists()
    assert uploads() == []


def test_a_request_that_says_it_is_too_large_is_refused_unread(model, rosa):
    answer = rosa.client.post(
        "/api/score/", b"", content_type="multipart/form-data; boundary=x",
        headers={**rosa.headers, "Content-Length": "900000000"},
    )  # fmt: skip
    assert answer.status_code == 413
    assert "900 MB" in answer.json()["detail"]


@pytest.mark.parametrize("fields", [{"audio": "words"}, {"prompt": "no audio"}, {"seconds": "3"}, {"prompt": "a\0b"}])
def test_a_request_that_does_not_fit_names_the_field(model, rosa, tmp_path, fields):
    files = {} if "audio" in fields or fields.get("prompt") == "no audio" else {"audio": sound(tmp_path).open("rb")}
    answer = rosa.client.post("/api/score/", {**files, **fields}, headers=rosa.headers)
    assert answer.status_code == 400
    assert set(answer.json()) & {"audio", "seconds", "prompt"}


def test_several_files_are_sent_to_the_other_endpoint(model, rosa, tmp_path):
    answer = rosa.send("/api/score/", sound(tmp_path), sound(tmp_path, "b.wav"))
    assert answer.status_code == 400
    assert "best-of-n" in answer.json()["detail"]


def test_without_a_live_model_the_answer_says_what_to_do(rosa, tmp_path):
    answer = rosa.send("/api/score/", sound(tmp_path))
    assert (answer.status_code, answer.json()["code"]) == (503, "no_live_model")
    assert "train_reward --activate" in answer.json()["detail"]


def test_a_researcher_cannot_fill_the_disk(model, rosa, no_worker, monkeypatch, tmp_path):
    monkeypatch.setattr(score_jobs, "UNFINISHED_EACH", 1)
    assert rosa.send("/api/score/", sound(tmp_path)).status_code == 202
    answer = rosa.send("/api/score/", sound(tmp_path))
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "30"
    assert Researcher("other").send("/api/score/", sound(tmp_path)).status_code == 202


def test_some_threads_are_always_left_for_listeners(model, rosa, no_worker, tmp_path):
    taken = [score_api.SLOTS.acquire(blocking=False) for _ in range(20)]
    try:
        answer = rosa.send("/api/score/", sound(tmp_path))
    finally:
        for _ in range(sum(taken)):
            score_api.SLOTS.release()
    assert sum(taken) < 8
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert rosa.send("/api/score/", sound(tmp_path)).status_code == 202


# ---- best of n ----


def test_files_are_ranked_and_a_bad_one_carries_the_reason(model, rosa, worker, tmp_path):
    files = [sound(tmp_path, "a.wav", seed=1), silence(tmp_path), sound(tmp_path, "b.wav", seed=2)]
    answer = rosa.send("/api/best-of-n/", *files, prompt="a calm song")
    assert answer.status_code == 200, answer.content
    best, second, bad = answer.json()["files"]
    assert (best["rank"], second["rank"], bad["rank"]) == (1, 2, None)
    assert best["reward"] > second["reward"]
    assert {best["filename"], second["filename"]} == {"a.wav", "b.wav"}
    assert (best["margin"], best["probability"]) == (0.0, None)
    assert second["margin"] == pytest.approx(best["reward"] - second["reward"], abs=2e-6)
    assert second["probability"] == pytest.approx(1 / (1 + np.exp(-second["margin"] / 2.0)), abs=1e-5)
    assert second["sigmoid"] == pytest.approx(1 / (1 + np.exp(-second["margin"])), abs=1e-5)
    assert (bad["filename"], bad["index"], bad["reward"]) == ("silent.wav", 1, None)
    assert "silent" in bad["error"]
    assert answer.json()["temperature"] == 2.0
    assert rosa.get(f"/api/score/{answer.json()['id']}/").json() == answer.json()


def test_equal_rewards_share_a_rank(model, rosa, worker, tmp_path):
    files = [sound(tmp_path, f"{name}.wav", seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    ranks = [file["rank"] for file in rosa.send("/api/best-of-n/", *files).json()["files"]]
    assert ranks in ([1, 1, 3], [1, 2, 2])


def test_an_unmeasured_model_ranks_without_a_calibrated_probability(rosa, worker, tmp_path):
    make_model(metrics={})
    answer = rosa.send("/api/best-of-n/", sound(tmp_path), sound(tmp_path, "b.wav", seed=2)).json()
    assert answer["temperature"] is None
    assert answer["files"][1]["probability"] is None
    assert answer["files"][1]["sigmoid"] >= 0.5


def test_if_none_can_be_scored_each_says_why(model, rosa, worker, tmp_path):
    answer = rosa.send("/api/best-of-n/", silence(tmp_path), not_audio(tmp_path))
    assert answer.status_code == 422
    assert [file["filename"] for file in answer.json()["files"]] == ["silent.wav", "notes.wav"]


@pytest.mark.parametrize("n", [1, 65])
def test_best_of_n_takes_2_to_64_files(model, rosa, tmp_path, n):
    one = sound(tmp_path, seconds=0.01)
    assert rosa.send("/api/best-of-n/", *[one] * n).status_code == 400


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
