"""A fixed cast: two studies' worth of systems, prompts and playable clips, and a listener who has agreed."""

import json
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from arena.api import contract
from arena.models import Clip, Excerpt, Prompt, Study, System
from arena.services import give_consent
from arena.serving import process_cache


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """The owner of the tests' database lets pytest-django empty its tables between tests that commit."""
    with django_db_blocker.unblock():
        for table, trigger in truncate_triggers():
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")


def truncate_triggers():
    """[(table, trigger)] of the triggers that refuse TRUNCATE."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgtype & 32 > 0")
        return cursor.fetchall()


@pytest.fixture(autouse=True)
def private_media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.ARENA_HOME = tmp_path / "home"


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """A slow hash is the point of a password hasher, and of no test here."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def fresh_answers(monkeypatch):
    """What one test's study could serve is nothing to the next; and a thread would not see what a test has written."""
    process_cache.forget()
    monkeypatch.setattr(process_cache, "QUICK_S", 3600)


@pytest.fixture(autouse=True)
def answers_are_as_declared(monkeypatch):
    """An answer of the API that is not as its shape declares it is an error."""

    def fail(mismatch):
        raise AssertionError(mismatch)

    monkeypatch.setattr(contract, "report_mismatch", fail)


@pytest.fixture
def study(db):
    """Three systems, two prompts, one 12 s clip of each, cut to the study's 10 s."""
    study = Study.objects.create(slug="open", name="Open", is_default=True, excerpt_s=10)
    for name in ("alder", "birch", "cedar"):
        study.systems.add(System.objects.create(name=name))
    for text in ("A calm piano ballad", "Driving rock"):
        prompt = Prompt.objects.create(text=text)
        for system in study.systems.all():
            make_clip(system, prompt)
    return study


def make_clip(system, prompt, duration_ms=12_000, length_ms=10_000):
    """A clip as it is after ingest, with its excerpt. Files are made by the tests that play them."""
    clip = Clip.objects.create(
        system=system,
        prompt=prompt,
        sha256=uuid.uuid4().hex * 2,
        original="originals/none.wav",
        status="ready",
        duration_ms=duration_ms,
        sample_rate=44100,
        channels=2,
        loudness_lufs=-14.0,
        true_peak_dbtp=-1.0,
    )
    Excerpt.objects.create(
        clip=clip,
        length_ms=length_ms,
        codec="mp3",
        status="ready",
        file=f"excerpts/{clip.pk}.mp3",
        size=400_000,
        gain_db=-9.0,
        loudness_lufs=-23.0,
        true_peak_dbtp=-3.0,
        peaks=[0.5] * 1000,
    )
    return clip


@pytest.fixture
def rater(study):
    return give_consent(None, study, 1)


class Listener:
    """A client of the HTTP contract, as anyone could write it: cookies, a CSRF token, JSON."""

    def __init__(self):
        self.client = Client(enforce_csrf_checks=True)
        self.client.get("/")

    def post(self, path, body=None, csrf=True, **headers):
        return self._send(self.client.post, path, body, csrf, headers)

    def delete(self, path, csrf=True, **headers):
        return self._send(self.client.delete, path, None, csrf, headers)

    def get(self, path, **params):
        return self.client.get(path, params)

    def _send(self, method, path, body, csrf, headers):
        if csrf:
            headers["X-CSRFToken"] = self.client.cookies["csrftoken"].value
        return method(path, json.dumps(body or {}), content_type="application/json", headers=headers)

    def agree(self, **body):
        answer = self.post("/api/raters/", {"consent_version": 1, **body})
        assert answer.status_code == 201, answer.content
        return self

    def battle(self, **body):
        answer = self.post("/api/battles/", body)
        assert answer.status_code in (200, 201), answer.content
        return answer.json()

    def vote(self, battle, preference="A", key="key-1", heard=None, **more):
        body = {
            "preference": preference,
            "heard": heard or {"A": [[0, 4000]], "B": [[0, 4000]]},
            "first_played": "A",
            "switches": 1,
            **more,
        }
        return self.post(f"/api/battles/{battle['id']}/vote/", body, **{"Idempotency-Key": key})


@pytest.fixture
def listener(study):
    return Listener().agree()


@pytest.fixture
def time_passes(monkeypatch):
    """time_passes(9): the clock of the services moves on by that many seconds."""
    moved = timedelta()
    real_now = timezone.now

    def move(seconds):
        nonlocal moved
        moved += timedelta(seconds=seconds)

    monkeypatch.setattr(timezone, "now", lambda: real_now() + moved)
    return move


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory):
    """A folder of weights of tiny networks of the published classes."""
    from tests.casts import tiny_networks  # and torch

    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIGHTS_DIR", str(folder / "weights"))
        tiny_networks.install_all(folder / "published")
    return folder / "weights"


@pytest.fixture
def networks(tiny_weights, monkeypatch):
    monkeypatch.setenv("WEIGHTS_DIR", str(tiny_weights))
