"""What somebody reads who has to come back later, and that the page then goes on by itself."""

import json

import pytest

from annotations.models import Vote
from arena.models import Study

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
