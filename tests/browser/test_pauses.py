"""What somebody reads who has to come back later, and that the page then goes on by itself."""

import json

import pytest

from annotations.models import Vote
from arena.models import SpentProof, Study
from tests.casts.listener import Listener

pytestmark = pytest.mark.django_db(transaction=True)


def refuse(page, path, status, code, retry_after_s):
    """Answer the next request to the path with this refusal, and later ones as the server does."""
    body = json.dumps({"code": code, "detail": "", "retry_after_s": retry_after_s})
    page.route(f"**{path}", lambda route: route.fulfill(status=status, body=body), times=1)


def test_who_may_not_join_for_now_reads_for_how_long(visitor):
    refuse(visitor.page, "/api/raters/", 429, "too_many", 130)
    visitor.open()
    visitor.page.get_by_role("button", name="Agree and start listening").click()
    visitor.sees("More has come from your internet connection").sees("Come back in 3 minutes.")
    visitor.agree()


def test_who_gets_no_pair_for_now_gets_it_by_itself(visitor):
    agree = visitor.open().page.get_by_role("button", name="Agree and start listening")
    agree.wait_for()
    refuse(visitor.page, "/api/battles/", 429, "too_many", 5)
    agree.click()
    visitor.sees("A pause, please").sees("Come back in 1 minute.")
    visitor.wait_for_battle()


def test_a_real_limit_lets_the_answer_through_and_then_is_told(visitor, settings):
    settings.TRUSTED_PROXIES = 1
    Study.objects.update(battles_per_connection=1, reveal=False)
    visitor.page.set_extra_http_headers({"X-Forwarded-For": "93.184.215.14"})
    visitor.open().agree().hear_both().press("a").sees("A pause, please").sees("Come back in")
    assert Vote.objects.count() == 1


def test_who_comes_to_a_full_study_from_a_platform_can_go_back(visitor):
    Study.objects.update(votes_per_pair=1, platform={"participant": "PID"}, completion={"codes": {"full": "C-FULL"}})
    others = [Listener().agree(platform={"PID": f"other {number}"}) for number in range(2)]
    for other in others:
        first = other.post("/api/battles/").json()
        other.post("/api/battles/", {"after": first.get("id")})
    visitor.open("/listen/stage/?PID=me").page.get_by_role("button", name="Agree and start listening").click()
    visitor.sees("Full for the moment").sees("Come back in 5 minutes.").sees("This page asks again by itself.")
    visitor.click("End here").sees("you can come back later")
    assert visitor.page.get_by_label("Your completion code").input_value() == "C-FULL"


def test_a_free_place_is_taken_by_itself(visitor):
    agree = visitor.open().page.get_by_role("button", name="Agree and start listening")
    agree.wait_for()
    refuse(visitor.page, "/api/battles/", 409, "full_for_now", 5)
    agree.click()
    visitor.sees("Full for the moment").wait_for_battle()


def test_a_page_on_which_a_pair_plays_says_so_every_minute(visitor):
    visitor.page.clock.install()
    visitor.open().agree()
    visitor.press("1").heard("A")
    with visitor.page.expect_request("**/listening/") as told:
        visitor.page.clock.fast_forward(61_000)
    assert told.value.response().status == 200


# ---- proof of work ----


def test_a_browser_does_the_sum_that_a_study_under_attack_asks_for(visitor):
    Study.objects.update(proof_of_work="on", proof_for_battles=True)
    visitor.open().agree()
    assert SpentProof.objects.count() == 2, "to join, and for the battle"


def test_a_browser_without_workers_is_told_so(visitor):
    Study.objects.update(proof_of_work="on")
    visitor.page.add_init_script("delete globalThis.Worker")
    visitor.open().page.get_by_role("button", name="Agree and start listening").click()
    visitor.sees("This browser could not do it")
