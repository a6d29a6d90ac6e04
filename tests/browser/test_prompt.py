"""The prompt on the page: any text of any length in any script, and the player stays in reach."""

import pytest

pytestmark = pytest.mark.django_db(transaction=True)

LONG_WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2
URL = "https://music.example/listen?track=" + "0123456789abcdef" * 12 + "&from=the-very-long-list"
COMMAS = ",".join(f"tag{number:03}" for number in range(80))
HEBREW = "שיר ערש שקט לפסנתר, 90 BPM"
LYRICS = "[Verse 1]\nHere comes the night,\n\n[Chorus]\nand there it goes."


def put(visitor, text="", lyrics=""):
    """Every battle's prompt on the page becomes this one."""

    def answer(route):
        fetched = route.fetch()
        battle = fetched.json()
        if fetched.status in (200, 201):
            battle["prompt"] = {"text": text, "lyrics": lyrics}
        route.fulfill(response=fetched, json=battle)

    visitor.page.route("**/api/battles/", answer)
    return visitor


def box(visitor, selector):
    return visitor.page.locator(selector).bounding_box()


@pytest.mark.parametrize("text", [LONG_WORD, URL, COMMAS, "מ" * 120, "音楽" * 120])
def test_what_has_no_spaces_wraps_on_a_phone(visitor, text):
    put(visitor, text, lyrics=text).open().agree()
    assert visitor.fits_phones()
    if visitor.page.locator("#prompt-all").is_visible():
        visitor.click("Show all of it")
    visitor.page.get_by_text("Lyrics", exact=True).click()
    assert visitor.fits_phones()
    visitor.hear_both().press("a").sees("You preferred A.")
    assert visitor.fits_phones()


def test_right_to_left_text_begins_at_the_right_and_leaves_the_page_as_it_is(visitor):
    put(visitor, HEBREW + "\nand a line from left to right", lyrics=HEBREW).open().agree()
    starts = visitor.page.evaluate(
        """() => {
            const range = document.createRange();
            const text = document.getElementById('prompt-text').firstChild;
            const edge = (at) => {
                range.setStart(text, at);
                range.setEnd(text, at + 1);
                return range.getBoundingClientRect();
            };
            const box = document.getElementById('prompt-text').getBoundingClientRect();
            return [box.right - edge(0).right, edge(text.data.indexOf('\\n') + 1).left - box.left];
        }"""
    )
    assert max(starts) < 2, "each paragraph begins at its own side"
    assert visitor.page.evaluate("getComputedStyle(document.getElementById('ask')).direction") == "ltr"
    assert visitor.page.locator("#lyrics").evaluate("(e) => getComputedStyle(e).direction") == "rtl"


def test_line_breaks_of_prompt_and_lyrics_are_kept(visitor):
    put(visitor, "A waltz\nwith a break\nand another", LYRICS).open().agree()
    assert visitor.page.locator("#prompt-text").inner_text().splitlines() == ["A waltz", "with a break", "and another"]
    visitor.page.get_by_text("Lyrics", exact=True).click()
    assert visitor.page.locator("#lyrics").inner_text() == LYRICS


@pytest.mark.parametrize("width", [320, 360, 1440])
def test_a_prompt_of_nine_thousand_characters_leaves_the_player_on_the_screen(visitor, width):
    visitor.page.set_viewport_size({"width": width, "height": 700})
    put(visitor, "A slow build with strings and brass. " * 243 + "The end.").open().agree()
    assert box(visitor, "#play")["y"] + box(visitor, "#play")["height"] < 700
    closed = box(visitor, "#prompt-box")["height"]
    visitor.tab_to("Show all of it").press("Enter")
    assert visitor.page.locator("#prompt-all").get_attribute("aria-expanded") == "true"
    assert closed < box(visitor, "#prompt-box")["height"] <= 351, "all of it, in a box that scrolls"
    visitor.page.locator("#prompt-box").focus()
    visitor.press("End", 300)
    left = visitor.page.locator("#prompt-box").evaluate("(e) => e.scrollHeight - e.scrollTop - e.clientHeight")
    assert left < 5, "keys reach its end"
    assert visitor.axe() == []
    visitor.click("Show less")
    assert box(visitor, "#prompt-box")["height"] == closed
    assert visitor.small_targets() == []


def test_a_short_prompt_has_nothing_to_open(visitor):
    visitor.open().agree()
    assert not visitor.page.locator("#prompt-all").is_visible()
    assert box(visitor, "#prompt-box")["height"] < 70


def test_the_next_prompt_is_closed_again(visitor):
    put(visitor, "words " * 500).open().agree().click("Show all of it")
    visitor.hear_both().press("a").sees("You preferred A.")
    visitor.press("Enter").wait_for_battle()
    assert visitor.page.locator("#prompt-all").get_attribute("aria-expanded") == "false"
