"""Clips that end their workers: embedded alone, and given up after three."""

import pytest
import torch
from django.urls import reverse
from django.utils import timezone

from scoring import tasks
from scoring.jury import claims
from scoring.jury.worker import score_pending
from scoring.models import Embedding, Reward
from scoring.reward.encoders.spectral import SpectralEncoder
from tests.casts.jury import failed, make_clip, make_clips, music, start_worker, take, worker_ends, written
from tests.casts.reward_models import make_live, make_model

KILLS = """
import os
real = SpectralEncoder.embed
def embed(self, batch):
    if any(len(waveform) > 24_000 for waveform in batch):
        os.kill(os.getpid(), 9)
    return real(self, batch)
SpectralEncoder.embed = embed
score_pending()
"""


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_a_clip_that_kills_its_workers_takes_its_neighbours_along_once_and_is_given_up_in_the_end(
    tmp_path, admin_client
):
    before = make_clips(tmp_path, range(2))
    killer = make_clip(written(tmp_path / "killer.wav", music(7, seconds=1.5)))
    after = make_clips(tmp_path, range(2, 4))
    make_live(make_model("first"))

    def attempts():
        rows = dict(Embedding.objects.values_list("clip_id", "attempts"))
        return [rows[clip.pk] for clip in (*before, killer, *after)]

    for expected in ([1, 1, 1, 1, 1], [2, 2, 2, 1, 1], [2, 2, 3, 1, 1]):
        assert start_worker(tmp_path, KILLS).wait() == -9
        assert attempts() == expected
        Embedding.objects.update(claimed_until=timezone.now())  # a minute passes
    assert Reward.objects.count() == 2  # those before it
    assert start_worker(tmp_path, KILLS).wait() == 0
    assert failed() == {killer.pk: {"spectral": claims.GAVE_UP}}
    assert Reward.objects.count() == 4

    row = Embedding.objects.get(clip=killer)
    asked = {"action": "try_again", "_selected_action": [row.pk]}
    admin_client.post(reverse("admin:scoring_embedding_changelist"), asked)
    assert score_pending() == 1  # it does not kill here
    assert Embedding.objects.get(clip=killer).attempts == 1


class Device:
    """The encoder's device: sound over 1.5 s breaks it for good, as far as this process goes. A broken one does nothing
    for any process."""

    def __init__(self, monkeypatch):
        self.fails, self.is_broken, self.embed = False, False, SpectralEncoder.embed
        self.ended = worker_ends(monkeypatch)
        monkeypatch.setattr(SpectralEncoder, "embed", lambda encoder, batch: self.compute(encoder, batch))

    def compute(self, encoder, batch):
        self.fails |= self.is_broken or any(len(waveform) > 1.5 * encoder.sample_rate for waveform in batch)
        if self.fails:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        return self.embed(encoder, batch)

    def next_worker_ends(self):
        """Whether it does, at its device's failure; a minute later what it has left behind is free."""
        self.fails, ended = False, len(self.ended)
        tasks.score_clips()
        Embedding.objects.update(claimed_until=timezone.now())
        return len(self.ended) > ended


def test_a_clip_that_fails_the_device_of_every_worker_is_given_up_and_the_others_are_scored(tmp_path, monkeypatch, db):
    first = make_clips(tmp_path, range(2))
    breaks = make_clip(written(tmp_path / "breaks.wav", music(7, seconds=2.0)))
    rest = make_clips(tmp_path, range(2, 4))
    model = make_live(make_model("first"))
    device = Device(monkeypatch)
    assert [device.next_worker_ends() for _ in range(4)] == [True, True, True, False]
    assert failed() == {breaks.pk: {"spectral": claims.GAVE_UP}}
    assert set(model.rewards.values_list("clip_id", flat=True)) == {clip.pk for clip in (*first, *rest)}


def test_a_device_that_fails_at_everything_has_no_clip_given_up(model, clips, monkeypatch):
    device = Device(monkeypatch)
    device.is_broken = True
    assert all(device.next_worker_ends() for _ in range(claims.MAX_ATTEMPTS + 2))
    assert not failed()
    device.is_broken = False  # somebody mends it
    assert not device.next_worker_ends()
    assert model.rewards.count() == 4


def test_a_suspect_is_for_a_worker_that_has_nothing_else(clips, time_passes):
    ids = [clip.pk for clip in clips]
    assert take(limit=2) == ids[:2]
    time_passes(claims.LEASE.total_seconds() + 1)
    Embedding.objects.filter(clip=ids[0]).delete()
    assert take(limit=4, is_idle=False) == ids[:1]  # up to the suspect
    assert take(limit=4, is_idle=False) == []
    assert take(limit=4) == ids[1:2]
    assert take(limit=4, is_idle=False) == ids[2:]


def test_trouble_of_the_machine_that_passes_makes_no_suspect(model, clips, monkeypatch):
    monkeypatch.setattr(SpectralEncoder, "embed", lambda *_: (_ for _ in ()).throw(MemoryError("no memory")))
    for _ in range(claims.MAX_ATTEMPTS + 1):
        assert score_pending() == 0
        assert Embedding.objects.filter(claimed_until__gt=timezone.now(), attempts=0).count() == 4
        Embedding.objects.update(claimed_until=timezone.now())  # a minute passes
    monkeypatch.undo()
    assert take(limit=4) == [clip.pk for clip in clips]
    assert not failed()
