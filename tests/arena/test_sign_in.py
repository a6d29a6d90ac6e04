"""Signing in to the admin: locks, the second factor, passwords, and how long a session lasts."""

import logging
import re
import time
from base64 import b32decode
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db.models import F
from django.test import Client, RequestFactory
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from arena.models import GivenPassword
from arena.security import forgetting, second_factor, throttles
from arena.security.lockout import connection

GOOD, NEW = "a horse of another colour", "quite different from before"
HOME, ELSEWHERE = "203.0.113.7", "198.51.100.9"


@pytest.fixture
def ada(db):
    return User.objects.create_superuser("ada", password=GOOD)


def sign_in(password=GOOD, code="", client=None, username="ada", address=HOME, **seen):
    client = client or Client()
    form = {"username": username, "password": password, "code": code}
    return client.post("/admin/login/", form, REMOTE_ADDR=address, **seen)


def opened(client, path="/admin/"):
    return client.get(path, REMOTE_ADDR=HOME).status_code == 200


def later(seconds):
    """Failures so far are that much older: django-axes has a clock of its own."""
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(seconds=seconds))


# ---- locks --------------------------------------------------------------------------------------------


def test_after_five_failures_the_right_password_opens_nothing_for_a_while(ada, caplog):
    with caplog.at_level(logging.WARNING, logger="arena.security.lockout"):
        answers = [sign_in("wrong") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert answers[-1]["Retry-After"] == "900" and b"15 minutes" in answers[-1].content
    assert "Locked out for 900 s" in caplog.text and "'ada'" in caplog.text and HOME in caplog.text
    assert sign_in().status_code == 429
    later(15 * 60 - 10)
    assert sign_in().status_code == 429
    later(11)
    assert sign_in().status_code == 302


def test_nobody_locks_an_admin_out_from_elsewhere(ada):
    for _ in range(9):
        sign_in("wrong", address=ELSEWHERE)
    assert sign_in(address=ELSEWHERE).status_code == 429
    assert sign_in().status_code == 302


def test_another_account_of_the_same_connection_may_still_sign_in(ada):
    User.objects.create_superuser("bob", password=GOOD)
    for _ in range(6):
        sign_in("wrong")
    assert sign_in(username="bob").status_code == 302


def test_another_browser_of_the_same_connection_does_not_get_more_tries(ada):
    answers = [sign_in("wrong", HTTP_USER_AGENT=f"browser {n}") for n in range(6)]
    assert answers[-1].status_code == 429


def test_trying_on_does_not_lengthen_the_lock(ada):
    for _ in range(5):
        sign_in("wrong")
    later(600)
    assert sign_in("wrong").status_code == 429
    later(301)
    assert sign_in().status_code == 302


@pytest.mark.parametrize(
    ("proxies", "seen", "address"),
    [
        (0, {"REMOTE_ADDR": HOME, "HTTP_X_FORWARDED_FOR": "1.1.1.1"}, HOME),
        (0, {"REMOTE_ADDR": "127.0.0.1"}, "127.0.0.1"),
        (0, {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": f"1.1.1.1, {ELSEWHERE}"}, ELSEWHERE),
        (0, {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "unknown"}, "127.0.0.1"),
        (1, {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": f"1.1.1.1, {ELSEWHERE}"}, ELSEWHERE),
        (0, {"REMOTE_ADDR": "2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::"),
        (0, {"REMOTE_ADDR": f"::ffff:{HOME}"}, HOME),
        (0, {"REMOTE_ADDR": "::ffff:127.0.0.1", "HTTP_X_FORWARDED_FOR": ELSEWHERE}, ELSEWHERE),
        (0, {"REMOTE_ADDR": ""}, None),
    ],
)
def test_a_connection_is_what_the_nearest_trusted_machine_saw(settings, proxies, seen, address):
    settings.TRUSTED_PROXIES = proxies
    assert connection(RequestFactory().post("/admin/login/", **seen)) == address


def test_who_tries_many_accounts_has_to_wait(ada, monkeypatch):
    monkeypatch.setattr(throttles.SIGNING_IN, "most", 3)
    answers = [sign_in(username=f"user{n}") for n in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60


def test_the_log_says_who_signed_in_or_failed_to_and_no_secret(ada, caplog):
    with caplog.at_level(logging.INFO, logger="arena.security"):
        sign_in("a wrong password", username="ada\n2026 INFO forged")
        sign_in()
    assert f"Failed to sign in: 'ada\\n2026 INFO forged' from {HOME}" in caplog.text
    assert f"Signed in: 'ada' from {HOME}" in caplog.text
    assert GOOD not in caplog.text and "a wrong password" not in caplog.text


def test_no_password_and_no_code_is_stored_with_a_failure(ada):
    sign_in("my other password", code="123456")
    kept = str(AccessAttempt.objects.values())
    assert "my other password" not in kept and "123456" not in kept


def test_failures_and_sessions_that_have_run_out_are_forgotten(ada, time_passes):
    sign_in("wrong")
    sign_in("wrong", address=ELSEWHERE)
    assert sign_in(address="192.0.2.1").status_code == 302
    forgetting.forget()
    assert (AccessAttempt.objects.count(), Session.objects.count()) == (2, 1)
    time_passes(86_500)
    forgetting.forget()
    assert (AccessAttempt.objects.count(), Session.objects.count()) == (0, 0)


# ---- passwords ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        "x y" * 43,
        "short pass",
        "rosalind-2026",
        "XdnilasorX12",
        "rosa.lind@lab.example",
        "password1234",
        "qwertyuiop123",
    ],
)
def test_a_password_is_long_uncommon_and_not_about_its_owner(password):
    owner = User(username="rosalind", email="rosa.lind@lab.example", first_name="Rosalind")
    with pytest.raises(ValidationError):
        validate_password(password, owner)
    validate_password(GOOD, owner)


def change_password(client, old, new):
    form = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post("/admin/password_change/", form, REMOTE_ADDR=HOME)


@pytest.fixture
def rosa(ada, admin_client):
    """Staff, whose password an admin has set."""
    form = {"username": "rosa", "usable_password": "true", "password1": GOOD, "password2": GOOD}
    assert admin_client.post("/admin/auth/user/add/", form).status_code == 302
    User.objects.filter(username="rosa").update(is_staff=True, is_superuser=True)
    return User.objects.get(username="rosa")


def test_a_password_that_somebody_else_chose_is_changed_before_anything_else(study, rosa):
    client = Client()
    assert sign_in(client=client, username="rosa").status_code == 302
    answer = client.get("/admin/", REMOTE_ADDR=HOME)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/password_change/")
    assert client.get("/review/").status_code == 302
    assert client.get("/api/exports/votes/").status_code == 401
    assert client.get("/listen/open/").status_code == 200
    assert change_password(client, GOOD, NEW).status_code == 302
    assert opened(client) and not GivenPassword.objects.exists()
    again = Client()
    sign_in(NEW, client=again, username="rosa")
    assert opened(again)


def test_the_password_that_somebody_else_chose_is_not_kept_as_ones_own(rosa):
    client = Client()
    sign_in(client=client, username="rosa")
    assert change_password(client, GOOD, GOOD).status_code == 200
    assert not opened(client)


def test_a_password_that_an_admin_sets_later_is_changed_too(rosa, admin_client):
    client = Client()
    sign_in(client=client, username="rosa")
    change_password(client, GOOD, NEW)
    form = {"usable_password": "true", "password1": GOOD, "password2": GOOD}
    assert admin_client.post(f"/admin/auth/user/{rosa.pk}/password/", form).status_code == 302
    assert not opened(client)
    sign_in(client=client, username="rosa")
    assert client.get("/admin/", REMOTE_ADDR=HOME)["Location"] == "/admin/password_change/"


def test_the_first_admin_signs_in_with_the_password_that_was_printed(db, capsys):
    call_command("create_admin")
    password = re.search(r"password: (\S+)", capsys.readouterr().out)[1]
    client = Client()
    assert sign_in(password, client=client, username="admin").status_code == 302
    assert opened(client)


# ---- the second factor --------------------------------------------------------------------------------


def code_of(key, steps=0):
    clock = TOTP(b32decode(key.replace(" ", "")))
    clock.time = time.time() + 30 * steps
    return f"{clock.token():06}"


@pytest.fixture
def app(ada):
    """(a client, the key, the codes on paper) after Ada has set up her app."""
    client = Client()
    sign_in(client=client)
    page = client.get("/admin/second_factor/", REMOTE_ADDR=HOME).content.decode()
    assert "<svg" in page and "style=" not in page
    key = re.search(r'id="key">([A-Z2-7 ]+)<', page)[1]
    page = client.post(
        "/admin/second_factor/", {"code": code_of(key, -1), "password": GOOD}, REMOTE_ADDR=HOME
    ).content.decode()
    codes = re.findall(r"<li>(\w{5}-\w{5})</li>", page)
    assert len(codes) == 10
    return client, key, codes


def test_with_an_app_signing_in_needs_its_code(app):
    _, key, _ = app
    assert sign_in().status_code == sign_in(code="000000").status_code == 200
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    client = Client()
    assert sign_in(client=client, code=code_of(key)).status_code == 302
    assert opened(client)


def test_a_code_works_once(app):
    code = code_of(app[1])
    assert [sign_in(code=code).status_code for _ in range(2)] == [302, 200]


def test_a_code_on_paper_works_once_and_only_its_hash_is_stored(app):
    _, _, codes = app
    stored = str(list(StaticToken.objects.values_list("token", flat=True)))
    assert not any(code in stored or code.replace("-", "") in stored for code in codes)
    assert [sign_in(code=codes[0]).status_code for _ in range(2)] == [302, 200]
    assert StaticToken.objects.count() == 9


def test_a_wrong_code_counts_as_a_failure_and_is_not_told_from_a_wrong_password(app):
    answers = [sign_in(code="000000"), *[sign_in("wrong") for _ in range(4)]]
    assert answers[-1].status_code == 429
    told = [re.search(r'errornote">(.*?)</p>', answer.content.decode(), re.DOTALL)[1] for answer in answers[:2]]
    assert told[0] == told[1]


def test_after_wrong_codes_a_device_refuses_every_code_for_a_while(app):
    _, key, _ = app
    for _ in range(3):
        sign_in(code="000000", address=ELSEWHERE)
    assert sign_in(code=code_of(key)).status_code == 200


def test_an_app_that_shows_another_code_is_not_set_up(ada):
    client = Client()
    sign_in(client=client)
    answer = client.post("/admin/second_factor/", {"code": "000000", "password": GOOD}, REMOTE_ADDR=HOME)
    assert b"not the code of this moment" in answer.content
    assert not second_factor.has_one(ada)


def test_nobody_sets_up_an_app_who_only_finds_a_browser_signed_in(ada):
    client = Client()
    sign_in(client=client)
    page = client.get("/admin/second_factor/", REMOTE_ADDR=HOME).content.decode()
    code = code_of(re.search(r'id="key">([A-Z2-7 ]+)<', page)[1])
    for guess in ({}, {"password": "a guess"}):
        assert b"not your password" in client.post("/admin/second_factor/", {"code": code} | guess).content
    assert not second_factor.has_one(ada)


def test_new_codes_for_paper_end_the_old_ones(app):
    client, key, codes = app
    page = client.post("/admin/second_factor/", {"code": code_of(key), "act": "codes"}, REMOTE_ADDR=HOME)
    new = re.findall(r"<li>(\w{5}-\w{5})</li>", page.content.decode())
    assert len(new) == 10 and not set(new) & set(codes)
    assert sign_in(code=codes[1]).status_code == 200


def test_giving_it_up_needs_a_code(app, ada):
    client, key, _ = app
    client.post("/admin/second_factor/", {"code": "000000", "act": "remove"}, REMOTE_ADDR=HOME)
    assert second_factor.has_one(ada)
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    client.post("/admin/second_factor/", {"code": code_of(key), "act": "remove"}, REMOTE_ADDR=HOME)
    assert not second_factor.has_one(ada) and sign_in().status_code == 302


def test_where_it_is_required_staff_set_it_up_before_anything_else(ada, settings):
    settings.STAFF_SECOND_FACTOR = True
    client = Client()
    sign_in(client=client)
    assert client.get("/admin/", REMOTE_ADDR=HOME)["Location"] == "/admin/second_factor/"
    page = client.get("/admin/second_factor/", REMOTE_ADDR=HOME).content.decode()
    key = re.search(r'id="key">([A-Z2-7 ]+)<', page)[1]
    client.post("/admin/second_factor/", {"code": code_of(key), "password": GOOD}, REMOTE_ADDR=HOME)
    assert opened(client)


def test_the_admin_shows_nobody_the_key_of_an_app(app, admin_client):
    device = TOTPDevice.objects.get()
    page = admin_client.get(f"/admin/otp_totp/totpdevice/{device.pk}/change/").content.decode()
    assert device.key not in page


def test_the_shell_opens_an_account_again(app, capsys):
    for _ in range(6):
        sign_in("wrong")
    call_command("unlock", "ada")
    assert sign_in(code=code_of(app[1])).status_code == 302
    call_command("unlock", "ada", "--second-factor")
    assert sign_in().status_code == 302
    with pytest.raises(CommandError, match="no account 'eve'"):
        call_command("unlock", "eve")


# ---- sessions -----------------------------------------------------------------------------------------


def test_an_idle_session_ends_and_a_busy_one_goes_on(ada, time_passes):
    client = Client()
    sign_in(client=client)
    for _ in range(3):
        time_passes(29 * 60)
        assert opened(client)
    time_passes(31 * 60)
    assert not opened(client)


def test_a_session_ends_after_half_a_day_however_busy(ada, monkeypatch):
    client = Client()
    sign_in(client=client)
    real = time.time
    monkeypatch.setattr("arena.security.sessions.time.time", lambda: real() + 12 * 3600 + 1)
    assert not opened(client)


def test_signing_in_makes_a_new_session(ada):
    client = Client()
    sign_in(client=client)
    first = client.cookies["sessionid"].value
    client.post("/admin/logout/", REMOTE_ADDR=HOME)
    sign_in(client=client)
    assert client.cookies["sessionid"].value != first
    assert not Session.objects.filter(session_key=first).exists()


def test_a_listener_asks_nothing_about_sessions(study, listener, django_assert_num_queries):
    with django_assert_num_queries(0):
        listener.client.get("/healthz")
    assert "sessionid" not in listener.client.cookies
