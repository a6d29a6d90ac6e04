"""Votes on their way: written down first, sent until the server decides, one vote whatever happens in between.

The modules themselves in a real Chromium: against the real server where it is the server that makes it one vote, else
against answers made up here."""

import json

import pytest

from annotations.models import Vote
from tests.casts import browser as stage

BODY = {"preference": "A", "heard": {"A": [[0, 350]], "B": [[0, 350]]}, "first_played": "A", "switches": 1}

NEW_BATTLE = """async () => {
    const { call } = await import('/static/js/api.js');
    await call('POST', '/api/raters/', { study: 'stage', consent_version: 1 });
    return (await call('POST', '/api/battles/', { study: 'stage' })).body.id;
}"""
PUT = """async ([battle, body]) => {
    const { put } = await import('/static/js/outbox.js');
    return put(battle, 'stage', body);
}"""
# Sends what waits; a pause ends at once, as it does when the browser comes back online.
SEND = """async () => {
    const { send, waiting } = await import('/static/js/outbox.js');
    const statuses = [], pauses = [];
    for (const record of await waiting()) {
        const reply = await send(record, (seconds, { busy }) => {
            pauses.push([seconds, busy]);
            setTimeout(() => dispatchEvent(new Event('online')));
        });
        statuses.push(reply?.status);
    }
    return { statuses, pauses };
}"""
START_SENDING = f"() => {{ window.sending = ({SEND})(); }}"
SEND_ALL = "() => { window.sent = import('/static/js/outbox.js').then(({ sendAll }) => sendAll()); }"
WAITING = "async () => (await import('/static/js/outbox.js')).waiting()"
UNTIL_SENT = """async () => {
    const { count } = await import('/static/js/outbox.js');
    while (await count()) await new Promise((done) => setTimeout(done, 20));
}"""
LOAD_SENDER = "() => { import('/static/js/sender.js'); }"


@pytest.fixture
def context(chromium):
    context = chromium.new_context()
    context.set_default_timeout(30_000)
    yield context
    context.close()


# ---- with the real server ----


@pytest.fixture
def address(transactional_db, live_server, excerpts, settings):
    stage.build_study(excerpts, settings.MEDIA_ROOT)
    return live_server.url


def rest_on(page, address):
    """Let the page rest where it does nothing; the front page has set the CSRF cookie before."""
    page.goto(address + "/")
    page.goto(address + "/healthz")
    return page


@pytest.fixture
def page(context, address):
    return rest_on(context.new_page(), address)


def put(page):
    """Answer a new battle; the record."""
    return page.evaluate(PUT, [page.evaluate(NEW_BATTLE), BODY])


@pytest.mark.django_db(transaction=True)
def test_an_answer_given_offline_survives_a_reload_and_is_one_vote(page, context):
    battle = page.evaluate(NEW_BATTLE)
    page.evaluate(WAITING)  # the modules are there before the connection goes
    context.set_offline(True)
    record = page.evaluate(PUT, [battle, BODY])
    page.evaluate(START_SENDING)
    context.route("**/vote/", lambda route: route.abort())  # this page never gets it out
    context.set_offline(False)
    page.reload()
    context.unroute("**/vote/")
    assert record["durable"] and page.evaluate(WAITING) == [record]
    assert page.evaluate(SEND)["statuses"] == [201]
    assert page.evaluate(WAITING) == []
    assert str(Vote.objects.get().battle_id) == battle


@pytest.mark.django_db(transaction=True)
def test_a_lost_answer_is_asked_for_again_under_the_same_key(page):
    keys = []

    def lose_the_first(route):
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/vote/", lose_the_first)
    record = put(page)
    assert page.evaluate(SEND) == {"statuses": [201], "pauses": [[1, False]]}
    assert keys == [record["key"]] * 2
    assert Vote.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_tabs_that_send_at_once_send_it_once(page, context, address):
    other = rest_on(context.new_page(), address)
    sent = []
    context.on("request", lambda request: request.url.endswith("/vote/") and sent.append(request))
    put(page)
    for tab in (page, other):
        tab.evaluate(SEND_ALL)
    for tab in (page, other):
        tab.evaluate("window.sent")
    assert len(sent) == 1 and Vote.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_without_locks_it_is_still_one_vote(context, address):
    context.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined })")
    page, other = (rest_on(context.new_page(), address) for _ in range(2))
    put(page)
    page.evaluate(START_SENDING)
    assert set(other.evaluate(SEND)["statuses"]) <= {201}
    assert page.evaluate("window.sending")["statuses"] == [201]
    assert Vote.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_another_page_of_the_site_sends_what_waits(page, context, address):
    put(page)
    front = context.new_page()
    front.goto(address + "/")
    front.evaluate(LOAD_SENDER)
    front.evaluate(UNTIL_SENT)
    assert Vote.objects.count() == 1


# ---- with answers made up here ----


class Site:
    """Pages without a server behind them: `answers` are given one after the other, then 201."""

    def __init__(self, address):
        self.address = address
        self.answers, self.keys = [], []

    def open(self, context):
        context.route("**/api/battles/*/vote/", self._answer)
        page = context.new_page()
        page.goto(self.address + "/static/css/")
        return page

    def _answer(self, route):
        self.keys.append(route.request.headers["idempotency-key"])
        decided = {"status": 201, "json": {"id": 1, "systems": {"A": "x", "B": "y"}}}
        route.fulfill(**(self.answers.pop(0) if self.answers else decided))


@pytest.fixture
def site(static_address):
    return Site(static_address)


@pytest.fixture
def tab(site, context):
    return site.open(context)


def test_the_record_is_there_after_the_browser_was_closed(chromium, site, tmp_path):
    def launch():
        return chromium.browser_type.launch_persistent_context(
            tmp_path / "profile", executable_path=stage.find_chromium(), args=[*stage.SWITCHES, "--no-sandbox"]
        )

    browser = launch()
    record = site.open(browser).evaluate(PUT, ["b1", BODY])
    browser.close()
    browser = launch()
    page = site.open(browser)
    assert page.evaluate(WAITING) == [record]
    assert page.evaluate(SEND)["statuses"] == [201]
    assert page.evaluate(WAITING) == []
    browser.close()
    assert site.keys == [record["key"]]


def test_only_the_servers_own_word_decides(tab, site):
    refused = {"code": "csrf_failed", "detail": "no token"}
    undecided = [
        {"status": 200, "content_type": "text/html", "body": "<h1>Welcome to our hotel</h1>"},
        {"status": 200, "json": {}},
        {"status": 403, "content_type": "text/html", "body": "<h1>Pay first</h1>"},
        {"status": 404, "body": ""},
        {"status": 429, "json": {"detail": "slow down"}},
        {"status": 503, "body": ""},
    ]
    site.answers = [*undecided, *[{"status": 403, "json": refused}] * 2]  # with an old and with a fresh token
    record = tab.evaluate(PUT, ["b1", BODY])
    outcome = tab.evaluate(SEND)
    assert outcome["statuses"] == [201]
    assert [seconds for seconds, _ in outcome["pauses"]] == [1, 2, 4, 8, 16, 30, 30]
    assert site.keys == [record["key"]] * 9


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
def test_a_refusal_decides_too(tab, site, status):
    site.answers = [{"status": status, "json": {"code": "refused", "detail": "No."}}]
    tab.evaluate(PUT, ["b1", BODY])
    assert tab.evaluate(SEND) == {"statuses": [status], "pauses": []}
    assert tab.evaluate(WAITING) == []


def test_answers_go_out_in_the_order_they_were_given(tab, site):
    keys = [tab.evaluate(PUT, [battle, BODY])["key"] for battle in ("z", "a", "m")]
    tab.evaluate(SEND_ALL)
    tab.evaluate("window.sent")
    assert site.keys == keys


@pytest.mark.parametrize("stored", [True, False])
def test_of_two_answers_to_one_battle_the_first_is_sent_from_whichever_tab(context, site, stored):
    if not stored:
        context.add_init_script(BLOCKED)
    tab = site.open(context)
    first = tab.evaluate(PUT, ["b1", BODY])
    second = (site.open(context) if stored else tab).evaluate(PUT, ["b1", {**BODY, "preference": "B"}])
    assert second == {**first, "earlier": True}
    assert tab.evaluate(WAITING) == [first]


# One attempt, after which it waits for the next.
SEND_UNTIL_PAUSE = """async () => {
    const { send, waiting } = await import('/static/js/outbox.js');
    const [record] = await waiting();
    await new Promise((paused) => { window.sending = send(record, paused); });
}"""
FORGET = """() => {
    new BroadcastChannel('arena.outbox').postMessage('forget');
    indexedDB.deleteDatabase('arena');
}"""


@pytest.mark.parametrize("stored", [True, False])
def test_an_answer_forgotten_on_another_page_is_not_sent_again(context, site, stored):
    if not stored:
        context.add_init_script(BLOCKED)
    site.answers = [{"status": 503, "body": ""}]
    tab, other = site.open(context), site.open(context)
    tab.evaluate(PUT, ["b1", BODY])
    tab.evaluate(SEND_UNTIL_PAUSE)
    other.evaluate(FORGET if stored else FORGET.replace("indexedDB.deleteDatabase('arena');", ""))
    assert tab.evaluate("window.sending") is None
    assert len(site.keys) == 1 and tab.evaluate(WAITING) == []


def test_who_waits_to_send_what_another_tab_has_sent_learns_what_became_of_it(context, site):
    site.answers = [{"status": 503, "body": ""}]
    tab, other = site.open(context), site.open(context)
    tab.evaluate(PUT, ["b1", BODY])
    tab.evaluate(SEND_UNTIL_PAUSE)
    other.evaluate(SEND)
    assert tab.evaluate("window.sending.then(({ status }) => status)") == 201
    assert len(site.keys) == 2


BLOCKED = "IDBFactory.prototype.open = () => { throw new DOMException('blocked', 'SecurityError'); };"
SILENT = "IDBFactory.prototype.open = () => ({});"
FULL = "IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError'); };"
TIMED_PUT = f"""async (what) => {{
    const began = performance.now();
    const record = await ({PUT})(what);
    return [record, performance.now() - began];
}}"""


@pytest.mark.parametrize("storage", [BLOCKED, SILENT, FULL], ids=["blocked", "silent", "full"])
def test_where_nothing_can_be_stored_the_answer_is_sent_all_the_same(context, site, storage):
    context.add_init_script(storage)
    tab = site.open(context)
    record, took_ms = tab.evaluate(TIMED_PUT, ["b1", BODY])
    assert not record["durable"] and took_ms < 1500
    assert tab.evaluate(WAITING) == [record]
    assert tab.evaluate(SEND)["statuses"] == [201]
    assert tab.evaluate(WAITING) == []


def keep_as_before(tab, name, text):
    tab.evaluate("([name, text]) => localStorage.setItem(name, text)", [f"arena.vote.{name}", text])


def test_answers_that_an_older_version_kept_are_taken_over_once(tab, site):
    old = {"battle": "b1", "study": "stage", "body": BODY, "key": "old-key"}
    keep_as_before(tab, "b1", json.dumps(old))
    keep_as_before(tab, "broken", "{")
    keep_as_before(tab, "strange", "{}")
    assert tab.evaluate(WAITING) == [{**old, "durable": True}]
    assert tab.evaluate("localStorage.length") == 0
    tab.evaluate(SEND)
    tab.reload()
    assert tab.evaluate(WAITING) == [] and site.keys == ["old-key"]


def test_what_an_older_version_kept_is_sent_even_if_it_cannot_be_moved(context, site):
    context.add_init_script(BLOCKED)
    tab = site.open(context)
    keep_as_before(tab, "b1", json.dumps({"battle": "b1", "study": "stage", "body": BODY, "key": "old-key"}))
    assert tab.evaluate(SEND)["statuses"] == [201]
    assert tab.evaluate(WAITING) == [] and tab.evaluate("localStorage.length") == 0


def test_a_page_left_open_sends_when_the_browser_is_back_online(tab, context, site):
    tab.evaluate(WAITING)
    tab.evaluate("async () => { await import('/static/js/sender.js'); }")
    context.set_offline(True)
    tab.evaluate(PUT, ["b1", BODY])
    assert site.keys == []
    context.set_offline(False)
    tab.evaluate(UNTIL_SENT)
    assert len(site.keys) == 1


def test_the_sender_leaves_the_listening_page_to_itself(tab):
    tab.evaluate(PUT, ["b1", BODY])
    tab.evaluate("document.body.innerHTML = '<main id=listen></main>'")
    tab.evaluate("async () => { await import('/static/js/sender.js'); }")
    assert len(tab.evaluate(WAITING)) == 1


def test_every_tab_hears_that_the_queue_has_changed(tab, site, context):
    other = site.open(context)
    other.evaluate("""async () => {
        const { count, onChange } = await import('/static/js/outbox.js');
        window.counts = [];
        onChange(async () => counts.push(await count()));
    }""")
    tab.evaluate(PUT, ["b1", BODY])
    other.wait_for_function("window.counts.at(-1) === 1")
    tab.evaluate(SEND)
    other.wait_for_function("window.counts.at(-1) === 0")
