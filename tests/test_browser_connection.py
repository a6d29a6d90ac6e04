"""What becomes of an answer when the connection, the server, the storage or another tab gets in between."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Error

from annotations.models import Vote
from arena.models import Battle

from . import browser as stage
from .browser import a_chromium, a_context, a_listener, a_visitor, some_excerpts, the_stage  # noqa: F401 (fixtures)

pytestmark = pytest.mark.django_db(transaction=True)


# ---- the connection ----


def test_an_answer_given_offline_survives_a_reload_and_counts_once(listener, context):
    listener.hear_both()
    context.set_offline(True)
    listener.press("a").sees("No connection. Your answer is kept on this device").sees("1 answer waiting")
    with pytest.raises(Error, match="DISCONNECTED"):
        listener.page.reload()
    context.set_offline(False)
    listener.open().sees("Your last answer is saved.").sees("Pair 2 of 3")
    assert Vote.objects.get().preference == "A"
    assert listener.page.locator("#queue").inner_text() == ""


def test_a_lost_connection_is_retried_and_counts_once(listener, context):
    listener.hear_both()
    context.set_offline(True)
    listener.press("a").sees("No connection.")
    context.set_offline(False)
    listener.sees("You preferred A.")
    assert Vote.objects.count() == 1


def test_the_next_pair_can_be_heard_while_the_answer_waits(listener, context):
    with listener.page.expect_response(lambda answer: answer.url.endswith("/B")):
        listener.hear_both()
    listener.page.wait_for_timeout(200)  # to decode it
    context.set_offline(True)
    listener.press("a").click("Go on with the next pair meanwhile").sees("Pair 2 of 3").hear_both()
    listener.press("b").sees("2 answers waiting")
    context.set_offline(False)
    listener.sees("You preferred B.")
    listener.page.locator("#queue:empty").wait_for(state="attached")
    assert list(Vote.objects.order_by("battle__served_at").values_list("preference", flat=True)) == ["A", "B"]


def test_a_vote_whose_acknowledgement_was_lost_counts_once(listener):
    keys = []

    def lose_the_first_answer(route):
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    listener.page.route("**/vote/", lose_the_first_answer)
    listener.hear_both().press("a").sees("You preferred A.")
    assert keys == [keys[0]] * 2, "the same answer is sent again under the same key"
    assert Vote.objects.count() == 1


def test_a_busy_server_is_told_apart_from_no_connection(listener):
    listener.page.route("**/vote/", lambda route: route.fulfill(status=503))
    listener.hear_both().press("a").sees("The server is busy. Your answer is kept on this device")
    listener.page.unroute("**/vote/")
    listener.sees("You preferred A.")


def test_listening_that_the_server_does_not_confirm_can_be_made_up_for(listener):
    refusal = {"code": "not_heard", "detail": "…", "missing_ms": {"A": 0, "B": 900}}
    listener.page.route("**/vote/", lambda route: route.fulfill(status=422, body=json.dumps(refusal)))
    listener.hear_both().press("a").sees("Please listen to 1 s more of B, then answer again.")
    listener.page.unroute("**/vote/")
    listener.press("a").sees("You preferred A.")


def test_where_the_browser_keeps_nothing_the_page_says_to_stay_open(visitor, context):
    visitor.page.add_init_script("""
        const get = () => { throw new DOMException('denied', 'SecurityError'); };
        const stores = ['indexedDB', 'localStorage', 'sessionStorage'];
        for (const name of stores) Object.defineProperty(window, name, { get });
    """)
    visitor.open().agree().hear_both()
    context.set_offline(True)
    visitor.press("a").sees("Your answer is kept in this tab, so leave it open")
    context.set_offline(False)
    visitor.sees("You preferred A.")


def test_a_browser_without_cookies_is_told_what_is_wrong(visitor):
    visitor.page.route("**/api/battles/", lambda route: route.fulfill(status=401, body='{"code": "not_authenticated"}'))
    visitor.open().click("Agree and start listening").sees("This browser keeps no cookies for this site")


def test_an_expired_battle_says_so_and_is_followed_by_another(listener):
    listener.hear_both()
    Battle.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    listener.press("a").sees("too old to be answered").wait_for_battle()
    assert not Vote.objects.exists()


def test_a_forgotten_cookie_leads_back_to_consent(listener, context):
    with listener.page.expect_response(lambda answer: answer.url.endswith("/B")):
        listener.hear_both()  # the next battle is prefetched: it must not be shown
    context.clear_cookies(name="rater")
    listener.press("a").sees("This browser has forgotten who you are").sees("What is kept")


def test_a_stale_csrf_token_is_renewed_unnoticed(listener, context):
    listener.hear_both()
    context.clear_cookies(name="csrftoken")
    listener.press("a").sees("You preferred A.")


# ---- the clips ----


def test_a_clip_that_cannot_be_decoded_says_so_and_can_be_skipped(visitor):
    visitor.page.route("**/audio/**", lambda route: route.fulfill(status=200, body=b"not audio"))
    visitor.open().click("Agree and start listening")
    visitor.sees("This pair cannot be played here")
    visitor.page.unroute("**/audio/**")
    visitor.page.get_by_role("button", name="Skip this pair").click()
    visitor.sees("Pair 2 of 3")
    assert Battle.objects.get(close_reason="skipped").skip_reason == "cannot_play"


def test_a_withdrawn_clip_says_so_and_can_be_skipped(visitor, settings):
    for file in (settings.MEDIA_ROOT / "excerpts").iterdir():
        file.unlink()
    visitor.open().click("Agree and start listening").sees("This clip has been withdrawn")
    with visitor.page.expect_response(lambda answer: answer.url.endswith("/skip/")):
        visitor.click("Skip this pair")
    assert Battle.objects.get(close_reason="skipped").skip_reason == "cannot_play"


# ---- the same battle ----


def test_a_reload_finds_the_same_battle_even_with_the_next_one_prefetched(listener):
    before = listener.battle_id()
    with listener.page.expect_response(lambda answer: answer.url.endswith("/api/battles/")):
        listener.hear_both()
    listener.page.reload()
    listener.wait_for_battle().sees("Pair 1 of 3")
    assert listener.battle_id() == before


def test_two_tabs_see_the_same_battle_and_the_first_answer_stands(listener, context, live_server):
    other = stage.Visitor(context.new_page(), live_server.url).open().wait_for_battle()
    assert other.battle_id() == listener.battle_id()
    other.hear_both().press("b").sees("You preferred B.")
    listener.page.bring_to_front()
    listener.hear_both().press("a").sees("You have answered this one already")
    listener.wait_for_battle()
    assert Vote.objects.get().preference == "B"


def test_going_back_never_finds_an_answered_battle(listener):
    listener.hear_both().press("a").sees("You preferred A.")
    listener.page.get_by_role("link", name="Board").click()
    listener.page.wait_for_url("**/boards/stage/")
    listener.page.go_back()
    listener.sees("Pair 2 of 3")


def test_a_page_out_of_the_browsers_memory_asks_anew(listener):
    listener.hear_both().press("a").sees("You preferred A.")
    with listener.page.expect_navigation():
        listener.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    listener.sees("Pair 2 of 3")
