"""Clips to score, a live model, and a worker that has not complained yet."""

import pytest

from scoring.jury import worker
from tests.casts.jury import make_clips
from tests.casts.reward_models import make_live, make_model


@pytest.fixture(autouse=True)
def nothing_said_before(monkeypatch):
    monkeypatch.setattr(worker, "complaints", worker.Complaints())


@pytest.fixture
def clips(db, tmp_path):
    return make_clips(tmp_path, range(4))


@pytest.fixture
def model(clips):
    return make_live(make_model("first"))
