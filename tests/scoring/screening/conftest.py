"""A study of five systems of known quality, and raters one of whom contradicts everybody."""

from random import Random

import pytest

from annotations import ledger
from arena.models import Prompt, Study, System
from tests.casts.clips import make_clips
from tests.casts.screening import QUALITY, contrary, listens, rate


@pytest.fixture
def study(db):
    study = Study.objects.create(slug="open", name="Open", is_default=True, excerpt_s=10, is_open=True)
    systems = [System.objects.create(name=name) for name in QUALITY]
    study.systems.set(systems)
    make_clips(systems, [Prompt.objects.create(text=f"prompt {number}") for number in range(4)])
    return study


@pytest.fixture
def raters(study):
    """Ten who listen, and one who does the opposite of what everybody hears."""
    rng = Random(5)
    good = [rate(study, 24, listens(rng), rng) for _ in range(10)]
    bad = rate(study, 24, contrary, rng)
    ledger.catch_up()
    return good, bad
