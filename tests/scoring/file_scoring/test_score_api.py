"""The jury as a service: a file comes in over HTTP, is scored, alone or among others, or refused with a reason."""

import re
import struct
import uuid

import numpy as np
import pytest
from django.core.files.base import ContentFile

from arena.models import Clip
from scoring import tasks
from scoring.api import score as score_api
from scoring.file_scoring import jobs as score_jobs
from scoring.jury.worker import score_pending
from scoring.models import Reward, ScoreJob
from tests.casts.audio_files import write, write_plain_wav
from tests.casts.score import Researcher, make_model, not_audio, silence, sound, uploads

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
    score_pending()
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
