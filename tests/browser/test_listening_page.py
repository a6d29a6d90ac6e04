"""What a listener hears and what the page counts as heard, in a real Chromium against a real server."""

import pytest

from annotations.models import Vote, VoteDetails
from tests.casts import browser as stage

pytestmark = pytest.mark.django_db(transaction=True)


def test_answers_are_locked_until_both_clips_are_heard(listener):
    button = listener.answer("A is better")
    assert button.get_attribute("aria-disabled") == "true"
    listener.press("a").sees("Not yet: please listen to 1 s more of A and 1 s more of B.")
    listener.press("1").sees("You have heard A. Now listen to B.")
    listener.press("a").sees("Not yet: please listen to 1 s more of B.")
    assert not Vote.objects.exists()
    listener.press("2").sees("You have heard both.")
    assert button.get_attribute("aria-disabled") == "false"


def test_what_is_reported_as_heard_is_what_was_audible(listener):
    listener.press("1", 500).press("Space", 400)  # A, then silence
    listener.press("Space", 300).press("x", 400)  # more of A, then B from there
    listener.press("Home", 400).press("b").sees("You preferred B.")
    heard = Vote.objects.get().heard
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
    listener.hear_both().press("a").sees("You preferred A.")
    pauses = [event["value"] for event in VoteDetails.objects.get().events if event["kind"] == "pause"]
    assert pauses == ["end", "vote"]


def test_a_loop_repeats_from_the_playhead_and_its_ends_move_by_key_and_by_hand(listener):
    page = listener.page
    start, end = page.get_by_label("Start of the loop"), page.get_by_label("End of the loop")
    listener.press("l")
    assert (start.get_attribute("aria-valuenow"), end.get_attribute("aria-valuenow")) == ("0.0", "2.0")
    end.focus()
    listener.press("ArrowLeft").press("ArrowLeft")
    assert end.get_attribute("aria-valuenow") == "1.0"
    handle, wave = start.bounding_box(), page.locator("#wave").bounding_box()
    assert handle["width"] >= 44 and handle["height"] >= 44
    x, y = handle["x"] + handle["width"] - 8, handle["y"] + handle["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(wave["x"] + 26 + (wave["width"] - 26) / 4, y, steps=3)
    page.mouse.up()
    assert abs(float(start.get_attribute("aria-valuenow")) - 0.5) < 0.1
    listener.press("Space", 1600)
    assert page.locator("#position").inner_text() == "0:00", "it is still within the loop"
    listener.press("l", 1700)
    assert page.locator("#position").inner_text() == "0:02", "without the loop the clip ends"
    assert not start.is_visible() and page.evaluate("document.activeElement.id") == "loop"


def test_the_volume_is_kept_and_noted(listener):
    listener.page.get_by_label("Volume", exact=True).fill("40")
    listener.hear_both().press("a").sees("You preferred A.")
    events = VoteDetails.objects.get().events
    kinds = [event["kind"] for event in events]
    assert {"kind": "volume", "value": 0.4}.items() <= events[kinds.index("volume")].items()
    assert kinds[-3:] == ["opened", "pause", "decided"] and events[-2]["value"] == "vote"
    listener.page.reload()
    assert listener.wait_for_battle().page.get_by_label("Volume", exact=True).input_value() == "40"


@pytest.mark.parametrize("switching", ["restart", "resume"])
def test_a_switch_goes_where_the_study_says(visitor, study, switching):
    study.switching = switching
    study.save()
    visitor.open().agree().press("1", 700).press("2", 400).press("1", 400).press("a").sees("You preferred A.")
    heard = Vote.objects.get().heard
    (first, again), (other,) = heard["A"], heard["B"]
    assert other[0] == 0, "the other clip begins at its own start"
    assert again[0] == (first[1] if switching == "resume" else 0)


def test_the_signal_is_told_of_before_the_first_pair(visitor, study, settings):
    stage.add_checks(study, settings.MEDIA_ROOT)
    study.traps = 1
    study.save()
    visitor.open().click("Agree and start listening").sees("Listen for the signal")
    visitor.click("Play the signal").sees("That was the signal.").click("I know the signal").sees("Pair 1 of")


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
