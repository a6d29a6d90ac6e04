"""A gpu worker without memory, disk or device: no clip is blamed for it."""

import pytest
import torch
from django.utils import timezone

from arena import audio
from scoring import tasks
from scoring.jury.worker import score_pending
from scoring.models import Embedding, Reward
from scoring.reward.encoders.mert import Mert330m
from scoring.reward.encoders.spectral import SpectralEncoder
from scoring.reward.head import RankNetHead
from tests.casts.jury import THREE_BLOCKS, failed, scored_alone, worker_ends
from tests.casts.reward_models import make_live, make_model


@pytest.mark.parametrize(
    "trouble", [MemoryError("no memory"), OSError(28, "No space left"), audio.AudioUnavailable("x")]
)
def test_trouble_while_reading_a_clip_is_no_fault_of_the_clip(model, clips, monkeypatch, caplog, trouble):
    decode = audio.decode_once

    def sometimes(path):
        if path.name == "1.wav":
            raise trouble
        return decode(path)

    monkeypatch.setattr(audio, "decode_once", sometimes)
    assert score_pending() == 3
    assert not failed()
    assert [r.getMessage() for r in caplog.records].count(
        f"scoring stops until a later sweep: {type(trouble).__name__}: {trouble}"
    ) == 1
    monkeypatch.undo()
    assert score_pending() == 0  # its claim has not run out yet
    Embedding.objects.update(claimed_until=timezone.now())
    assert score_pending() == 1


@pytest.mark.parametrize("trouble", [torch.OutOfMemoryError("CUDA out of memory"), OSError("disk")])
def test_trouble_with_the_device_marks_no_clip_and_other_encoders_go_on(networks, clips, monkeypatch, trouble):
    make_live(make_model("three blocks", encoder_keys=THREE_BLOCKS))
    monkeypatch.setattr(Mert330m, "embed", lambda *_: raised(trouble))
    assert score_pending() == 0
    assert not failed()
    done = Embedding.objects.filter(vector__isnull=False).values_list("encoder", flat=True)
    assert sorted(done) == ["clap-music"] * 4 + ["clap-music-text"] * 4


def test_a_device_that_fails_ends_the_worker_once_the_other_encoders_are_done(networks, clips, monkeypatch):
    """After such an error CUDA refuses all further work to the process; the supervisor starts another."""
    make_live(make_model("three blocks", encoder_keys=THREE_BLOCKS))
    monkeypatch.setattr(Mert330m, "embed", lambda *_: raised(torch.AcceleratorError("CUDA error")))
    ended = worker_ends(monkeypatch)
    tasks.score_clips()
    assert ended == [1]
    assert not failed()
    done = Embedding.objects.filter(vector__isnull=False).values_list("encoder", flat=True)
    assert sorted(done) == ["clap-music"] * 4 + ["clap-music-text"] * 4


def test_a_device_that_fails_ends_the_worker_whatever_else_is_wrong(model, clips, monkeypatch):
    decode = audio.decode_once
    full = OSError(28, "No space left")
    monkeypatch.setattr(audio, "decode_once", lambda path: raised(full) if path.name == "1.wav" else decode(path))
    monkeypatch.setattr(SpectralEncoder, "embed", lambda *_: raised(torch.AcceleratorError("CUDA error")))
    ended = worker_ends(monkeypatch)
    tasks.score_clips()
    assert ended == [1]
    assert not failed()


def raised(trouble):
    raise trouble


@pytest.mark.parametrize(
    ("trouble", "ends"), [(torch.AcceleratorError("CUDA error"), [1]), (torch.OutOfMemoryError("no memory"), [])]
)
def test_the_head_is_on_the_device_too(model, monkeypatch, caplog, trouble, ends):
    ended = worker_ends(monkeypatch)
    monkeypatch.setattr(RankNetHead, "forward", lambda *_: raised(trouble))
    tasks.score_clips()
    assert ended == ends
    assert [r.getMessage() for r in caplog.records if "scoring stops until a later sweep" in r.getMessage()]
    assert not Reward.objects.exists() and not failed()


def test_memory_that_runs_out_halves_the_batch_and_goes_on(networks, clips, monkeypatch):
    """The device holds one window at a time; that it ran out is known only by its exception."""
    model = make_live(make_model("three blocks", encoder_keys=THREE_BLOCKS))
    alone = {clip.pk: scored_alone(model, clip) for clip in clips}
    network = Mert330m().network()
    forward = type(network).forward

    def small(self, windows):
        if len(windows) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, windows)

    monkeypatch.setattr(type(network), "forward", small)
    assert score_pending() == 4
    assert dict(model.rewards.values_list("clip_id", "value")) == pytest.approx(alone, abs=1e-4)
