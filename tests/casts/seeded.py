"""Draws by a seed instead of the machine's chance."""

from random import Random
from uuid import UUID

from arena.models import Battle, Rater
from arena.serving import battles


def seed_draws(monkeypatch, seed):
    """Which battle comes next, who stands in slot A and where the checks are is drawn as ever, but by a seed."""
    rng = Random(seed)
    monkeypatch.setattr(battles, "SystemRandom", lambda: rng)
    for model in (Rater, Battle):  # a rater's schedule follows from their id
        monkeypatch.setattr(model._meta.pk, "_get_default", lambda: UUID(int=rng.getrandbits(128), version=4))
