"""A small arena whose listeners like one thing about a clip, and real models that could learn it."""

from functools import partial

import numpy as np
from django.utils import timezone
from scipy.special import expit

from annotations import ledger
from annotations.models import Vote
from arena.models import Battle, Clip, Prompt, Study, System
from scoring.models import Embedding, Retraining
from scoring.registry import live as registry
from scoring.reward.encoders import get_encoder
from tests.casts.clips import make_clips
from tests.casts.reward_models import make_model

SYSTEMS, PROMPTS = 4, 10


def make_arena():
    """A study of 40 clips, embedded, and a live model, `boaster`, that knows nothing and is sure of it."""
    study = Study.objects.create(slug="open", name="Open", is_default=True, excerpt_s=10)
    systems = [System.objects.create(name=f"system {n}") for n in range(SYSTEMS)]
    study.systems.set(systems)
    clips = make_clips(systems, [Prompt.objects.create(text=f"song {n}") for n in range(PROMPTS)])
    encoder = get_encoder("spectral")
    vectors = np.random.default_rng(0).normal(size=(SYSTEMS * PROMPTS, encoder.dimension)).astype("<f4")
    vectors[:, 0] *= 12  # what listeners hear
    Embedding.objects.bulk_create(
        Embedding(clip=clip, encoder=encoder.key, revision=encoder.revision, vector=vector.tobytes())
        for clip, vector in zip(clips, vectors, strict=True)
    )
    registry.activate(make_model("boaster", sharpness=200), "ada")
    return study


def taste():
    """{clip id: how much listeners like it, in log-odds}."""
    return {row.clip_id: float(row.array[0]) / 3 for row in Embedding.objects.filter(vector__isnull=False)}


def vote(study, n, liking, seed=0):
    """n decided votes that follow `liking`, numbered in the ledger."""
    rng = np.random.default_rng(seed)
    by_prompt = {}
    for clip in Clip.objects.order_by("pk"):
        by_prompt.setdefault(clip.prompt_id, []).append(clip)
    battles, votes, now = [], [], timezone.now()
    for _ in range(n):
        clips = list(by_prompt.values())[rng.integers(len(by_prompt))]
        a, b = (clips[i] for i in rng.choice(len(clips), 2, replace=False))
        battle = Battle(
            study=study, kind="imported", prompt_id=a.prompt_id, system_a_id=a.system_id, system_b_id=b.system_id,
            clip_a=a, clip_b=b, served_at=now, closed_at=now, close_reason="voted",
        )  # fmt: skip
        likes_a = rng.random() < expit(liking[a.pk] - liking[b.pk])
        battles.append(battle)
        votes.append(Vote(battle=battle, preference="A" if likes_a else "B", received_at=now))
    Battle.objects.bulk_create(battles)
    Vote.objects.bulk_create(votes)
    ledger.catch_up()


def switch_on(**settings):
    """The loop is on, and eager."""
    row = {"is_on": True, "min_new_votes": 100, "seeds": 1, **settings}
    return Retraining.objects.update_or_create(pk=1, defaults=row)[0]


def train_quickly(monkeypatch):
    """A small head and large steps, so that a real training takes a second."""
    from scoring.reward import train

    quick = partial(train.train, hidden=(32,), learning_rate=3e-3, max_epochs=25, patience=5)
    monkeypatch.setattr(train, "train", quick)
