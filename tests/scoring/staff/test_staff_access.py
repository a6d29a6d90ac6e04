"""Who may see the pages of staff and hear the clips on them."""

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client

from arena.models import Again, Excerpt
from scoring.models import TrainingMark
from tests.casts.staff import clip_of, edition, logged_in, vote

HERE = "/boards/open/systems/alder/"
PAGES = (HERE, f"{HERE}data.json", f"{HERE}data.csv?table=clips", "/review/", "/review/data.json", "/review/data.csv")


@pytest.mark.parametrize("page", PAGES)
def test_everybody_else_is_sent_to_log_in(page, study, listener):
    edition(study)
    for client in (Client(), listener.client, logged_in(staff=False)):
        answer = client.get(page)
        assert answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
        assert b"alder" not in answer.content


@pytest.mark.parametrize("page", PAGES)
def test_staff_sees_it_and_no_cache_keeps_it(page, study, staff):
    vote(study, "alder", "birch", "AB")
    edition(study)
    answer = staff.get(page)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "private, no-store"


def test_the_board_leads_staff_there_and_shows_nobody_else(study, staff, listener):
    vote(study, "alder", "birch", "AB")
    edition(study)
    for client, seen in ((staff, True), (listener.client, False), (Client(), False)):
        assert ("/boards/open/systems/alder/" in client.get("/boards/open/").content.decode()) is seen


def test_the_admin_leads_there(study, staff):
    assert "/boards/open/systems/alder/" in staff.get("/admin/arena/system/").content.decode()
    assert "/review/?study=open" in staff.get("/admin/arena/study/").content.decode()


def test_the_queues_actions_need_their_permissions(study):
    client = logged_in("view_clip")
    form = {"study": "open", "clip": clip_of("alder").pk, "other": clip_of("birch").pk, "wanted": 3, "weight": 3}
    assert client.post("/review/again/", form).status_code == 403
    assert client.post("/review/mark/", form).status_code == 403
    assert client.get("/review/again/").status_code == 405
    assert Client().post("/review/again/", form).status_code == 302
    assert not Again.objects.exists() and not TrainingMark.objects.exists()


# ---- clips ----------------------------------------------------------------------------------------------


@pytest.fixture
def audio(study):
    """The address of a clip whose excerpt is there: 100 bytes."""
    piece = clip_of("alder").excerpts.get()
    name = default_storage.save(f"excerpts/{piece.clip_id}.mp3", ContentFile(bytes(range(100))))
    Excerpt.objects.filter(pk=piece.pk).update(size=100, file=name)
    return f"/audio/clips/{piece.clip_id}"


def test_staff_hears_a_clip_whole_or_in_part(audio, staff):
    whole = staff.get(audio)
    assert (whole.status_code, whole.content, whole["Accept-Ranges"]) == (200, bytes(range(100)), "bytes")
    assert whole["Cache-Control"] == "private, no-store" and whole["Content-Type"] == "audio/mpeg"
    part = staff.get(audio, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert part["Content-Range"] == "bytes 10-19/100"
    last = staff.get(audio, headers={"Range": "bytes=-5"})
    assert last.content == bytes(range(95, 100))
    assert staff.get(audio, headers={"Range": "bytes=200-"}).status_code == 416


def test_to_all_others_the_clip_is_not_there(audio, listener):
    for client in (Client(), listener.client, logged_in("view_clip", staff=False)):
        assert client.get(audio).status_code == 404
    User.objects.all().delete()
    assert logged_in().get(audio).status_code == 404  # staff that may not see clips
    User.objects.all().delete()
    assert logged_in("view_clip").get(audio).status_code == 200


def test_a_clip_without_a_playable_excerpt_is_not_there(audio, staff):
    Excerpt.objects.update(status="pending")
    assert staff.get(audio).status_code == 404
    assert staff.get("/audio/clips/987654321").status_code == 404
