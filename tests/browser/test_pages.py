"""What holds for every page: blindness, accessibility, room on a phone, and the board as a person reads it."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from annotations import ledger
from annotations.services import Answer, cast_vote
from arena.models import Study
from arena.services import give_consent
from arena.serving import serve_battle
from scoring.boards.refit import refit_board
from tests.casts import browser as stage

pytestmark = pytest.mark.django_db(transaction=True)

# Every page to read, but those of models and a listener's own, which have tests beside theirs.
PAGES = (
    "/",
    "/boards/stage/",
    *(f"/boards/stage/{name}/" for name in ("exclusions", "plots", "editions")),
    "/nothing-here/",
)
EVERYTHING = {"degree": True, "axes": ["lyrics"], "tags": ["cleaner mix", "better vocals"], "comment": True}


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


def test_a_simulated_study_says_so_on_every_page(visitor, study):
    made_up = Study.objects.create(slug="made-up", name="Made up", is_simulated=True)
    made_up.systems.set(study.systems.all())
    for path in ("/", "/boards/made-up/", "/listen/made-up/"):
        visitor.open(path).sees("simulated")


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
    visitor.sees("from 7 votes").sees("5 listeners took part.").sees("One listener cast 43 % of these votes.")


def test_no_page_is_wider_than_a_phone(visitor, study, board):
    study.questions = EVERYTHING
    study.save()
    for path in (*PAGES, "/listen/stage/"):
        assert visitor.open(path).fits_phones(), path
    visitor.agree()
    visitor.page.get_by_text("Skip this pair").click()
    visitor.page.get_by_text("Add a comment").click()
    assert visitor.fits_phones()
    visitor.page.get_by_text("Add a comment").click()
    visitor.press("l").hear_both().press("t").press("a")
    assert visitor.fits_phones()
    visitor.press("Enter").sees("You found them equally good.")
    assert visitor.fits_phones()


def test_everything_to_touch_is_at_least_44_pixels_high(visitor, study):
    study.questions = EVERYTHING
    study.save()
    visitor.open().agree().press("l").page.get_by_text("Add a comment").click()
    assert visitor.small_targets() == []
    visitor.press("?").sees("Help and settings")
    assert visitor.small_targets() == []


@pytest.mark.parametrize("path", ["/", "/boards/stage/", "/listen/stage/"])
def test_longer_words_need_no_more_room(visitor, board, path):
    """German, whose words are the longest."""
    visitor.page.context.set_extra_http_headers({"Accept-Language": "de"})
    visitor.open(path).page.wait_for_load_state("networkidle")
    assert visitor.page.locator("html").get_attribute("lang") == "de"
    assert visitor.fits_phones()
    assert visitor.axe() == []


def test_after_the_last_step_the_page_says_what_it_waits_for(visitor, study):
    study.volume_check = True
    study.save()
    visitor.open().click("Agree and start listening").click("Play the sound")
    held = []
    visitor.page.route("**/api/battles/", lambda route: held.append(route))
    visitor.click("This is comfortable").sees("Loading two clips…")
    assert visitor.page.evaluate("document.activeElement.closest('section').dataset.state") == "loading"
    visitor.page.wait_for_timeout(100)
    held[0].continue_()
    visitor.wait_for_battle()


def test_nothing_jumps_while_a_pair_is_heard_and_answered(listener):
    def layout():
        boxes = [listener.page.locator(name).bounding_box() for name in ("#prompt-text", "#deck", "#play", "#answers")]
        return [(box["x"], box["y"] + listener.page.evaluate("scrollY"), box["height"]) for box in boxes if box]

    locked = layout()
    listener.press("l")
    assert layout() == locked
    listener.press("a").sees("Not yet").hear_both()
    assert layout() == locked
    listener.press("a").sees("You preferred A.")
    assert layout() == locked[:3]
    listener.press("Enter").sees("Pair 2 of 3")
    assert layout() == locked


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_any_state(visitor, study, scheme):
    study.questions = EVERYTHING
    study.save()
    found = {}

    def look(state):
        if faults := visitor.axe():
            found[state] = faults

    visitor.page.emulate_media(color_scheme=scheme)
    visitor.open().sees("What is stored")
    look("consent")
    visitor.agree().press("l")
    look("locked")
    visitor.press("?")
    assert visitor.fits_phones()
    look("help")
    visitor.press("Escape").press("l").hear_both()
    look("ready")
    visitor.press("t").press("Enter").sees("One more, please")
    look("something missing")
    visitor.page.route("**/vote/", lambda route: route.fulfill(status=503))
    visitor.press("a").press("Enter").sees("The server is busy.")
    look("waiting")
    visitor.page.unroute("**/vote/")
    visitor.sees("You found them equally good.")
    look("reveal")
    visitor.page.route("**/audio/**", lambda route: route.fulfill(status=404))
    visitor.open().sees("This clip has been withdrawn")
    look("trouble")
    for path in (*PAGES, "/me/"):
        visitor.open(path)
        look(path)
    assert found == {}
