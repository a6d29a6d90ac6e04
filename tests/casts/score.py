"""A live reward model with a real head, a researcher with a token, a worker, and sounds to send."""

from pathlib import Path

import numpy as np
from django.contrib.auth.models import Group, User
from django.core.files.storage import default_storage
from django.test import Client

from arena.models import ApiToken
from scoring.models import RewardModel
from tests.casts.audio_files import music, write_plain_wav

MEASURED = {  # as training measures a model
    "test": {
        "n": 220,
        "n_decided": 200,
        "accuracy": 0.7,
        "ece": 0.04,
        "log_loss": 0.6,
        "temperature": {"value": 2.0, "low": 1.5, "high": 2.6, "n": 200},
        "reliability": [
            {"margin_low": 0.0, "margin_high": 0.9, "n": 100, "confidence": 0.6, "accuracy": 0.55},
            {"margin_low": 0.9, "margin_high": 4.0, "n": 100, "confidence": 0.9, "accuracy": 0.85},
        ],
    }
}


def measured_and_calibrated(rate):
    """The same as training measures it now: calibrated on 150 votes of the validation side."""
    alone = {"value": 1.2 if rate else 0.5, "low": 0.4, "high": None, "n": 150}  # the temperature without lapses
    calibrated = {"rate": rate, "temperature": 0.5, "n": 150, "ece": 0.02, "log_loss": 0.55}
    return {"validation": {"temperature": alone}, "test": {**MEASURED["test"], "calibrated": calibrated}}


def make_model(name="jury", metrics=None, seed=0, status="live"):
    """A reward model of the spectral encoder and a head with weights of its own; rewards spread by about one."""
    import torch

    from scoring.reward.encoders import get_encoder
    from scoring.reward.head import RankNetHead, save_head
    from scoring.reward.scorer import encoder_metadata

    torch.manual_seed(seed)
    encoder = get_encoder("spectral")
    head = RankNetHead(encoder.dimension, (16, 8))
    for _ in range(3):  # batch norm takes its running statistics from somewhere
        head(torch.randn(64, encoder.dimension))
    path = f"weights/{name}.safetensors"
    target = Path(default_storage.path(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    sha256 = save_head(head, target, encoder_metadata([encoder]))
    if status == "live":
        RewardModel.objects.filter(status="live").update(status="retired")
    return RewardModel.objects.create(
        name=name,
        encoders=[{"key": "spectral", "revision": encoder.revision, "dimension": encoder.dimension}],
        weights=path,
        sha256=sha256,
        status=status,
        metrics=MEASURED if metrics is None else metrics,
    )


class Researcher:
    """A client of the HTTP contract with a token, as curl is one."""

    def __init__(self, name="rosa", group="researchers"):
        self.user = User.objects.create_user(name)
        if group:
            self.user.groups.add(Group.objects.get_or_create(name=group)[0])
        self.token, key = ApiToken.issue(self.user, "for a test")
        self.headers = {"Authorization": f"Token {key}"}
        self.client = Client(enforce_csrf_checks=True)

    def get(self, path, **params):
        return self.client.get(path, params, headers=self.headers)

    def send(self, path, *files, **fields):
        """Multipart: the files, opened, as `audio`."""
        opened = [file.open("rb") for file in files]
        try:
            return self.client.post(path, {"audio": opened, **fields}, headers=self.headers)
        finally:
            for file in opened:
                file.close()


def sound(folder, name="song.wav", seed=0, seconds=2.0):
    return write_plain_wav(folder / name, music(seconds, seed=seed), 48_000)


def silence(folder, name="silent.wav", seconds=2.0):
    return write_plain_wav(folder / name, np.zeros((round(seconds * 48_000), 1), np.float32), 48_000)


def not_audio(folder):
    path = folder / "notes.wav"
    path.write_text("These are words. " * 500)
    return path


def uploads():
    return default_storage.listdir("uploads")[1] if default_storage.exists("uploads") else []
