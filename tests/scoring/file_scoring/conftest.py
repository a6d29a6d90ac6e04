"""A live model, a researcher, and a gpu worker that gets to run or does not."""

import pytest

from scoring import tasks
from scoring.api import score as score_api
from tests.casts.score import Researcher, make_model


@pytest.fixture
def model(db):
    return make_model()


@pytest.fixture
def rosa(db):
    return Researcher()


@pytest.fixture
def worker(monkeypatch):
    """A gpu worker that gets to run while a request waits."""
    monkeypatch.setattr(score_api, "pause", tasks.work_off_score_jobs)


@pytest.fixture
def no_worker(monkeypatch):
    monkeypatch.setattr(score_api, "WAIT_S", 0)
