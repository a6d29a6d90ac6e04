"""Every page keeps to the Content-Security-Policy that it is sent with: the browser complains of nothing."""

from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from scoring.boards import robustness_cards
from scoring.boards.figures import data as figures
from scoring.boards.refit import refit_board
from tests.casts.measured_model import make_measured_model
from tests.casts.reward_models import make_live
from tests.casts.votes import cast

pytestmark = pytest.mark.django_db(transaction=True)

NO_PAGES = ("/admin/logout/", "/audio/", "/api/", "/static/")
BEGIN = ("/", "/me/", "/review/", "/models/", "/listen/stage/", "/boards/stage/plots/", "/nothing/")


@pytest.fixture
def board(study):
    """Two editions with what stands beside them, drawn, and a live model with a page."""
    make_live(make_measured_model())
    for answers in ("ABA", "BAA"):
        cast(study, answers)
        edition = refit_board(study)
    robustness_cards.write_card(study, edition)
    figures.draw_figures(study)
    return study


@pytest.fixture
def boss(context, live_server):
    """A superuser, signed in in the browser."""
    user = User.objects.create_superuser("boss", password="none")
    client = Client()
    client.force_login(user)
    cookie = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
    return user


def pages_of_the_admin():
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        first = model._default_manager.first()
        if first:
            yield reverse(f"{name}_change", args=[first.pk])
        yield reverse(f"{name}_add")


def links(page):
    """The addresses of pages on this site that a page leads to, without their questions."""
    found = page.eval_on_selector_all("a[href]:not([download])", "links => links.map(a => a.getAttribute('href'))")
    for link in found:
        address = urlsplit(urldefrag(urljoin(page.url, link))[0])
        if address.netloc == urlsplit(page.url).netloc and not address.path.startswith(NO_PAGES):
            yield address.path


def test_no_page_breaks_its_policy(visitor, board, boss):
    to_see, seen = [*BEGIN, *pages_of_the_admin()], set()
    while to_see:
        path = to_see.pop()
        if path in seen or path.endswith((".csv", ".json", ".yaml", ".wav", "/file/")):
            continue
        seen.add(path)
        visitor.open(path)
        assert visitor.faults == [], path
        if not path.startswith("/admin/"):
            to_see.extend(links(visitor.page))
    assert len(seen) > 60
    assert any("/systems/" in path for path in seen) and any("/compare/" in path for path in seen)


def test_a_page_that_broke_it_would_be_noticed(visitor, board):
    visitor.open("/")
    visitor.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">red</p>')")
    visitor.page.evaluate("document.body.appendChild(document.createElement('script')).textContent = 'window.ran = 1'")
    visitor.page.wait_for_timeout(200)
    assert len(visitor.faults) == 2 and not visitor.page.evaluate("window.ran")
    visitor.faults.clear()


def test_drawings_keep_their_colours(visitor, board):
    visitor.open("/boards/stage/plots/")
    strokes = visitor.page.eval_on_selector_all(
        ".drawing svg path", "paths => paths.map(path => getComputedStyle(path).stroke)"
    )
    assert len(set(strokes)) >= 3
