"""Votes of two studies on embedded clips, and a training that takes a second."""

import hashlib
from functools import partial

import pytest
from django.core.files.base import ContentFile

from arena.models import Clip, Prompt, Rater, Study, System
from scoring.reward import train as training_loop
from tests.casts.clips import make_clips
from tests.casts.training import PROMPTS, SYSTEMS, embed, vote


@pytest.fixture
def quickly(monkeypatch):
    """A small head and few epochs, so that a real training takes a second."""
    quick = partial(training_loop.train, hidden=(8,), learning_rate=3e-3, max_epochs=4)
    monkeypatch.setattr(training_loop, "train", quick)


@pytest.fixture
def arena(db):
    """Two studies on the same 72 embedded clips; the first direction of an embedding is what listeners hear."""
    studies = [Study.objects.create(slug=slug, name=slug, excerpt_s=10) for slug in ("radio", "stage")]
    systems = [System.objects.create(name=f"system {n}") for n in range(SYSTEMS)]
    for study in studies:
        study.systems.set(systems)
    clips = make_clips(systems, [Prompt.objects.create(text=f"song {n}") for n in range(PROMPTS)])
    for clip in clips:
        content = f"audio {clip.pk}".encode()
        clip.sha256 = hashlib.sha256(content).hexdigest()
        clip.original.save(f"originals/{clip.pk}.wav", ContentFile(content), save=False)
    Clip.objects.bulk_update(clips, ["sha256", "original"])
    embed(clips)
    raters = [Rater.objects.create() for _ in range(8)]
    vote(studies[0], raters[:5], 120, seed=1)
    vote(studies[1], raters[3:], 120, seed=2)
    return studies
