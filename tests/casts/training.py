"""Votes of two studies on embedded clips, as they are and as an export; a training that takes a second."""

import hashlib
from functools import partial

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.utils import timezone
from scipy.special import expit

from annotations import ledger
from annotations.models import Vote
from arena.models import Battle, Clip, Prompt, Rater, Study, System
from scoring.models import Embedding
from scoring.reward import train as training_loop
from tests.conftest import make_clip

ENCODERS = [{"key": "spectral", "revision": "1", "dimension": 451}]
SYSTEMS, PROMPTS = 6, 12
DAMAGE = [  # a stored vector, and what is said of it
    (np.ones(7, "<f4"), "not of 1804 bytes"),
    (np.full(451, np.nan, "<f4"), "NaN or infinite in places"),
]


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
    for n in range(PROMPTS):
        prompt = Prompt.objects.create(text=f"song {n}")
        for system in systems:
            make_clip(system, prompt)
    for clip in Clip.objects.all():
        content = f"audio {clip.pk}".encode()
        clip.sha256 = hashlib.sha256(content).hexdigest()
        clip.original.save(f"originals/{clip.pk}.wav", ContentFile(content))
    embed(Clip.objects.order_by("pk"))
    raters = [Rater.objects.create() for _ in range(8)]
    vote(studies[0], raters[:5], 120, seed=1)
    vote(studies[1], raters[3:], 120, seed=2)
    return studies


def embed(clips, key="spectral", revision="1", width=451, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(len(clips), width)).astype("<f4")
    vectors[:, 0] *= 12
    Embedding.objects.bulk_create(
        Embedding(clip=clip, encoder=key, revision=revision, vector=vector.tobytes())
        for clip, vector in zip(clips, vectors, strict=True)
    )


def vote(study, raters, n, seed=0, flipped=0.0):
    """n votes, a tenth of them ties, by raters in turn; every ninth by nobody. flipped: share that says the opposite of
    what their rater hears."""
    rng = np.random.default_rng(seed)
    taste = {row.clip_id: float(row.array[0]) / 4 for row in Embedding.objects.all()}
    clips = [list(prompt.clips.order_by("pk")) for prompt in Prompt.objects.order_by("pk")]
    now = timezone.now()
    battles, votes = [], []
    for i in range(n):
        a, b = rng.choice(clips[rng.integers(len(clips))], 2, replace=False)
        rater = None if i % 9 == 8 else raters[i % len(raters)]
        battle = Battle(
            study=study, kind="imported", rater=rater, prompt=a.prompt, system_a=a.system, system_b=b.system,
            clip_a=a, clip_b=b, served_at=now, closed_at=now, close_reason="voted",
        )  # fmt: skip
        preference = "A" if rng.random() < expit(taste[a.pk] - taste[b.pk]) else "B"
        if flipped and rng.random() < flipped:
            preference = {"A": "B", "B": "A"}[preference]
        battles.append(battle)
        votes.append(Vote(battle=battle, rater=rater, preference="TIE" if i % 10 == 9 else preference, received_at=now))
    Battle.objects.bulk_create(battles)
    Vote.objects.bulk_create(votes)
    ledger.catch_up()


def exported(tmp_path, content="votes", *arguments):
    file = tmp_path / f"{content}.jsonl"
    call_command("export", content, "--output", str(file), "--clips", str(tmp_path / "clips"), *arguments)
    return file, tmp_path / "clips"


def arrays(data):
    return {name: value for name, value in vars(data).items() if name != "excluded"}


class Titles:
    """A text encoder, as small as can be."""

    key, revision, kind, dimension, sample_rate, licence = "titles", "1", "text", 2, 0, "none"

    def embed(self, batch):
        return np.array([[len(text), sum(map(ord, text))] for text in batch], dtype=np.float32)
