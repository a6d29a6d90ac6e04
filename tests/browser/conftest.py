"""A stage whose excerpts can really be played, and a visitor in a real Chromium before it."""

import pytest

from tests.casts import static_site
from tests.casts.browser import Visitor, build_study, cut_excerpts


@pytest.fixture(scope="module")
def excerpts(tmp_path_factory):
    return cut_excerpts(tmp_path_factory.mktemp("excerpts"))


@pytest.fixture
def study(transactional_db, excerpts, settings):
    return build_study(excerpts, settings.MEDIA_ROOT)


@pytest.fixture
def context(chromium, study):
    context = chromium.new_context(viewport={"width": 1024, "height": 900})
    under_way = set()
    context.on("request", lambda request: under_way.add(request))
    context.on("requestfinished", lambda request: under_way.discard(request))
    context.on("requestfailed", lambda request: under_way.discard(request))
    yield context
    for _ in range(40):  # the database is about to be emptied: not under a request
        if under_way:
            context.pages[0].wait_for_timeout(50)
    context.close()


@pytest.fixture
def visitor(context, live_server):
    visitor = Visitor(context.new_page(), live_server.url)
    yield visitor
    assert visitor.faults == [], "the page raised errors"


@pytest.fixture
def listener(visitor):
    """A visitor who has agreed and has a battle before them."""
    return visitor.open().agree()


# ---- for modules of the page by themselves: no server, no database ----


@pytest.fixture(scope="module")
def static_address():
    with static_site.serve() as address:
        yield address


@pytest.fixture
def open_page(chromium, static_address):
    """open_page(html, **options of the browser's context): a page with this body that does nothing by itself."""
    contexts = []

    def open_page(html="", **options):
        contexts.append(chromium.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        page.goto(f"{static_address}/static/css/")
        page.evaluate("(html) => { document.body.innerHTML = html; }", html)
        return page

    yield open_page
    for context in contexts:
        context.close()
