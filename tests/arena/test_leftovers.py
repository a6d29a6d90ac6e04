"""Files stay as long as somebody needs them: rejected copies, broken uploads and half-written files do not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from arena import services, storage
from arena.models import Clip, Excerpt, Status
from arena.services import leftovers
from scoring.file_scoring import jobs
from scoring.models import ScoreJob
from tests.casts.score import Researcher, make_model, not_audio, silence, sound, uploads

ROOT = Path(__file__).resolve().parents[2]


def originals():
    folder = Path(default_storage.path("originals"))
    return [path for path in folder.rglob("*") if path.is_file()]


def registered(path, system="alder"):
    return services.register_clip(path, system=system, prompt="calm")[0]


@pytest.mark.django_db
@pytest.mark.parametrize("make", [silence, not_audio])
def test_the_copy_of_a_rejected_clip_does_not_stay(tmp_path, make):
    clip = services.ingest_clip(registered(make(tmp_path)).pk)
    assert (clip.status, clip.original.name, originals()) == (Status.REJECTED, "", [])
    assert clip.reason


@pytest.mark.django_db
def test_it_stays_as_long_as_another_clip_is_of_the_same_file(tmp_path):
    path = silence(tmp_path)
    first, second = registered(path), registered(path, "birch")
    services.ingest_clip(first.pk)
    assert len(originals()) == 1
    services.ingest_clip(second.pk)
    assert originals() == []


@pytest.mark.django_db
def test_a_rejected_file_is_measured_again_when_it_is_imported_again(tmp_path, monkeypatch):
    path = sound(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(services.clips.audio, "inspect", reject)
        clip = services.ingest_clip(registered(path).pk)
    assert clip.status == Status.REJECTED
    again = registered(path)
    assert (again.pk, again.status, len(originals())) == (clip.pk, Status.PENDING, 1)
    assert services.ingest_clip(again.pk).status == Status.READY


def reject(path):
    raise services.clips.audio.AudioRejected("An older program could not read it.")


@pytest.mark.django_db
def test_an_import_that_is_rejected_leaves_no_file(manifest, tmp_path):
    silence(tmp_path, "a.wav")
    with pytest.raises(CommandError, match="silent"):
        call_command("import_clips", str(manifest("a.wav,alder,calm")))
    assert originals() == []


# Whole or not at all


class Breaks(ContentFile):
    def chunks(self, chunk_size=None):
        yield b"half of it"
        raise OSError(28, "No space left on device")


def test_a_file_that_cannot_be_written_to_its_end_leaves_nothing():
    with pytest.raises(OSError, match="No space left"):
        default_storage.save("originals/ab/abc.wav", Breaks(b"x"))
    assert [path for path in Path(default_storage.location).rglob("*") if path.is_file()] == []


def test_a_killed_copy_is_not_taken_for_the_file_and_is_tidied_away(tmp_path, db):
    code = """
import django, os, signal
django.setup()
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
class Killed(ContentFile):
    def chunks(self, chunk_size=None):
        yield b"half of it"
        os.kill(os.getpid(), signal.SIGKILL)
default_storage.save("originals/ab/abc.wav", Killed(b"x"))
"""
    environment = os.environ | {"ARENA_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "arena.settings"}
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=False)
    assert process.returncode == -9
    assert not default_storage.exists("originals/ab/abc.wav")
    (half,) = [path for path in (tmp_path / "media").rglob("*") if path.is_file()]
    assert half.parent.name == storage.UNFINISHED
    assert leftovers.tidy() == 0  # it might still be written to
    assert leftovers.tidy(now=time.time() + leftovers.KEPT_S + 60) == 1
    assert not half.exists()


def test_a_stored_file_has_its_content_its_mode_and_its_own_name():
    first = default_storage.save("originals/ab/abc.wav", ContentFile(b"one"))
    second = default_storage.save("originals/ab/abc.wav", ContentFile(b"two"))
    assert first == "originals/ab/abc.wav" != second
    assert [default_storage.open(name).read() for name in (first, second)] == [b"one", b"two"]
    path = Path(default_storage.path(first))
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert os.listdir(default_storage.path(storage.UNFINISHED)) == []


def test_a_file_system_without_links_is_enough(monkeypatch):
    def no_links(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    assert default_storage.open(default_storage.save("originals/a.wav", ContentFile(b"one"))).read() == b"one"


# Uploads


@pytest.mark.django_db
def test_of_files_that_cannot_all_be_stored_none_is(tmp_path, monkeypatch):
    make_model()
    store, stored = jobs._store, []

    def second_fails(upload):
        if stored:
            raise OSError(28, "No space left on device")
        stored.append(store(upload))
        return stored[0]

    monkeypatch.setattr(jobs, "_store", second_fails)
    files = [sound(tmp_path, f"{n}.wav", seed=n) for n in range(2)]
    client = Researcher()
    client.client.raise_request_exception = False
    assert client.send("/api/best-of-n/", *files, prompt="").status_code >= 500
    assert (len(stored), uploads(), ScoreJob.objects.count()) == (1, [], 0)


@pytest.mark.django_db
def test_files_of_a_job_that_the_database_refuses_do_not_stay(tmp_path, monkeypatch):
    make_model()

    def refuse(**_):
        raise DatabaseError("no space")

    monkeypatch.setattr(ScoreJob.objects, "create", refuse)
    client = Researcher()
    client.client.raise_request_exception = False
    assert client.send("/api/score/", sound(tmp_path), prompt="").status_code >= 500
    assert uploads() == []


# The sweep


def age(path):
    old = time.time() - leftovers.KEPT_S - 60
    os.utime(path, (old, old))


@pytest.mark.django_db
def test_files_that_no_row_names_are_tidied_away_and_others_stay(tmp_path, settings):
    clip = registered(sound(tmp_path))
    services.ingest_clip(clip.pk)
    excerpt = Excerpt(clip=clip, length_ms=2000, codec="wav", status="ready", size=1, gain_db=0)
    excerpt.file.save("excerpts/1/2000.wav", ContentFile(b"excerpt"))
    lost = [default_storage.save(f"{folder}/lost.wav", ContentFile(b"x")) for folder in ("originals", "excerpts/7")]
    elsewhere = default_storage.save("releases/votes-1.jsonl", ContentFile(b"x"))
    young = default_storage.save("originals/young.wav", ContentFile(b"x"))
    temporary = settings.ARENA_HOME / "tmp"
    (temporary / "tmpabc").mkdir(parents=True)
    (temporary / "half.upload").write_text("x")
    for path in [*Path(settings.MEDIA_ROOT).rglob("*"), *temporary.iterdir()]:
        if path.name != "young.wav":
            age(path)
    assert leftovers.tidy() == 4
    assert not any(default_storage.exists(name) for name in lost) and list(temporary.iterdir()) == []
    kept = [Clip.objects.get().original.name, excerpt.file.name, elsewhere, young]
    assert all(default_storage.exists(name) for name in kept)


@pytest.mark.django_db
def test_originals_that_were_kept_of_rejected_clips_go_too(tmp_path):
    clip = registered(sound(tmp_path))
    Clip.objects.filter(pk=clip.pk).update(status=Status.REJECTED, reason="An older program kept its copy.")
    assert leftovers.tidy() == 1
    assert originals() == []
