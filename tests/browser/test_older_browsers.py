"""Browsers that lack what came later: the page works, or the study ends as incompatible_device."""

import pytest

from annotations.models import Vote

pytestmark = pytest.mark.django_db(transaction=True)

ABSENT = {
    "globalThis": "structuredClone AbortController BroadcastChannel requestIdleCallback",
    "AbortSignal": "timeout any",
    "Object": "hasOwn groupBy",
    "Array": "fromAsync",
    "Promise": "any withResolvers",
    "Array.prototype": "at findLast findLastIndex toSorted toReversed with flat flatMap",
    "String.prototype": "at replaceAll",
    "Object.getPrototypeOf(Int8Array.prototype)": "at",
    "Element.prototype": "replaceChildren checkVisibility",
    "HTMLDialogElement.prototype": "show showModal close",
    "Crypto.prototype": "randomUUID",
    "IDBFactory.prototype": "databases",
    "Navigator.prototype": "locks userActivation clipboard storage",
}
SINCE_SAFARI_14 = "".join(f"delete {of}['{name}'];" for of, names in ABSENT.items() for name in names.split())
DECLINED = "This study needs another device"


def told(visitor):
    """What the server was asked as the study ended."""
    asked = []
    visitor.page.on("request", lambda request: "decline" in request.url and asked.append(request.post_data_json))
    return asked


def test_without_what_came_since_safari_14_everything_works(visitor):
    visitor.page.add_init_script(SINCE_SAFARI_14)
    visitor.open().agree().hear_both().press("a").sees("You preferred A.")
    assert Vote.objects.get().preference == "A"
    visitor.click("Take it back").sees("Taken back")
    visitor.press("Enter").wait_for_battle()
    visitor.press("?").sees("Help and settings").click("Close")
    assert not visitor.page.locator("#help").is_visible()
    visitor.open("/me/").sees("withdrawn")
    visitor.page.locator("[data-open]").last.click()
    visitor.page.locator("dialog[open] [data-confirm]").click()
    visitor.page.locator("#gone").wait_for()


@pytest.mark.parametrize("missing", ["AudioContext", "ResizeObserver", "OfflineAudioContext"])
def test_without_what_cannot_be_replaced_the_study_ends_as_incompatible_device(visitor, missing):
    asked = told(visitor)
    visitor.page.add_init_script(f"delete globalThis.{missing};")
    visitor.open().sees(DECLINED)
    assert [each["reason"] for each in asked] == ["incompatible_device"]
    visitor.faults.clear()
    assert not Vote.objects.exists()


@pytest.mark.parametrize("module", ["listen", "deck", "older"])
def test_a_browser_that_does_not_understand_the_page_is_told_so_and_sent_back(visitor, study, module):
    study.platform = {"participant": "PROLIFIC_PID"}
    study.completion = {
        "codes": {"incompatible_device": "C-DEVICE"},
        "return_url": "https://platform.example/?p={participant}&c={code}",
    }
    study.save()
    asked = told(visitor)
    visitor.page.route(
        f"**/js/{module}.js", lambda route: route.fulfill(content_type="text/javascript", body="class { # }")
    )
    visitor.open("/listen/stage/?PROLIFIC_PID=5f3c%200f+e&utm=x").sees(DECLINED)
    assert asked == [{"reason": "incompatible_device", "platform": {"PROLIFIC_PID": "5f3c 0f e"}}]
    visitor.page.locator("#outcome-code-box").wait_for()
    assert visitor.page.locator("#outcome-code").input_value() == "C-DEVICE"
    back = visitor.page.locator("#outcome-return").get_attribute("href")
    assert "p=5f3c%200f%20e&c=C-DEVICE&signature=" in back
    assert visitor.faults, "what was planted"
    visitor.faults.clear()


def test_a_page_of_which_a_part_did_not_come_says_so_and_ends_nothing(visitor):
    asked = told(visitor)
    visitor.page.route("**/js/deck.js", lambda route: route.abort())
    visitor.open().sees("This page did not load completely")
    visitor.page.unroute("**/js/deck.js")
    visitor.click("Reload the page").agree()
    assert asked == []


@pytest.mark.parametrize("address", ["?PROLIFIC_PID=%7B%7B%25PROLIFIC_PID%25%7D%7D", "?PROLIFIC_PID={pid}"])
def test_a_placeholder_in_the_address_is_told_before_anything_is_asked(visitor, study, address):
    study.platform = {"participant": "PROLIFIC_PID"}
    study.save()
    visitor.open(f"/listen/stage/{address}").sees("The link was not filled in")
    visitor.page.reload()
    visitor.sees("The link was not filled in")
    assert not visitor.page.get_by_role("button", name="Agree and start listening").is_visible()
    visitor.open("/listen/stage/?PROLIFIC_PID=5f3c0ffee").agree()
