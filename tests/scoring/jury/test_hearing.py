"""The one path from a file to a reward: which files get one, why others get none, and whose fault that is."""

import os

import numpy as np
import pytest
import torch

from arena import audio
from scoring.jury import hearing, scorers
from scoring.jury.hearing import NoReward, Sound, hear, rewards, rewards_of_files, sha256_of, unless_machines_fault
from scoring.reward.faults import DeviceFailed
from tests.casts.audio_files import music, write
from tests.casts.score import make_model, silence, sound

RATE = 48_000


@pytest.fixture
def scorer(db):
    return scorers.load_scorer(make_model().pk)


class FailingScorer:
    """Rewards a sound by its length in seconds, and fails on every batch with one of these lengths."""

    def __init__(self, failures):
        self.failures = failures

    def score(self, waveforms, sample_rates, prompts):
        lengths = [len(waveform) / rate for waveform, rate in zip(waveforms, sample_rates, strict=True)]
        for length in lengths:
            if length in self.failures:
                raise self.failures[length]
        return np.array(lengths, dtype="f4")


def sounds_of(*seconds):
    return [Sound(np.ones(round(RATE * length), "f4"), RATE) for length in seconds]


# ---- which files are heard -----------------------------------------------------------------------------


def test_a_good_file_is_heard_at_its_own_rate(tmp_path):
    heard = hear(sound(tmp_path, seconds=2.0))
    assert (heard.sample_rate, heard.seconds) == (48_000, 2.0)
    assert heard.waveform.ndim == 1


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder / "none.wav", "There is no such file."),
        (lambda folder: folder / "none" / "a.wav", "There is no such file."),
        (lambda folder: sound(folder) / "a.wav", "There is no such file."),
        (lambda folder: folder, "This is not a regular file."),
        (silence, "The audio is silent: no sample is louder than -60 dBFS."),
        (lambda folder: sound(folder, seconds=0.4), "The audio lasts 0.40 s; at least 1 s is needed."),
    ],
)
def test_a_bad_file_is_to_blame_itself_and_one_sentence_says_why(tmp_path, make, reason):
    assert hear(make(tmp_path)) == NoReward(reason, machines_fault=None)


def test_ingest_and_scoring_refuse_the_same_files_in_the_same_words(tmp_path):
    click = np.zeros((2 * RATE, 2), "f4")
    click[50_000] = 0.004
    for samples in (music(2) * 32768, music(0.5), click, music(2)[:, :1] * [1, -1], music(2)[:, :1] * [1, -0.9]):
        path = write(tmp_path / "a.wav", samples, RATE, "pcm_f32le")
        with pytest.raises(audio.AudioRejected) as refusal:
            audio.inspect(path)
        assert hear(path) == NoReward(refusal.value.reason, machines_fault=None)


def test_wide_stereo_is_heard(tmp_path):
    apart = np.stack([music(2, seed=1)[:, 0], -music(2, seed=2)[:, 0]], axis=1)
    path = write(tmp_path / "a.wav", apart, RATE, "pcm_f32le")
    assert audio.inspect(path).duration_ms == 2000
    assert isinstance(hear(path), Sound)


@pytest.mark.parametrize(
    "fault", [audio.AudioUnavailable("The disk is full."), MemoryError("no memory"), OSError(5, "x")]
)
def test_a_machine_that_cannot_decode_is_not_the_files_fault(monkeypatch, fault):
    def broken(path):
        raise fault

    monkeypatch.setattr(audio, "decode_once", broken)
    outcome = hear("a.wav")
    assert outcome.machines_fault is fault
    with pytest.raises(type(fault)):
        unless_machines_fault(outcome)


def test_a_file_is_hashed_or_refused_in_the_same_words(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a").startswith("ba7816bf")
    assert sha256_of(tmp_path / "b") == NoReward("There is no such file.")
    assert sha256_of(tmp_path) == NoReward("This is not a regular file.")
    os.mkfifo(tmp_path / "pipe")
    assert sha256_of(tmp_path / "pipe") == NoReward("This is not a regular file."), "a pipe is not opened"


# ---- rewards -------------------------------------------------------------------------------------------


def test_outcomes_come_in_the_order_of_the_files_whatever_becomes_of_them(scorer, tmp_path, monkeypatch):
    monkeypatch.setattr(hearing, "BATCH", 2)
    paths = [sound(tmp_path, f"{n}.wav", seed=n) for n in range(5)]
    paths[2] = silence(tmp_path)
    outcomes = list(rewards_of_files(scorer, [(path, "") for path in paths]))
    assert [isinstance(outcome, float) for outcome in outcomes] == [True, True, False, True, True]
    alone = next(rewards_of_files(scorer, [(paths[3], "")]))
    assert outcomes[3] == pytest.approx(alone, abs=1e-4)


def test_a_sound_that_fails_does_not_take_the_others_of_its_batch_along():
    outcomes = rewards(FailingScorer({2.0: RuntimeError("too odd")}), sounds_of(1.0, 2.0, 3.0), ["", "", ""])
    assert outcomes == [1.0, NoReward("RuntimeError: too odd"), 3.0]


def test_a_batch_that_is_too_large_for_the_device_is_scored_one_by_one_and_only_the_culprit_is_left():
    outcomes = rewards(FailingScorer({2.0: torch.OutOfMemoryError("of 80 GiB")}), sounds_of(1.0, 2.0), ["", ""])
    assert outcomes[0] == 1.0
    assert outcomes[1].reason == "MemoryError: the device ran out of memory: of 80 GiB"
    assert isinstance(outcomes[1].machines_fault, MemoryError)


def test_a_device_that_fails_is_raised_since_no_other_sound_could_be_scored():
    with pytest.raises(DeviceFailed):
        rewards(FailingScorer({2.0: torch.AcceleratorError("CUDA error")}), sounds_of(1.0, 2.0), ["", ""])


def test_a_reward_that_is_not_finite_is_none():
    class Broken:
        def score(self, waveforms, sample_rates, prompts):
            return np.array([0.5, np.nan, np.inf], dtype="f4")

    not_finite = NoReward("The reward is not a finite number.")
    assert rewards(Broken(), sounds_of(1.0, 1.0, 1.0), ["", "", ""]) == [0.5, not_finite, not_finite]
