"""What a listener sees, in a real Chromium against a real server."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from annotations import ledger
from annotations.models import Flag, Vote
from annotations.services import Answer, cast_vote
from arena.models import Battle, Study
from arena.services import give_consent, serve_battle
from scoring.services import refit_board

from . import browser as stage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def chromium():
    with stage.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def excerpts(tmp_path_factory):
    return stage.cut_excerpts(tmp_path_factory.mktemp("excerpts"))


@pytest.fixture
def study(transactional_db, excerpts, settings):
    return stage.build_study(excerpts, settings.MEDIA_ROOT)


@pytest.fixture
def context(chromium, study):
    context = chromium.new_context(viewport={"width": 1024, "height": 900})
    yield context
    context.close()


@pytest.fixture
def visitor(context, live_server):
    visitor = stage.Visitor(context.new_page(), live_server.url)
    yield visitor
    assert visitor.faults == [], "the page raised errors"


@pytest.fixture
def listener(visitor):
    """A visitor who has agreed and has a battle before them."""
    return visitor.open().agree()


def last_vote():
    return Vote.objects.latest("pk")


# ---- the ordinary way ----


def test_a_whole_battle_by_keyboard_alone(visitor):
    visitor.open("/")
    for _ in range(10):
        visitor.press("Tab")
        if visitor.page.evaluate("document.activeElement.textContent") == "Start listening":
            break
    visitor.press("Enter").sees("What is kept")
    for _ in range(10):
        visitor.press("Tab")
        if visitor.page.evaluate("document.activeElement.id") == "agree":
            break
    visitor.press("Enter").sees("Pair 1 of 3")
    visitor.press("Space", stage.GATE_MS + 150).press("x").sees("Both heard.")
    visitor.press("b").sees("You preferred B.")
    visitor.press("Enter").sees("Pair 2 of 3")
    vote = last_vote()
    assert (vote.preference, vote.first_played, vote.switches) == ("B", "A", 1)


def test_a_whole_battle_by_mouse(listener):
    page = listener.page
    page.locator('[data-clip="B"]').click()
    page.wait_for_timeout(stage.GATE_MS + 150)
    page.locator('[data-clip="A"]').click()
    listener.sees("Both heard.").answer("Equally good").click()
    listener.sees("You heard them as equally good.")
    vote = last_vote()
    assert (vote.preference, vote.first_played) == ("TIE", "B")
    page.get_by_role("button", name="Next pair").click()
    listener.sees("Pair 2 of 3")


def test_the_pairs_are_counted_right_even_if_the_next_one_is_served_after_the_vote(listener):
    held = []
    listener.page.route("**/api/battles/", lambda route: held.append(route))
    listener.hear_both().press("a").sees("You preferred A.")
    held[0].continue_()
    listener.page.unroute("**/api/battles/")
    listener.press("Enter").sees("Pair 2 of 3")


def test_the_reveal_names_both_systems_and_what_others_said(listener):
    listener.hear_both().press("a").sees("You preferred A.")
    battle = last_vote().battle
    assert listener.page.locator("#system-a").inner_text() == battle.system_a.name
    assert listener.page.locator("#system-b").inner_text() == battle.system_b.name
    listener.sees("Nobody else has compared these two systems yet.")


def test_an_answer_can_be_taken_back(listener):
    listener.hear_both().press("a")
    listener.page.get_by_role("button", name="Take it back").click()
    listener.sees("Taken back")
    assert Flag.objects.get().rule == Flag.WITHDRAWN


def test_a_comment_goes_with_the_answer_and_typing_it_is_no_shortcut(listener):
    listener.hear_both()
    listener.page.get_by_text("Add a comment").click()
    listener.page.get_by_label("Comment").type("a better bass in B")
    assert not Vote.objects.exists()
    listener.answer("B is better").click()
    listener.sees("You preferred B.")
    assert last_vote().details.comment == "a better bass in B"


def test_a_skip_is_recorded_with_its_reason(listener):
    listener.page.get_by_text("Skip this one").click()
    listener.page.get_by_role("button", name="I know these clips").click()
    listener.sees("Pair 2 of 3")
    assert Battle.objects.get(close_reason="skipped").skip_reason == "heard_before"


# ---- listening ----


def test_answers_are_locked_until_both_clips_are_heard(listener):
    button = listener.answer("A is better")
    assert button.get_attribute("aria-disabled") == "true"
    listener.press("a").sees("Not yet: please listen to 1 s more of A and 1 s more of B.")
    listener.press("1", stage.GATE_MS + 150).sees("A is heard. Now listen to B.")
    listener.press("a").sees("Not yet: please listen to 1 s more of B.")
    assert not Vote.objects.exists()
    listener.press("2").sees("Both heard.")
    assert button.get_attribute("aria-disabled") == "false"


def test_what_is_reported_as_heard_is_what_was_audible(listener):
    listener.press("1", 500).press("Space", 400)  # A, then silence
    listener.press("Space", 300).press("x", 400)  # more of A, then B from there
    listener.press("Home", 400).press("b").sees("You preferred B.")
    heard = last_vote().heard
    (first, second), (third, again) = heard["A"], heard["B"]
    assert first[0] == 0 and first[1] == second[0], "a pause loses nothing and adds nothing"
    assert second[1] == third[0], "a switch takes over where the other clip was"
    assert again[0] == 0, "Home goes back to the start"
    assert 350 < first[1] < 800 and 250 < again[1] < 800


def test_the_clip_ends_and_starts_again(listener):
    listener.press("Space", stage.LENGTH_MS + 300)
    assert listener.page.get_by_role("button", name="Play", exact=True).is_visible()
    listener.press("Space", 200)
    assert listener.page.get_by_role("button", name="Pause", exact=True).is_visible()


def test_a_switch_while_playing_makes_no_jump(visitor):
    """The player's own graph, rendered: two different sines, three quick switches within one crossfade."""
    steepest = visitor.open("/").page.evaluate("""async () => {
        const { Player } = await import('/static/js/player.js');
        const rate = 48000, context = new OfflineAudioContext(1, rate, rate);
        const sine = (hz, phase) => {
            const buffer = new AudioBuffer({ length: rate, sampleRate: rate });
            const samples = buffer.getChannelData(0);
            samples.forEach((_, i) => { samples[i] = 0.5 * Math.sin(2 * Math.PI * hz * i / rate + phase); });
            return buffer;
        };
        const ignore = { audible() {}, silent() {}, changed() {} };
        const player = new Player(context, { A: sine(220, 0), B: sine(330, 2) }, 1, ignore);
        player.play();
        for (const [at, slot] of [[0.3, 'B'], [0.304, 'A'], [0.309, 'B'], [0.6, 'A']]) {
            context.suspend(at).then(() => { player.switchTo(slot); context.resume(); });
        }
        const samples = (await context.startRendering()).getChannelData(0);
        let most = 0, loudest = 0;
        for (let i = 1; i < rate * 0.9; i += 1) {
            most = Math.max(most, Math.abs(samples[i] - samples[i - 1]));
            loudest = Math.max(loudest, Math.abs(samples[i]));
        }
        return { most, loudest };
    }""")
    assert steepest["loudest"] > 0.45, "something was played"
    # Both sines at full slope, and the crossfade's own: half a turn's quarter over 15 ms.
    assert steepest["most"] < 0.5 * 2 * 3.1416 * (220 + 330) / 48_000 + 2 * 0.5 * 1.5708 / (0.015 * 48_000)


def test_a_clip_that_cannot_be_decoded_says_so_and_can_be_skipped(visitor):
    visitor.page.route("**/audio/**", lambda route: route.fulfill(status=200, body=b"not audio"))
    visitor.open().page.get_by_role("button", name="Agree and start listening").click()
    visitor.sees("This pair cannot be played here")
    visitor.page.unroute("**/audio/**")
    visitor.page.get_by_role("button", name="Skip this pair").click()
    visitor.sees("Pair 2 of 3")
    assert Battle.objects.get(close_reason="skipped").skip_reason == "cannot_play"


def test_part_of_an_excerpt_can_be_asked_for(listener):
    status, content_range, size = listener.page.evaluate(
        """async (id) => {
            const answer = await fetch(`/audio/${id}/A`, { headers: { Range: 'bytes=100-199' } });
            return [answer.status, answer.headers.get('Content-Range'), (await answer.arrayBuffer()).byteLength];
        }""",
        listener.battle_id(),
    )
    assert (status, size) == (206, 100)
    assert content_range.startswith("bytes 100-199/")


# ---- the connection ----


def test_a_lost_connection_is_retried_and_counts_once(listener, context):
    listener.hear_both()
    context.set_offline(True)
    listener.press("a").sees("No connection. Your answer is kept on this device")
    context.set_offline(False)
    listener.sees("You preferred A.")
    assert Vote.objects.count() == 1


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


def test_an_answer_survives_a_reload_until_it_is_saved(listener):
    listener.page.route("**/vote/", lambda route: route.fulfill(status=503))
    listener.hear_both().press("a").sees("Your answer is kept on this device")
    listener.page.unroute("**/vote/")
    listener.page.reload()
    listener.sees("Your last answer is saved.").sees("Pair 2 of 3")
    assert Vote.objects.get().preference == "A"
    assert listener.page.evaluate("localStorage.length") == 0


def test_listening_that_the_server_does_not_confirm_can_be_made_up_for(listener):
    refusal = {"code": "not_heard", "detail": "…", "missing_ms": {"A": 0, "B": 900}}
    listener.page.route("**/vote/", lambda route: route.fulfill(status=422, body=json.dumps(refusal)))
    listener.hear_both().press("a").sees("Please listen to 1 s more of B, then answer again.")
    listener.page.unroute("**/vote/")
    listener.press("a").sees("You preferred A.")


def test_where_the_browser_keeps_nothing_the_page_says_to_stay_open(visitor, context):
    visitor.page.add_init_script("Storage.prototype.setItem = () => { throw new Error('blocked'); }")
    visitor.open().agree().hear_both()
    context.set_offline(True)
    visitor.press("a").sees("Your answer is kept in this tab, so leave it open")
    context.set_offline(False)
    visitor.sees("You preferred A.")


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


# ---- blindness ----


def test_before_the_vote_nothing_names_a_system(visitor):
    received = []
    visitor.page.on("response", lambda answer: received.append(answer))
    with visitor.page.expect_response(lambda answer: answer.url.endswith("/B")):
        visitor.open().agree()
    visitor.hear_both().page.wait_for_load_state("networkidle")
    everything = visitor.page.content().encode() + b"".join(
        answer.url.encode() + json.dumps(answer.all_headers()).encode() + answer.body() for answer in received
    )
    assert len(received) > 10 and b"A calm piano ballad" in everything
    for system in stage.SYSTEMS:
        assert system.encode() not in everything


# ---- ends ----


def test_a_consent_text_that_changed_meanwhile_is_shown_again(visitor, study):
    visitor.open().sees("What is kept")
    Study.objects.filter(pk=study.pk).update(consent_version=2, consent_text="Something else is kept.")
    visitor.page.get_by_role("button", name="Agree and start listening").click()
    visitor.sees("The text has changed").page.get_by_role("button", name="Read it").click()
    visitor.sees("Something else is kept.").agree().sees("Pair 1 of 3")


def test_a_closed_study_says_so(visitor, study):
    Study.objects.filter(pk=study.pk).update(is_open=False)
    visitor.open().sees("This study is closed")


def test_after_the_last_pair_comes_thanks_and_the_board(visitor, study):
    Study.objects.filter(pk=study.pk).update(battles_per_rater=1)
    visitor.open().agree().sees("Pair 1 of 1")
    visitor.hear_both().press("a").sees("You preferred A.").press("Enter").sees("Thank you.")
    visitor.page.get_by_role("link", name="See the board").click()
    visitor.sees("1 vote so far")


def test_a_simulated_study_says_so_on_every_page(visitor, study):
    Study.objects.create(slug="made-up", name="Made up", is_simulated=True)
    for path in ("/", "/boards/made-up/", "/listen/made-up/"):
        visitor.open(path).sees("simulated")


# ---- the board ----


@pytest.fixture
def board(study):
    """An edition over votes of five raters; the first answered every pair."""
    began = timezone.now() - timedelta(hours=1)
    for rater_number, n_votes in enumerate((3, 1, 1, 1, 1)):
        rater = give_consent(None, study, 1, now=began)
        for number in range(n_votes):
            now = began + timedelta(minutes=number)
            battle, _ = serve_battle(rater, study, now=now)
            heard = {"A": [[0, 500]], "B": [[0, 500]]}
            answer = Answer(preference="AB"[rater_number % 2], heard=heard, first_played="A", switches=1)
            cast_vote(rater, battle.pk, answer, f"key-{number}", now=now + timedelta(seconds=30))
    ledger.extend()
    return refit_board(study)


def test_the_board_gives_every_rating_its_interval_and_count(visitor, board):
    visitor.open("/boards/stage/")
    rows = visitor.page.get_by_role("row").all_inner_texts()
    ratings = board.result["groups"][0]
    assert len(rows) == 1 + len(ratings)
    for row, rating in zip(rows[1:], ratings, strict=True):
        assert rating["system"] in row and f"{abs(rating['rating']):.2f}" in row
        assert f"{abs(rating['low']):.2f}" in row and f"{abs(rating['high']):.2f}" in row
        assert f"\t{rating['n_votes']}\t" in row
    visitor.sees("7 votes by 5 listeners").sees("One listener cast 43 % of these votes.")


def test_no_page_is_wider_than_a_phone(visitor, board):
    for path in ("/", "/boards/stage/", "/nothing-here/", "/listen/stage/"):
        assert visitor.open(path).fits_phones(), path
    visitor.agree()
    visitor.page.get_by_text("Skip this one").click()
    visitor.page.get_by_text("Add a comment").click()
    assert visitor.fits_phones()
    visitor.page.get_by_text("Add a comment").click()
    visitor.hear_both().press("a").sees("You preferred A.")
    assert visitor.fits_phones()


def test_everything_to_touch_is_at_least_44_pixels_high(listener):
    small = listener.page.evaluate(
        """() => [...document.querySelectorAll('a, button, summary, [role=slider]')]
            .filter((e) => e.checkVisibility() && !e.classList.contains('skip-link'))
            .map((e) => [e.textContent.trim(), e.getBoundingClientRect()])
            .filter(([, box]) => box.height < 44 || box.width < 44).map(([text]) => text)"""
    )
    assert small == []
