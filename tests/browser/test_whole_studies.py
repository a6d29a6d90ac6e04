"""What a listener does, in a real Chromium against a real server: whole studies, answers, what follows them."""

import pytest

from annotations.models import Flag, Vote
from arena.models import Battle, Participation, Rater, Study
from tests.casts import browser as stage

pytestmark = pytest.mark.django_db(transaction=True)


def last_vote():
    return Vote.objects.latest("pk")


# ---- a whole study ----


def test_a_whole_study_by_keyboard_alone(visitor, study, settings):
    """From the front page to the completion code: consent, the signal, practice, a check and an ordinary pair."""
    stage.add_checks(study, settings.MEDIA_ROOT)
    study.practice = study.traps = study.blocks = study.block_length = 1
    study.questions = {"degree": True, "axes": ["musicality", "bass_line"], "tags": ["cleaner mix"], "comment": True}
    study.completion = {"codes": {"completed": "THANKS-42"}}
    study.save()
    visitor.open("/").tab_to("Start listening").press("Enter").sees("What is stored")
    visitor.tab_to("Agree and start listening").press("Enter").sees("Listen for the signal")
    visitor.tab_to("Play the signal").press("Enter").sees("That was the signal.")
    visitor.tab_to("I know the signal").press("Enter")
    for title in ("Practice 1 of 1: it does not count", "Pair 1 of 2", "Pair 2 of 2"):
        visitor.sees(title).press("Space").heard("A").press("x").sees("You have heard both.")
        visitor.press("b").press("m").press("a").press("t").press("Enter").sees("You preferred B.")
        assert "THANKS-42" not in visitor.page.content()
        visitor.press("Enter")
    visitor.sees("Thank you.")
    assert visitor.page.get_by_label("Your completion code").input_value() == "THANKS-42"
    answers = Vote.objects.values_list("preference", "degree", "axes", "first_played", "switches")
    assert list(answers) == [("B", "much", {"musicality": "A", "bass_line": "TIE"}, "A", 1)] * 3


def test_a_whole_study_by_touch_on_a_phone(chromium, study, live_server):
    Study.objects.filter(pk=study.pk).update(battles_per_rater=2)
    phone = chromium.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    visitor = stage.Visitor(phone.new_page(), live_server.url).open()
    page = visitor.page
    page.get_by_role("button", name="Agree and start listening").tap()
    for number in (1, 2):
        visitor.sees(f"Pair {number} of 2")
        page.locator('[data-clip="A"]').tap()
        visitor.heard("A")
        page.locator('[data-clip="B"]').tap()
        visitor.sees("You have heard both.").answer("A is better").tap()
        visitor.sees("You preferred A.")
        page.get_by_role("button", name="Next pair").tap()
    visitor.sees("Thank you.")
    assert Vote.objects.count() == 2 and visitor.faults == []
    phone.close()


def test_a_whole_battle_by_mouse(listener):
    page = listener.page
    page.locator('[data-clip="B"]').click()
    listener.heard("B")
    page.locator('[data-clip="A"]').click()
    listener.sees("You have heard both.").answer("Equally good").click()
    listener.sees("You found them equally good.")
    vote = last_vote()
    assert (vote.preference, vote.first_played) == ("TIE", "B")
    listener.click("Next pair").sees("Pair 2 of 3")


def test_the_pairs_are_counted_right_even_if_the_next_one_is_served_after_the_vote(listener):
    held = []
    listener.page.route("**/api/battles/", lambda route: held.append(route))
    listener.hear_both().press("a").sees("You preferred A.")
    held[0].continue_()
    listener.page.unroute("**/api/battles/")
    listener.press("Enter").sees("Pair 2 of 3")


def test_the_next_pair_plays_at_once_because_it_was_fetched_before_the_vote(visitor, study):
    Study.objects.filter(pk=study.pk).update(reveal=False)
    visitor.open().agree().press("?").page.get_by_label("Start the next pair automatically").check()
    visitor.press("Escape")
    with visitor.page.expect_response(lambda answer: answer.url.endswith("/B")):
        visitor.hear_both()
    visitor.page.wait_for_load_state("networkidle")
    visitor.page.route("**/audio/**", lambda route: route.abort())
    visitor.press("a").sees("Pair 2 of 3")
    visitor.page.locator('#play[data-playing="true"]').wait_for()


# ---- what is asked ----


@pytest.fixture
def asking(visitor, study):
    """A listener of a study that asks for more than the overall answer."""
    study.questions = {
        "degree": True, "axes": ["audio_quality", "bass_line"], "tags": ["warmer", "cleaner mix"], "comment": True,
    }  # fmt: skip
    study.save()
    return visitor.open().agree()


def test_an_answer_can_be_changed_until_everything_asked_for_is_sent(asking):
    page = asking.page
    asking.hear_both().answer("A is better").click()
    asking.sees("Choice noted").answer("B is better").click()
    page.get_by_label("Slightly better").check()
    page.get_by_role("group", name="Which has the better sound quality?").get_by_label("Both bad").check()
    page.get_by_role("group", name="bass line").get_by_label("A", exact=True).check()
    asking.sees("All required questions are answered.")
    page.get_by_label("cleaner mix").check()
    page.get_by_text("Add a comment").click()
    page.get_by_label("Comment").fill("the snare")
    assert not Vote.objects.exists()
    asking.click("Send answer").sees("You preferred B.")
    vote = last_vote()
    assert (vote.preference, vote.degree, vote.tags) == ("B", "slightly", ["cleaner mix"])
    assert vote.axes == {"audio_quality": "BOTH_BAD", "bass_line": "A"} and vote.details.comment == "the snare"


def test_what_is_missing_is_said_and_has_the_focus(asking):
    send = asking.page.get_by_role("button", name="Send answer")
    assert send.get_attribute("aria-disabled") == "true"
    asking.hear_both().press("Enter").sees("Please say first which one is better.")
    asking.press("a").press("s").press("Enter").sees("One more, please: Which has the better sound quality?")
    assert asking.page.evaluate("document.activeElement.name") == "axis:audio_quality"
    assert asking.page.get_by_text("please answer").filter(visible=True).count() == 2
    assert send.get_attribute("aria-disabled") == "false"
    asking.press("a").press("b").sees("All required questions are answered.")
    assert asking.page.evaluate("document.activeElement.id") == "send"
    assert not Vote.objects.exists()


def test_how_much_better_is_asked_only_where_one_is(asking):
    asking.hear_both().press("b").press("m").answer("Equally good").click()
    assert asking.page.get_by_label("Much better").is_disabled()
    asking.press("a").press("a").press("Enter").sees("You found them equally good.")
    assert (last_vote().preference, last_vote().degree) == ("TIE", "")


def test_a_comment_goes_with_the_answer_and_typing_it_is_no_shortcut(listener):
    listener.hear_both()
    listener.page.get_by_text("Add a comment").click()
    listener.page.get_by_label("Comment").type("a better bass in B")
    assert not Vote.objects.exists()
    listener.answer("B is better").click()
    listener.sees("You preferred B.")
    assert last_vote().details.comment == "a better bass in B"


def test_a_skip_is_recorded_with_its_reason(listener):
    listener.page.get_by_text("Skip this pair").click()
    listener.page.get_by_role("button", name="I know these clips").click()
    listener.sees("Pair 2 of 3")
    assert Battle.objects.get(close_reason="skipped").skip_reason == "heard_before"


def test_the_keys_can_be_switched_off_for_good(listener):
    listener.page.get_by_label("Keyboard shortcuts").filter(visible=True).uncheck()
    listener.page.reload()
    listener.wait_for_battle().press("Space", 100).press("1", 100)
    assert listener.page.get_by_role("button", name="Play", exact=True).is_visible()
    listener.click("Help and settings").page.get_by_role("dialog").get_by_label("Keyboard shortcuts").check()
    listener.press("Escape").press("1")
    listener.page.get_by_role("button", name="Pause", exact=True).wait_for()


# ---- after the vote ----


def test_the_reveal_names_both_systems_and_what_others_said(listener):
    listener.hear_both().press("a").sees("You preferred A.")
    battle = last_vote().battle
    assert listener.page.locator("#system-a").inner_text() == battle.system_a.name
    assert listener.page.locator("#system-b").inner_text() == battle.system_b.name
    listener.sees("Nobody else has compared these two systems yet.")


def test_both_excerpts_can_be_downloaded_after_the_vote_and_not_before(listener):
    status = "async (url) => (await fetch(url)).status"
    assert listener.page.evaluate(status, f"/audio/{listener.battle_id()}/A/download") == 404
    listener.hear_both().press("a").sees("You preferred A.")
    for slot, system in zip("AB", (last_vote().battle.system_a, last_vote().battle.system_b), strict=True):
        with listener.page.expect_download() as download:
            listener.page.get_by_role("link", name=f"Download {slot}").click()
        assert system.name in download.value.suggested_filename


def test_more_pairs_for_the_same_prompt_can_be_asked_for_while_there_are_any(listener):
    for number in (2, 3):
        listener.hear_both().press("a").sees("You preferred A.").click("More like this").sees(f"Pair {number} of 3")
    listener.hear_both().press("a").click("More like this").sees("You have heard everything there is for this prompt.")
    assert Vote.objects.count() == 3


def test_an_answer_can_be_taken_back(listener):
    listener.hear_both().press("a")
    listener.click("Take it back").sees("Taken back")
    assert Flag.objects.get().rule == Flag.WITHDRAWN


def test_where_nothing_is_revealed_the_next_pair_comes_at_once_and_undo_with_it(visitor, study):
    Study.objects.filter(pk=study.pk).update(reveal=False)
    visitor.open().agree().hear_both().press("a").sees("Saved.").sees("Pair 2 of 3")
    content = visitor.page.content()
    assert not any(system in content for system in stage.SYSTEMS)
    visitor.click("Take it back").sees("Taken back")
    assert Flag.objects.get().vote.battle == Battle.objects.earliest("served_at")


def test_practice_says_how_it_went_even_where_nothing_is_revealed(visitor, study, settings):
    stage.add_checks(study, settings.MEDIA_ROOT)
    Study.objects.filter(pk=study.pk).update(reveal=False, practice=1)
    visitor.open().agree().sees("Practice 1 of 1: it does not count").hear_both()
    right = Battle.objects.earliest("served_at").expected
    worse = "B" if right == "A" else "A"
    visitor.press(right.lower()).sees(f"{worse} was the same clip, made worse on purpose. You heard it.")
    assert not visitor.page.get_by_role("button", name="More like this").is_visible()
    visitor.press("Enter").sees("Pair 1 of")


# ---- ends ----


def test_a_consent_text_that_changed_meanwhile_is_shown_again(visitor, study):
    visitor.open().sees("What is stored")
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


PLATFORM = {"participant": "PROLIFIC_PID", "study": "STUDY_ID", "session": "SESSION_ID"}


def test_a_platforms_parameters_are_used_and_leave_the_address(visitor, study):
    Study.objects.filter(pk=study.pk).update(platform=PLATFORM)
    visitor.open("/listen/stage/?PROLIFIC_PID=someone&STUDY_ID=s&SESSION_ID=t&from=mail").agree()
    assert visitor.page.url == visitor.address + "/listen/stage/?from=mail"
    assert Participation.objects.get().participant


def test_two_people_on_one_computer_are_two_raters_and_the_same_one_twice_is_one(visitor, study):
    Study.objects.filter(pk=study.pk).update(platform=PLATFORM)
    for someone in ("ada", "grace", "ada"):
        visitor.open(f"/listen/stage/?PROLIFIC_PID={someone}&STUDY_ID=s&SESSION_ID=t").agree()
    assert Participation.objects.count() == Rater.objects.count() == 2


def test_who_comes_to_a_platforms_study_from_elsewhere_is_told_how_to_come(visitor, study):
    Study.objects.filter(pk=study.pk).update(platform=PLATFORM)
    visitor.open().click("Agree and start listening").sees("Please come through the platform")


def test_an_invited_study_asks_for_the_invitation(visitor, study):
    Study.objects.filter(pk=study.pk).update(access="invited")
    visitor.open("/listen/stage/?invite=forged").click("Agree and start listening").sees("This study is by invitation")
    assert visitor.page.url == visitor.address + "/listen/stage/"


def test_who_does_not_agree_gets_the_platforms_code_for_that(visitor, study):
    Study.objects.filter(pk=study.pk).update(platform=PLATFORM, completion={"codes": {"no_consent": "NO-1"}})
    visitor.open("/listen/stage/?PROLIFIC_PID=someone&STUDY_ID=s&SESSION_ID=t").click("No, thank you")
    visitor.sees("You have not agreed, and that is fine")
    assert visitor.page.get_by_label("Your completion code").input_value() == "NO-1"


def test_a_browser_that_cannot_play_is_told_so(visitor):
    visitor.page.add_init_script("delete globalThis.AudioContext")
    visitor.open().sees("This study needs another device")
