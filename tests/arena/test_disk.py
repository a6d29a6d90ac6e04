"""A disk that fills up: files give way to votes, votes to the database, and staff hear of it early."""

import errno
import shutil
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from annotations.models import Alarm
from arena import disk, sweeps, tasks
from arena.models import Status
from arena.services import register_clip
from scoring.file_scoring import jobs
from tests.casts.manifests import write_manifest
from tests.casts.score import Researcher, make_model, sound

GB = 10**9


@pytest.fixture
def free(monkeypatch):
    """Call it with the bytes that are free of 20 GB."""

    def set_free(n):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=20 * GB, free=n))

    return set_free


@pytest.mark.parametrize(
    ("total", "free", "state"),
    [
        (20 * GB, 2 * GB, "ok"), (20 * GB, GB - 1, "low"), (4000 * GB, 2 * GB, "ok"), (8 * GB, 0.5 * GB, "ok"),
        (8 * GB, 0.3 * GB, "low"), (GB, 0.2 * GB, "ok"), (GB, 0.1 * GB, "low"), (20 * GB, 40_000_000, "full"),
    ],
)  # fmt: skip
def test_the_marks_are_a_share_of_a_small_disk_and_a_gigabyte_of_a_large_one(total, free, state):
    assert disk.Space(disk.Path("/"), free, total).state == state


@pytest.mark.django_db
def test_a_nearly_full_disk_keeps_clips_waiting_and_takes_votes(free, listener, tmp_path, time_passes):
    battle = listener.battle()
    time_passes(9)
    clip, _ = register_clip(sound(tmp_path, "a.wav"), system="alder", prompt="calm")
    free(GB // 2)
    tasks.ingest_clips()
    clip.refresh_from_db()
    assert clip.status == Status.PENDING
    assert listener.vote(battle, "A").status_code == 201
    free(2 * GB)
    tasks.ingest_clips()
    clip.refresh_from_db()
    assert clip.status == Status.READY


@pytest.mark.django_db
def test_files_are_refused_in_words_while_the_disk_is_nearly_full(free, tmp_path):
    make_model()
    client = Researcher()
    free(GB // 2)
    answer = client.send("/api/score/", sound(tmp_path, "a.wav"))
    assert (answer.status_code, answer.json()["code"]) == (503, "disk_full")
    assert "almost full" in answer.json()["detail"] and answer["Retry-After"] == "30"
    with pytest.raises(CommandError, match=r"500 MB of 20,000 MB are free .* the reserve for votes"):
        call_command("import_clips", str(write_manifest(tmp_path, "a.wav,alder,calm")))


@pytest.mark.django_db
def test_a_full_disk_is_a_503_in_words_and_pages_are_still_read(free, listener, time_passes):
    battle = listener.battle()
    time_passes(9)
    free(1_000_000)
    refused = listener.vote(battle, "A")
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (503, "disk_full", "30")
    assert "Nothing is lost" in refused.json()["detail"]
    page = Client().post("/admin/login/", {"username": "a", "password": "b"})
    assert page.status_code == 503 and page["Content-Type"].startswith("text/html")
    assert Client().get("/").status_code == 200
    free(2 * GB)
    assert listener.vote(battle, "A").status_code == 201


@pytest.mark.django_db
def test_a_file_that_finds_no_space_is_a_503_in_words(tmp_path, monkeypatch):
    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    make_model()
    monkeypatch.setattr(jobs, "_store", no_space)
    answer = Researcher().send("/api/score/", sound(tmp_path), prompt="")
    assert (answer.status_code, answer.json()["code"], "Retry-After" in answer) == (503, "unavailable", True)


@pytest.mark.django_db
def test_readiness_and_the_command_say_how_much_is_free(free, capsys):
    for bytes_, status, state in ((2 * GB, 200, "ok"), (GB // 2, 200, "low"), (10**6, 503, "full")):
        free(bytes_)
        answer = Client().get("/readyz")
        assert (answer.status_code, answer.json()["disk"], answer.json()["disk_free_bytes"]) == (status, state, bytes_)
    call_command("machine")
    said = capsys.readouterr().out
    assert "The audio decoder is confined by" in said and "1 MB of 20,000 MB are free" in said and "full." in said


@pytest.mark.django_db
def test_staff_hear_of_it_once_and_before_it_is_full(free):
    sweeps.watch()
    tasks.watch_sweeps()
    free(GB // 2)
    for _ in range(3):
        sweeps.watch()
    (alarm,) = Alarm.objects.filter(screen="disk")
    assert "500 MB of 20,000 MB are free" in alarm.message and "ingest" in alarm.message


def test_a_place_that_does_not_exist_yet_counts_for_nothing(settings, tmp_path):
    settings.ARENA_HOME, settings.MEDIA_ROOT = tmp_path, tmp_path / "media"
    assert disk.space().path in (tmp_path, *tmp_path.parents)
