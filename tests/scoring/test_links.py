"""Every link on every page leads somewhere, whoever follows it."""

import re
from collections import deque
from html import unescape
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client

from annotations import ledger_heads
from arena.models import Clip, Excerpt, Study
from scoring.boards import categories, robustness_cards
from scoring.boards.figures import data as figures
from scoring.jury.rewards import store_rewards
from scoring.models import RewardModel
from tests.casts.listener import Listener
from tests.casts.staff import edition, vote

LINK = re.compile(r'\b(?:href|src)="([^"]*)"')
BEGIN = ("/", "/me/", "/models/", "/listen/open/", "/boards/open/", "/boards/open/?edition=1", "/boards/open/compare/")
MOST = 600  # addresses; the admin's filters and orders are endless
SIGNS_OUT = ("/admin/logout/", "/admin/jsi18n/")


@pytest.fixture
def arena(study, monkeypatch):
    """Two editions with all that stands beside them, a young board, an empty study and one that is closed."""
    monkeypatch.setattr(figures, "_drawn", lambda name, data: {})
    for n in range(2):
        for a, b in (("alder", "birch"), ("birch", "cedar"), ("alder", "cedar")):
            vote(study, a, b, "AABAB", prompt=n)
        edition(study)
    young = Study.objects.create(slug="young", name="Young", excerpt_s=10, boards_public=True)
    young.systems.set(study.systems.all())
    vote(young, "alder", "birch", "A")
    edition(young)
    Study.objects.create(slug="empty", name="Empty", excerpt_s=10)
    closed = Study.objects.create(slug="closed", name="Closed", is_open=False, excerpt_s=10)
    closed.systems.set(study.systems.all())
    model = RewardModel.objects.create(name="ear", encoders=[], weights="w", sha256="s", status="live")
    store_rewards(model, {clip.pk: clip.pk % 5 / 10 for clip in Clip.objects.all()})
    for each in (study, young):
        categories.compute_categories(each)
        robustness_cards.write_card(each)
        figures.draw_figures(each)
    ledger_heads.publish()
    for excerpt in Excerpt.objects.all():
        default_storage.save(excerpt.file.name, ContentFile(b"sound"))
    return study


def crawl(client, begin, within=""):
    """{address: (status, where it was found)} of what answered with an error."""
    found, waiting, wrong = dict.fromkeys(begin, "the beginning"), deque(begin), {}
    while waiting:
        address = waiting.popleft()
        answer = client.get(address)
        if answer.status_code >= 400:
            wrong[address] = answer.status_code, found[address]
        if answer.status_code in (301, 302):
            links = [answer["Location"]]
        elif answer.headers.get("Content-Type", "").startswith("text/html"):
            links = LINK.findall(answer.content.decode())
        else:
            links = []
        for link in links:
            target = urldefrag(urljoin(address, unescape(link)))[0]
            if leads_away(target) or target in found or len(found) >= MOST:
                continue
            if target.startswith("/static/"):
                if not finders.find(target.removeprefix("/static/").partition("?")[0]):
                    wrong[target] = 404, address
                found[target] = address
            elif target.startswith(within or "/"):
                found[target] = address
                waiting.append(target)
    assert len(found) > 20
    return wrong


def leads_away(target):
    parts = urlsplit(target)
    return bool(parts.scheme or parts.netloc) or target.startswith(SIGNS_OUT) or not target


def signed_in(**who):
    client = Client()
    client.force_login(User.objects.create_user("somebody", is_staff=True, **who))
    return client


def test_nobody_meets_a_dead_link(arena):
    assert crawl(Client(), BEGIN) == {}


def test_no_listener_meets_a_dead_link(arena, time_passes):
    listener = Listener().agree()
    battle = listener.battle()
    time_passes(9)
    assert listener.vote(battle).status_code == 201
    assert crawl(listener.client, BEGIN) == {}


@pytest.mark.parametrize("who", ["staff", "admin"])
def test_nobody_of_the_staff_meets_a_dead_link(arena, who):
    client = signed_in(is_superuser=who == "admin")
    assert crawl(client, [*BEGIN, "/boards/open/method/", "/boards/empty/"]) == {}


def test_no_admin_meets_a_dead_link_in_the_admin(arena):
    assert crawl(signed_in(is_superuser=True), ["/admin/"], within="/admin/") == {}
