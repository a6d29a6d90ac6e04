"""What becomes of an answer when the connection, the server, the storage or another tab gets in between."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Error

from annotations.models import Vote
from arena.models import Battle
from tests.casts import browser as stage

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
    listener.press("a").click("Continue with the next pair meanwhile").sees("Pair 2 of 3").hear_both()
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


def test_what_is_sent_again_is_what_was_decided(listener):
    sent = []

    def lose_the_first(route):
        sent.append(route.request.post_data)
        if len(sent) == 1:
            listener.page.get_by_label("Volume", exact=True).fill("40")
            route.abort()
        else:
            route.continue_()

    listener.page.route("**/vote/", lose_the_first)
    listener.hear_both().press("a").sees("You preferred A.")
    assert sent == [sent[0]] * 2


def test_a_listening_page_sends_what_a_closed_tab_has_left(listener, context, live_server):
    with listener.page.expect_response(lambda answer: answer.url.endswith("/B")):
        listener.hear_both()  # the second battle is served ahead
    other = context.new_page()
    other.goto(live_server.url + "/healthz")
    other.evaluate(
        """async ([after, heard]) => {
        const { call } = await import('/static/js/api.js');
        const { put } = await import('/static/js/outbox.js');
        const { body } = await call('POST', '/api/battles/', { study: 'stage', after });
        await put(body.id, 'stage', { preference: 'B', heard, first_played: 'A', switches: 1 });
    }""",
        [listener.battle_id(), {"A": [[0, 300]], "B": [[0, 300]]}],
    )
    other.close()
    listener.sees("1 answer waiting")
    with listener.page.expect_response(
        lambda answer: answer.url.endswith("/vote/") and "B" in answer.request.post_data
    ):
        listener.press("a").sees("You preferred A.")
    listener.page.locator("#queue:empty").wait_for(state="attached")


def test_a_server_that_does_not_answer_need_not_be_waited_for(listener):
    with listener.page.expect_response(lambda answer: answer.url.endswith("/B")):
        listener.hear_both()
    listener.page.wait_for_timeout(200)
    held = []
    listener.page.route("**/vote/", lambda route: held.append(route))
    listener.press("a").sees("The server has not answered yet. Your answer is kept on this device")
    listener.click("Continue with the next pair meanwhile").sees("Pair 2 of 3").sees("1 answer waiting")
    held[0].continue_()
    listener.page.locator("#queue:empty").wait_for(state="attached")
    assert Vote.objects.count() == 1


def test_an_undo_is_one_request_and_its_outcome_is_told_after_the_seconds_too(visitor):
    visitor.page.clock.install()
    listener = visitor.open().agree()
    listener.hear_both().press("a").sees("You preferred A.")
    held = []
    listener.page.route("**/vote/", lambda route: held.append(route))
    undo = listener.page.get_by_role("button", name="Take it back")
    undo.click()
    undo.click(force=True)
    listener.page.clock.fast_forward(12_000)
    assert undo.is_visible(), "the seconds wait for the outcome"
    assert len(held) == 1
    held[0].continue_()
    listener.sees("Taken back: your answer is marked as withdrawn")
    assert listener.page.evaluate("document.activeElement.id") == "said"
    assert listener.page.locator("#said").inner_text() == "Taken back"
    assert not listener.page.get_by_text("Saved", exact=True).is_visible()


def test_asking_for_more_like_this_is_one_request_and_does_not_bring_back_who_has_gone_on(listener):
    ahead, likes = [], []
    listener.page.route(
        "**/api/battles/", lambda route: (likes if "like" in route.request.post_data else ahead).append(route)
    )
    listener.hear_both().press("a").sees("You preferred A.")
    like = listener.page.locator("#like")
    like.click()
    assert like.inner_text() == "Loading two clips…"
    like.click(force=True)
    listener.click("Next pair")
    ahead[0].continue_()
    listener.sees("Pair 2 of 3").wait_for_battle()
    assert len(likes) == 1
    likes[0].fulfill(status=201, json={"id": "liked", "clips": {slot: {"url": "/nowhere"} for slot in "AB"}})
    listener.page.wait_for_timeout(300)
    assert listener.page.get_by_text("Which one is better?").is_visible()


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
    visitor.press("a").sees("Your answer is kept in this tab, so leave the tab open")
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
    listener.press("a").sees("This browser has forgotten who you are").sees("What is stored")


def test_a_stale_csrf_token_is_renewed_unnoticed(listener, context):
    listener.hear_both()
    context.clear_cookies(name="csrftoken")
    listener.press("a").sees("You preferred A.")


def test_what_is_waited_for_is_said_where_it_can_be_seen_and_every_trouble_has_the_focus(visitor):
    held = []
    visitor.open().sees("What is stored")
    visitor.page.route("**/api/battles/", lambda route: held.append(route))
    visitor.click("Agree and start listening").sees("Loading two clips…")
    for number in (0, 1):
        held[number].fulfill(status=409, json={"code": "new_to_this_page", "detail": "Some English"})
        visitor.sees("The server did not accept that.")
        assert visitor.page.evaluate("document.activeElement.id") == "trouble-title"
        visitor.click("Try again").sees("Loading two clips…")
    held[2].continue_()
    visitor.wait_for_battle()


def test_who_leaves_a_battle_behind_hears_no_more_of_it(listener):
    ahead = []
    listener.page.route(
        "**/api/battles/",
        lambda route: route.continue_() if "like" in route.request.post_data else ahead.append(route),
    )
    listener.hear_both().press("a").sees("You preferred A.").press("Space")
    listener.page.locator('#play[data-playing="true"]').wait_for()
    listener.page.route("**/audio/**", lambda route: route.fulfill(status=200, body=b"not audio"))
    listener.page.locator("#like").click()
    listener.sees("This pair cannot be played here")
    assert listener.page.locator('#play[data-playing="false"]').count() == 1


def test_a_skip_without_a_connection_takes_no_answer_meanwhile(listener, context):
    with listener.page.expect_response(lambda answer: answer.url.endswith("/B")):
        listener.hear_both()
    listener.page.get_by_text("Skip this pair").click()
    context.set_offline(True)
    listener.click("I cannot decide").sees("Saving…").sees("No connection. Trying again")
    assert listener.answer("A is better").is_disabled()
    context.set_offline(False)
    listener.sees("Pair 2 of 3")
    assert Battle.objects.get(close_reason="skipped").skip_reason == "cannot_decide"


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
