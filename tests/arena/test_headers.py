"""What browsers are told with every answer, and what changes where the site is served over HTTPS or framed."""

import os
import subprocess
import sys
import uuid
from importlib.metadata import version
from types import SimpleNamespace

import pytest
from django.core.signing import get_cookie_signer
from django.http import HttpResponse
from django.test import RequestFactory

from arena import rater_cookie
from arena.models import Rater
from arena.run.home import CHECKOUT

ADDRESSES = (
    "/",
    "/listen/open/",
    "/me/",
    "/admin/login/",
    "/nothing/",
    "/api/leaderboard/",
    "/api/nothing/",
    "/healthz",
)
SHOW = (
    "import django; django.setup(); from django.conf import settings; from django.test import Client\n"
    "client = Client(headers={'host': 'localhost'}, raise_request_exception=False)\n"
)


def run(code, **environment):
    """What these lines print in a process of their own, whose settings are read with this environment."""
    return subprocess.run(
        [sys.executable, "-c", SHOW + code],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "arena.settings", **environment},
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_answer_says_what_a_page_may_do(study, client, address):
    answer = client.get(address)
    policy = dict(part.strip().split(" ", 1) for part in answer["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert "microphone=()" in answer["Permissions-Policy"]
    assert (answer["X-Frame-Options"], answer["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Content-Type"].partition(";")[0] in ("text/html", "application/json")
    assert "Access-Control-Allow-Origin" not in answer


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_answer_names_a_version(study, client, address):
    packages = ("Django", "djangorestframework", "granian", "whitenoise")
    told = str(client.get(address).headers)
    assert not [name for name in packages if version(name) in told]
    assert sys.version.split()[0] not in told


@pytest.fixture
def framed(settings):
    settings.FRAME_ANCESTORS = ["https://lab.qualtrics.com"]
    settings.CSRF_COOKIE_SAMESITE = "None"
    settings.HTTPS = settings.CSRF_COOKIE_SECURE = True


def test_only_named_sites_may_frame_and_only_listeners_pages(study, framed, client):
    answer = client.get("/listen/open/", secure=True)
    assert "frame-ancestors 'self' https://lab.qualtrics.com" in answer["Content-Security-Policy"]
    assert "X-Frame-Options" not in answer
    for address in ("/admin/login/", "/review/", "/"):
        answer = client.get(address, secure=True)
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
        assert answer["X-Frame-Options"] == "DENY"


def test_a_framed_page_keeps_its_cookies(study, framed, client):
    assert "Partitioned" in client.get("/listen/open/", secure=True).cookies["csrftoken"].OutputString()
    joined = client.post("/api/raters/", {"consent_version": 1}, content_type="application/json", secure=True)
    for attribute in ("SameSite=None", "Secure", "Partitioned", "HttpOnly"):
        assert attribute in joined.cookies["rater"].OutputString()


@pytest.mark.parametrize(
    ("environment", "error"),
    [
        ({"FRAME_ANCESTORS": "https://lab.qualtrics.com"}, "FRAME_ANCESTORS needs HTTPS=true"),
        ({"FRAME_ANCESTORS": "lab.qualtrics.com", "HTTPS": "true"}, "'lab.qualtrics.com' is no origin"),
        ({"FRAME_ANCESTORS": "https://a.example; script-src *", "HTTPS": "true"}, "is no origin"),
    ],
)
def test_sites_that_cannot_frame_stop_the_start(environment, error):
    assert error in run("", **environment).stderr


def test_under_https_pages_redirect_the_api_refuses_and_health_checks_answer():
    code = """
for address in ("/listen/open/", "/admin/", "/api/nothing/", "/healthz"):
    answer = client.get(address, REMOTE_ADDR="203.0.113.7")
    print(answer.status_code, answer.headers.get("Location"))
print(client.get("/api/nothing/").status_code)
print(client.get("/api/nothing/", headers={"X-Forwarded-For": "203.0.113.7"}).json()["code"])
"""
    assert run(code, HTTPS="true").stdout.splitlines() == [
        "301 https://localhost/listen/open/", "301 https://localhost/admin/", "403 None", "200 None",
        "404", "https_needed",
    ]  # fmt: skip


def test_under_https_cookies_are_of_this_host_alone_and_browsers_stay_with_https():
    code = """
answer = client.get("/healthz", secure=True)
print(answer["Strict-Transport-Security"])
print(settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, settings.RATER_COOKIE)
from django.http import HttpResponse
from arena.models import Rater
from arena.rater_cookie import forget_rater, set_rater
for set_it in (set_rater(HttpResponse(), Rater()), forget_rater(HttpResponse())):
    cookie = set_it.cookies[settings.RATER_COOKIE]
    print(bool(cookie["secure"]), cookie["path"], cookie["domain"] == "", cookie["samesite"])
"""
    assert run(code, HTTPS="true").stdout.splitlines() == [
        "max-age=15552000; includeSubDomains", "__Host-sessionid __Host-csrftoken __Host-rater",
        "True / True Lax", "True / True Lax",
    ]  # fmt: skip


@pytest.fixture
def renaming(settings):
    """rename(cookies): the rater that the view sees, and the cookies of the answer."""
    settings.HTTPS, settings.RATER_COOKIE = True, "__Host-rater"

    def rename(cookies, view=lambda request: HttpResponse()):
        request = RequestFactory().get("/me/", secure=True)
        request.COOKIES.update(cookies)
        seen = SimpleNamespace()

        def look(request):
            seen.rater = rater_cookie.read_rater(request)
            return view(request)

        answer = rater_cookie.under_its_new_name(look)(request)
        return seen.rater, answer.cookies

    return rename


def signed(name, value):
    return get_cookie_signer(salt=name + rater_cookie.SALT).sign(str(value))


def test_a_rater_from_before_https_stays_the_same_rater(rater, renaming):
    seen, cookies = renaming({"rater": signed("rater", rater.pk)})
    assert seen == rater
    assert cookies["rater"]["max-age"] == 0
    assert cookies["__Host-rater"]["secure"] and cookies["__Host-rater"]["max-age"] == 365 * 86400
    again, later = renaming({"__Host-rater": cookies["__Host-rater"].value})
    assert again == rater and not later


def test_the_new_cookie_rules_over_an_old_one_that_somebody_slipped_in(rater, renaming):
    other = Rater.objects.create()
    seen, cookies = renaming({"rater": signed("rater", other.pk), "__Host-rater": signed("__Host-rater", rater.pk)})
    assert seen == rater
    assert "__Host-rater" not in cookies


@pytest.mark.parametrize("value", ["", "forged", f"{uuid.UUID(int=0)}:1:forged"])
def test_a_forged_old_cookie_is_nobody(rater, renaming, value):
    seen, cookies = renaming({"rater": value})
    assert seen is None and "__Host-rater" not in cookies


def test_who_withdraws_at_that_moment_is_forgotten(rater, renaming):
    _, cookies = renaming({"rater": signed("rater", rater.pk)}, lambda _: rater_cookie.forget_rater(HttpResponse()))
    assert cookies["__Host-rater"]["max-age"] == cookies["rater"]["max-age"] == 0
