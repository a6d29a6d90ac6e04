"""Votes of two studies on embedded clips, as they are and as an export; a training that takes a second."""

from itertools import groupby
from operator import attrgetter

import numpy as np
from django.core.management import call_command
from django.utils import timezone
from scipy.special import expit

from annotations import ledger
from annotations.models import Vote
from arena.models import Battle, Clip
from scoring.models import Embedding

ENCODERS = [{"key": "spectral", "revision": "1", "dimension": 451}]
SYSTEMS, PROMPTS = 6, 12
DAMAGE = [  # a stored vector, and what is said of it
    (np.ones(7, "<f4"), "not of 1804 bytes"),
    (np.full(451, np.nan, "<f4"), "NaN or infinite in places"),
]


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
    by_prompt = groupby(Clip.objects.order_by("prompt_id", "pk"), key=attrgetter("prompt_id"))
    clips = [list(of_prompt) for _, of_prompt in by_prompt]
    now = timezone.now()
    battles, votes = [], []
    for i in range(n):
        a, b = rng.choice(clips[rng.integers(len(clips))], 2, replace=False)
        rater = None if i % 9 == 8 else raters[i % len(raters)]
        battle = Battle(
            study=study, kind="imported", rater=rater, prompt_id=a.prompt_id, system_a_id=a.system_id,
            system_b_id=b.system_id, clip_a=a, clip_b=b, served_at=now, closed_at=now, close_reason="voted",
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
