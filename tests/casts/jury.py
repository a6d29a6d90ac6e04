"""Clips with real originals, as they are after ingest, for tests of the jury; a live model; workers, some of them in
processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import connection

from arena import audio
from arena.models import Clip, Prompt, System
from scoring import tasks
from scoring.demo.synth import write_wav
from scoring.jury import claims, scorers
from scoring.models import Embedding

CHECKOUT = Path(__file__).resolve().parents[2]
RATE = 16_000
THREE_BLOCKS = ("clap-music", "mert-330m", "clap-music-text")
START = """
import django, sys, time
django.setup()
from scoring.jury.worker import score_pending
from scoring.reward.encoders.spectral import SpectralEncoder
"""


def music(number, seconds=1.0):
    """float32 [2, n]: a tone with a beat, another for each number."""
    t = np.arange(int(RATE * seconds)) / RATE
    tone = 0.3 * np.sin(2 * np.pi * (220 + 30 * number) * t) * (1 + np.sin(2 * np.pi * (2 + number % 5) * t)) / 2
    return np.tile(tone.astype("f4"), (2, 1))


def make_clips(folder, numbers, prompt="A calm song"):
    """Ready clips, one per number, each with its file in the storage."""
    return [make_clip(written(folder / f"{number}.wav", music(number)), f"{prompt} {number % 3}") for number in numbers]


def written(path, audio):
    write_wav(path, audio, RATE)
    return path


def make_clip(path, prompt="A calm song"):
    """A ready clip of that file, whatever ingest would have said of it."""
    with path.open("rb") as file:
        stored = default_storage.save(f"originals/{path.name}", File(file))
    return Clip.objects.create(
        system=System.objects.get_or_create(name="alder")[0],
        prompt=Prompt.objects.get_or_create(text=prompt)[0],
        sha256=path.name,
        original=stored,
        status="ready",
        duration_ms=1000,
        loudness_lufs=-14.0,
    )


def start_worker(home, code):
    """A process that runs START and `code` on the tests' database, with the files below `home`/media."""
    database = os.environ["DATABASE_URL"].rpartition("/")[0] + "/" + connection.settings_dict["NAME"]
    environment = {
        **os.environ, "DATABASE_URL": database, "ARENA_HOME": str(home), "DJANGO_SETTINGS_MODULE": "arena.settings",
        "WEIGHTS_DIR": os.environ.get("WEIGHTS_DIR", ""), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", START + code], cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True
    )


def failed():
    """{clip id: {encoder: error}} of what could not be embedded."""
    errors = {}
    for row in Embedding.objects.exclude(error=""):
        errors.setdefault(row.clip_id, {})[row.encoder] = row.error
    return errors


def scored_alone(model, clip):
    """The clip's reward by the scorer's public call."""
    samples, rate = audio.decode_once(clip.original.path)
    return scorers.load_scorer(model.pk).score([samples], [rate], [clip.prompt.text])[0]


def worker_ends(monkeypatch):
    ended = []
    monkeypatch.setattr(tasks.os, "_exit", ended.append)
    return ended


def take(blocks=(("spectral", "1"),), limit=2, **options):
    found, _ = claims.claim(blocks, limit=limit, max_seconds=1000, **options)
    return [one.clip.pk for one in found]
