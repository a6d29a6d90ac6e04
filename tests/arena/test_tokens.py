"""Tokens of the API: kept as hashes, bounded by scope and time, and taken only where nobody can read along."""

import importlib
import re
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from arena.models import ApiToken, Scope, Study
from arena.models.tokens import digest_of
from arena.security import throttles
from tests.casts.score import Researcher, make_model
from tests.casts.votes import cast

VOTES = "/api/exports/votes/"


@pytest.fixture
def rosa(db):
    return Researcher()


def with_scopes(researcher, *scopes):
    ApiToken.objects.filter(pk=researcher.token.pk).update(scopes=list(scopes))
    return researcher


def test_the_database_holds_no_key(rosa):
    key = rosa.headers["Authorization"].split()[1]
    with connection.cursor() as cursor:
        cursor.execute("SELECT arena_apitoken::text FROM arena_apitoken")
        [[row]] = cursor.fetchall()
    assert key not in row and digest_of(key) in row


@pytest.mark.parametrize(
    "change",
    [
        {"expires_at": timezone.now() - timedelta(seconds=1)},
        {"revoked_at": timezone.now()},
        {"digest": "0" * 64},
    ],
    ids=["expired", "revoked", "of another key"],
)
def test_a_token_that_is_over_opens_nothing(study, rosa, change):
    assert rosa.get(VOTES).status_code == 200
    ApiToken.objects.update(**change)
    answer = rosa.get(VOTES)
    assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")


def test_a_token_ends_with_its_account(study, rosa):
    User.objects.update(is_active=False)
    assert rosa.get(VOTES).status_code == 401


@pytest.mark.parametrize("header", ["Token", "Token a b", "Token \xff", "Token ' OR 1=1", "Basic Og=="])
def test_a_header_that_is_no_token_is_refused(study, rosa, header):
    assert rosa.client.get(VOTES, headers={"Authorization": header}).status_code == 401


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("export", "get", VOTES),
        ("export", "get", "/api/exports/pairs/"),
        ("score", "post", "/api/score/"),
        ("score", "post", "/api/best-of-n/"),
        ("score", "get", "/api/score/00000000-0000-0000-0000-000000000000/"),
        ("read", "get", "/api/models/live/calibration/"),
    ],
)
def test_each_endpoint_asks_for_its_scope(study, rosa, scope, method, path):
    make_model()

    def ask():
        return getattr(rosa.client, method)(path, headers=rosa.headers)

    with_scopes(rosa, *(set(Scope.values) - {scope}))
    assert (ask().status_code, ask().json()["code"]) == (403, "scope_needed")
    with_scopes(rosa, scope)
    assert ask().status_code in (200, 400, 404)


def test_a_token_of_staff_sees_private_boards_only_with_the_scope_admin(study):
    Study.objects.update(boards_public=False)
    ada = Researcher("ada")
    User.objects.filter(username="ada").update(is_staff=True)
    assert ada.get("/api/leaderboard/").status_code == 200
    assert with_scopes(ada, "read", "export", "score").get("/api/leaderboard/").json()["code"] == "scope_needed"


def test_the_scope_admin_gives_nobody_rights_that_they_lack(study, rosa):
    Study.objects.update(boards_public=False)
    assert rosa.get("/api/leaderboard/").json()["code"] == "forbidden"


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        ({}, 200),
        ({"REMOTE_ADDR": "::1"}, 200),
        ({"REMOTE_ADDR": "203.0.113.7"}, 403),
        ({"REMOTE_ADDR": "10.0.0.7"}, 403),
        ({"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 403),
        ({"HTTP_FORWARDED": "for=127.0.0.1"}, 403),
        ({"HTTP_X_REAL_IP": "127.0.0.1"}, 403),
        ({"HTTP_X_FORWARDED_PROTO": "https"}, 403),
    ],
)
def test_a_token_is_taken_over_plain_http_only_from_this_machine(study, rosa, seen, status):
    answer = rosa.client.get(VOTES, headers=rosa.headers, **seen)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "https_needed"


def test_a_token_is_taken_over_https_from_anywhere(study, rosa):
    answer = rosa.client.get(VOTES, headers=rosa.headers, secure=True, REMOTE_ADDR="203.0.113.7")
    assert answer.status_code == 200


def test_its_last_use_is_noted_once_a_minute(study, rosa, time_passes):
    def uses():
        rosa.get(VOTES)
        return ApiToken.objects.get().last_used_at

    first = uses()
    assert first and uses() == first
    time_passes(61)
    assert uses() > first


def test_guessing_is_slowed_down_and_a_good_token_is_not(study, rosa, monkeypatch):
    monkeypatch.setattr("arena.security.tokens.BAD_TOKENS", throttles.Limit(3, 60))
    answers = [rosa.client.get(VOTES, headers={"Authorization": f"Token {n}"}) for n in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert 1 <= int(answers[-1]["Retry-After"]) == answers[-1].json()["retry_after_s"] <= 20
    assert rosa.get(VOTES).status_code == 200


def test_a_database_of_before_keeps_its_tokens_working_and_forgets_their_keys(study):
    old = "9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b"
    user = User.objects.create_user("rosa")
    user.groups.add(Group.objects.get(name="researchers"))
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE authtoken_token (key varchar(40) PRIMARY KEY, created timestamptz NOT NULL, "
            "user_id integer NOT NULL UNIQUE REFERENCES auth_user DEFERRABLE INITIALLY DEFERRED)"
        )
        cursor.execute("INSERT INTO authtoken_token VALUES (%s, now(), %s)", [old, user.pk])
    migration = importlib.import_module("arena.migrations.0016_api_tokens")
    with connection.schema_editor() as editor:
        migration.hash_old_tokens(apps, editor)
    assert "authtoken_token" not in connection.introspection.table_names()
    assert Client().get(VOTES, headers={"Authorization": f"Token {old}"}).status_code == 200
    token = ApiToken.objects.get()
    assert token.scopes == Scope.values and token.expires_at > timezone.now() + timedelta(days=364)


def test_a_token_without_a_scope_or_with_an_unknown_one_cannot_be_stored(rosa):
    with pytest.raises(IntegrityError, match="token_has_known_scopes"):
        with_scopes(rosa, "everything")


# ---- making them --------------------------------------------------------------------------------------


def add(client, **typed):
    in_a_week = timezone.now() + timedelta(days=7)
    form = {"name": "notebook", "scopes": ["export"], "expires_at_0": in_a_week.date(), "expires_at_1": "12:00"}
    return client.post(reverse("admin:arena_apitoken_add"), form | typed)


def test_the_admin_shows_a_new_token_once(study, admin_client):
    user = User.objects.create_user("rosa")
    user.groups.add(Group.objects.get(name="researchers"))
    answer = add(admin_client, user=user.pk)
    assert "no-store" in answer["Cache-Control"]
    key = re.search(r'id="key">(\w+)<', answer.content.decode())[1]
    assert Client().get(VOTES, headers={"Authorization": f"Token {key}"}).status_code == 200
    token = ApiToken.objects.get()
    for page in (reverse("admin:arena_apitoken_changelist"), reverse("admin:arena_apitoken_change", args=[token.pk])):
        assert key not in admin_client.get(page).content.decode()


def test_the_admin_revokes_tokens(study, admin_client, rosa):
    form = {"action": "revoke", "_selected_action": [rosa.token.pk]}
    admin_client.post(reverse("admin:arena_apitoken_changelist"), form)
    assert rosa.get(VOTES).status_code == 401


def test_staff_make_no_token_of_an_admin(db, rosa):
    staff, boss = User.objects.create_user("ada", is_staff=True), User.objects.create_superuser("boss")
    staff.user_permissions.set(Permission.objects.filter(codename__in=["add_apitoken", "view_apitoken", "view_user"]))
    client = Client()
    client.force_login(staff)
    assert "user" in add(client, user=boss.pk).context["adminform"].form.errors
    assert add(client, user=rosa.user.pk).status_code == add(client, user=staff.pk).status_code == 200
    assert not ApiToken.objects.filter(user=boss).exists()


def test_the_command_prints_a_token(study, rosa, capsys):
    call_command("create_token", "rosa", "--scope", "export", "--days", "3")
    key = capsys.readouterr().out.strip()
    assert Client().get(VOTES, headers={"Authorization": f"Token {key}"}).status_code == 200
    token = ApiToken.objects.get(digest=digest_of(key))
    assert token.scopes == ["export"] and token.expires_at < timezone.now() + timedelta(days=4)
    for wrong in (["nobody"], ["rosa", "--days", "0"]):
        with pytest.raises(CommandError):
            call_command("create_token", *wrong)


# ---- sessions -----------------------------------------------------------------------------------------


@pytest.fixture
def boss(db):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("boss"))
    return client


def test_somebody_signed_in_opens_exports_in_the_browser(study, boss):
    cast(study, "A")
    for path in (VOTES, "/api/exports/pairs/?format=csv"):
        assert boss.get(path).status_code == 200


def test_a_session_only_reads(study, boss):
    make_model()
    assert boss.post("/api/score/").status_code == 401
    assert boss.get("/api/models/live/calibration/").status_code == 200


def test_a_signed_in_account_without_rights_gets_nothing(study):
    client = Client()
    client.force_login(User.objects.create_user("eve"))
    assert client.get(VOTES).status_code == 403


# ---- throttles ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "path"), [("EXPORTS", VOTES), ("READING", "/api/models/live/calibration/")])
def test_an_account_that_asks_too_often_is_told_when_to_come_back(study, rosa, monkeypatch, limit, path):
    make_model()
    monkeypatch.setattr(getattr(throttles, limit), "most", 2)
    answers = [rosa.get(path) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json()["code"] == "throttled"
    assert int(answers[-1]["Retry-After"]) == answers[-1].json()["retry_after_s"] >= 1
    assert Researcher("ada").get(path).status_code == 200


def test_a_limit_comes_back_evenly(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(throttles.time, "monotonic", lambda: now[0])
    limit = throttles.Limit(3, 30)
    assert [limit.take("a") for _ in range(5)] == [0, 0, 0, 10, 10]
    assert limit.take("b") == 0
    now[0] += 10
    assert [limit.take("a") for _ in range(2)] == [0, 10]
    now[0] += 1000
    assert [limit.take("a") for _ in range(4)] == [0, 0, 0, 10]


def test_a_limit_does_not_fill_the_memory(monkeypatch):
    limit = throttles.Limit(3, 30)
    monkeypatch.setattr(limit, "MOST_KEYS", 100)
    for key in range(1000):
        limit.take(key)
    assert len(limit._free_at) <= 101
