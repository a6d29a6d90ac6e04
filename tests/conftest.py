"""A fixed cast: two studies' worth of systems, prompts and playable clips, and a listener who has agreed."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone
from whitenoise.middleware import WhiteNoiseMiddleware

from arena.api import contract
from arena.models import Clip, Prompt, Study, System
from arena.security import throttles
from arena.services import give_consent
from arena.serving import process_cache
from arena.serving.candidates import DEGRADED
from scoring.metrics import certainty
from tests.casts.clips import make_clips
from tests.casts.joining import CODES
from tests.casts.listener import Listener
from tests.casts.manifests import write_manifest
from tests.casts.seeded import seed_draws
from tests.casts.sitting import add_variant


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Autovacuum sees no row that a test has not committed and counts empty tables. If it comes by during a test, the
    planner joins these "empty" tables by nested loops, and a query of milliseconds takes minutes."""
    tables = "SELECT oid::regclass AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    alter = "EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', t.name)"
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(f"DO $$ DECLARE t record; BEGIN FOR t IN {tables} LOOP {alter}; END LOOP; END $$")
        for table, trigger in truncate_triggers():  # the tests' owner may: pytest-django empties tables by TRUNCATE
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")


def truncate_triggers():
    """[(table, trigger)] of the triggers that refuse TRUNCATE."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgtype & 32 > 0")
        return cursor.fetchall()


@pytest.fixture(scope="session", autouse=True)
def static_files_searched_once():
    """Every test client loads the middleware anew, and WhiteNoise then looks through the same static files again."""
    search, files = WhiteNoiseMiddleware.add_files_from_finders, {}

    def once(middleware):
        if not files:
            search(middleware)
            files.update(middleware.files)
        middleware.files.update(files)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", once)
        yield


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
    for limit in throttles.ALL:
        limit.forget()
    monkeypatch.setattr(process_cache, "QUICK_S", 3600)


@pytest.fixture(autouse=True)
def answers_are_as_declared(monkeypatch):
    """An answer of the API that is not as its shape declares it is an error."""

    def fail(mismatch):
        raise AssertionError(mismatch)

    monkeypatch.setattr(contract, "report_mismatch", fail)


@pytest.fixture
def real_thresholds():
    """For tests of what a preliminary board says and does not say."""


@pytest.fixture(autouse=True)
def few_votes_are_enough(request, monkeypatch):
    """A board of a handful of votes is preliminary, and most tests are about what is shown of the others."""
    if "real_thresholds" not in request.fixturenames:
        for name, value in {"VOTES_PER_SYSTEM": 0, "RATERS": 0, "HALF_WIDTH": float("inf")}.items():
            monkeypatch.setattr(certainty, name, value)


@pytest.fixture(autouse=True)
def seeded_draws(request, monkeypatch):
    """Each test draws by a seed of its own: it is green in every run or in none."""
    seed_draws(monkeypatch, request.node.nodeid)


@pytest.fixture
def study(db):
    """Three systems, two prompts, one 12 s clip of each, cut to the study's 10 s."""
    study = Study.objects.create(slug="open", name="Open", is_default=True, excerpt_s=10)
    systems = [System.objects.create(name=name) for name in ("alder", "birch", "cedar")]
    study.systems.set(systems)
    make_clips(systems, [Prompt.objects.create(text=text) for text in ("A calm piano ballad", "Driving rock")])
    return study


@pytest.fixture
def rater(study):
    return give_consent(None, study, 1)


@pytest.fixture
def listener(study):
    return Listener().agree()


@pytest.fixture
def checked(study):
    """Two practice battles, then six ordinary ones with a gold, a trap and a repeat among them."""
    for number, clip in enumerate(Clip.objects.order_by("pk")):
        for variant in (DEGRADED[number % len(DEGRADED)], "tones"):
            add_variant(clip, variant)
    study.practice, study.block_length, study.blocks = 2, 6, 1
    study.golds = study.traps = study.repeats = 1
    study.save()
    return study


@pytest.fixture
def coded(checked):
    """A study of a platform's participants, with a code for each way in which it may end."""
    checked.platform = {"participant": "PROLIFIC_PID", "session": "SESSION_ID"}
    checked.completion = {
        "message": "Thank you.",
        "codes": CODES,
        "return_url": "https://panel.example/back?p={participant}&s={session}&cc={code}&o={outcome}",
    }
    checked.save()
    return checked


@pytest.fixture
def manifest(tmp_path, db):
    """A function manifest(*rows) that writes a manifest for the default study, with its files, and returns its path."""
    Study.objects.create(slug="open", name="Open", is_default=True, excerpt_s=2)
    return partial(write_manifest, tmp_path)


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


@pytest.fixture(scope="module")
def chromium():
    """A real Chromium. Every test that uses it bears the mark `browser`."""
    from tests.casts import browser  # and Playwright

    with browser.chromium() as chromium:
        yield chromium


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items):
    for item in items:
        if "chromium" in item.fixturenames:
            item.add_marker("browser")
