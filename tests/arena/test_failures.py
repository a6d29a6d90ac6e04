"""Below /api/ every failure is JSON with a code and a sentence, elsewhere a page; also without a database."""

import json
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.test import Client

from annotations.api import MAX_EVENT
from tests.casts.score import Researcher, make_model


@pytest.fixture
def browser():
    """A client that gets what a server would send instead of the exception behind it."""
    return Client(raise_request_exception=False, enforce_csrf_checks=True)


@pytest.fixture
def database_away(db):
    def refuse(execute, sql, params, many, context):
        raise OperationalError("connection refused")

    with connection.execute_wrapper(refuse):
        yield


def refused(answer, status, code):
    body = json.loads(answer.content)
    assert (answer.status_code, body["code"]) == (status, code), body
    assert len(body["detail"]) > 10
    assert answer["Content-Type"] == "application/json"
    return body


@pytest.mark.parametrize(
    "address", ["/api/", "/api/nothing/", "/api/battles/12/vote/", "/api/exports/raters/", "/api/%00/"]
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_unknown_address_of_the_api_is_refused_in_json(browser, address, method):
    refused(getattr(browser, method)(address), 404, "not_found")


def test_an_unknown_page_is_a_page(db, browser):
    answer = browser.get("/nothing/")
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("address", ["/api/leaderboard/", "/api/editions/", "/api/exports/votes/"])
def test_a_database_that_is_away_is_said_in_json_with_when_to_ask_again(study, rosa, browser, database_away, address):
    answer = browser.get(address, headers=rosa.headers)
    assert answer["Retry-After"] == str(refused(answer, 503, "unavailable")["retry_after_s"])


def test_a_listener_is_told_so_too(study, listener, database_away):
    listener.client.raise_request_exception = False
    refused(listener.post("/api/battles/"), 503, "unavailable")
    refused(listener.vote({"id": uuid4()}), 503, "unavailable")
    refused(listener.post("/api/raters/", {"consent_version": 1}), 503, "unavailable")


def test_a_page_without_a_database_is_a_page_that_says_so(study, browser, database_away):
    for address, language in (("/", "en"), ("/boards/open/", "de"), ("/listen/open/", "fr")):
        answer = browser.get(address, headers={"Accept-Language": language})
        assert (answer.status_code, answer["Retry-After"]) == (503, "5")
        assert answer["Content-Type"].startswith("text/html")


def test_what_we_did_wrong_is_a_500_in_json(study, browser, monkeypatch):
    monkeypatch.setattr("scoring.api.boards.api_study", lambda *_: 1 / 0)
    refused(browser.get("/api/leaderboard/"), 500, "server_error")


def test_a_request_for_another_host_is_refused_in_json(browser):
    refused(browser.get("/api/leaderboard/", headers={"Host": "elsewhere.example"}), 400, "bad_request")


def test_a_method_that_an_address_does_not_take_is_refused_in_json(listener):
    refused(listener.client.get("/api/battles/"), 405, "method_not_allowed")


def test_a_body_over_the_limit_is_refused_before_it_is_parsed(listener, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    battle = listener.battle()
    refused(listener.vote(battle, key="k", comment="x" * 1000), 413, "too_large")


def test_a_form_over_the_limit_is_refused_in_json(rosa, settings):
    make_model()
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    refused(rosa.send("/api/score/", prompt="x" * 1001), 413, "too_large")


def test_a_form_of_the_admin_over_the_limit_is_a_413(admin_client, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = admin_client.post("/admin/arena/study/add/", {"name": "x" * 1001})
    assert answer.status_code == 413


@pytest.mark.parametrize("event", [{"t": 1, "kind": "play", "value": "x" * MAX_EVENT}, "x" * MAX_EVENT])
def test_an_event_over_the_limit_is_refused_by_its_place(listener, event):
    answer = listener.vote(listener.battle(), key="k", events=[{"t": 0, "kind": "play"}, event])
    assert answer.status_code == 400
    assert list(answer.json()["events"]) == ["1"]


def test_more_events_than_the_limit_are_refused(listener):
    answer = listener.vote(listener.battle(), key="k", events=[{"t": 0, "kind": "play"}] * 5001)
    assert answer.status_code == 400


def test_a_request_without_its_csrf_token_is_refused_in_json(listener):
    refused(listener.post("/api/battles/", csrf=False), 403, "csrf_failed")


@pytest.fixture
def rosa(db):
    return Researcher()
