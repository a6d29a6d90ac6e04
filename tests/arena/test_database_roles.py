"""The application's role on a database of its own, made and migrated as the runner does it."""

import json
import os
import shutil
import signal
import subprocess
import sys

import psycopg
import pytest

from arena.run import database_access, embedded
from arena.run.home import CHECKOUT, make_run_folder
from arena.run.processes import wait_until

LIFE = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "arena.settings"
django.setup()
from datetime import timedelta
from django.db import connection
from django.utils import timezone
from annotations import ledger, ledger_audit, ledger_heads
from annotations.services import Answer, cast_vote, withdraw_rater
from arena.database_roles import check_role
from arena.services import give_consent
from arena.serving import serve_battle
from tests.casts.simulated_arena import make_arena, vote
study = make_arena()
vote(study, 60, dict.fromkeys(range(1, 41), 0.0))
rater = give_consent(None, study, 1)
battle, _ = serve_battle(rater, study)
heard = {"A": [[0, 4000]], "B": [[0, 4000]]}
cast_vote(rater, battle.pk, Answer("A", heard), "key", timezone.now() + timedelta(minutes=1))
ledger.catch_up()
ledger_heads.publish()
assert ledger_audit.audit(ledger_heads.logged()) == []
withdraw_rater(rater)
ledger.catch_up()
from scoring.models import Edition
from scoring import tasks
tasks.refit_boards(); tasks.move_standings_on(); tasks.explain_editions(); tasks.compute_categories()
assert Edition.objects.exists()
assert check_role(None) == []
assert connection.settings_dict["USER"] == "arena_app"
"""


@pytest.fixture(scope="module")
def database():
    folder = make_run_folder(embedded.database_account(CHECKOUT / "none yet"), prefix="arena-test-")
    (folder / "home").mkdir()
    (folder / "run").mkdir()
    folder.joinpath("run").chmod(0o711)
    folder.joinpath("home").chmod(0o711)
    database = embedded.Postgres.prepare(folder / "home/postgres", folder / "run", durable=False)
    process = database.program.start(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert wait_until(database.answers, 30)
    manage(database, "migrate", "--verbosity=0", DATABASE_OWNER_URL=database.owner_url)
    yield database
    process.send_signal(signal.SIGINT)
    process.wait(30)
    shutil.rmtree(folder)


def manage(database, *arguments, **environment):
    return run(database, ["manage.py", *arguments], **environment)


def run(database, command, **environment):
    of_arena = {"DATABASE_URL": database.url, "ARENA_HOME": str(database.data.parent)}
    ran = subprocess.run(
        [sys.executable, *command], cwd=CHECKOUT, env=os.environ | of_arena | environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.fixture
def application(database):
    with psycopg.connect(database.url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def owner(database):
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        yield connection


REFUSED = [
    "TRUNCATE annotations_vote CASCADE",
    "TRUNCATE arena_rater CASCADE",
    "ALTER TABLE annotations_vote DISABLE TRIGGER vote_never_changes",
    "ALTER TABLE annotations_vote ADD COLUMN more int",
    "DROP TABLE annotations_voteblock",
    "DROP TRIGGER vote_never_changes ON annotations_vote",
    "CREATE TABLE mine (id int)",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "SET session_replication_role = replica",
    "SET ROLE arena",
    "UPDATE annotations_vote SET preference = 'B'",
    "DELETE FROM annotations_vote",
    "UPDATE annotations_flag SET rule = 'x'",
    "UPDATE annotations_ledger SET study_id = 1",
    "UPDATE annotations_ledgerseal SET hashes = '[]'",
    "DELETE FROM annotations_ledger",
    "UPDATE arena_battle SET system_a_id = system_b_id",
    "DELETE FROM arena_battle",
    "UPDATE scoring_edition SET number = 1",
    "DELETE FROM django_migrations",
    "SELECT pg_read_file('/etc/passwd')",
]
ALLOWED = [
    "UPDATE annotations_ledger SET seq = 1, digest = 'x', link_version = 2 WHERE false",
    "UPDATE arena_battle SET closed_at = now(), close_reason = 'voted' WHERE false",
    "UPDATE arena_study SET name = name WHERE false",
    "DELETE FROM annotations_votedetails WHERE false",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_the_application_may_not(application, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(statement)


@pytest.mark.parametrize("statement", ALLOWED)
def test_the_application_may(application, statement):
    application.execute(statement)


def test_every_table_that_is_there_can_be_read_and_filled_by_the_application(application):
    """A table that was made by a later migration, too: `migrate` grants each time."""
    rows = application.execute(
        "SELECT relname, has_table_privilege(oid, 'SELECT'), has_table_privilege(oid, 'INSERT') FROM pg_class "
        "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    ).fetchall()
    assert len(rows) > 50
    assert [name for name, reads, _ in rows if not reads] == []
    assert [name for name, _, fills in rows if not fills] == ["django_migrations"]


def test_a_table_that_only_the_owner_made_is_left_to_the_owner_until_the_next_migration(database, owner, application):
    owner.execute("CREATE TABLE made_since (id int)")
    try:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            application.execute("SELECT FROM made_since")
        manage(database, "migrate", "--verbosity=0", DATABASE_OWNER_URL=database.owner_url)
        application.execute("SELECT FROM made_since")
    finally:
        owner.execute("DROP TABLE made_since")


def test_the_arena_lives_on_what_its_role_may_do(database):
    run(database, ["-c", LIFE])


def test_nobody_gets_in_without_a_password_and_the_superuser_not_at_all(database):
    for role in ("arena", "arena_app", "postgres"):
        with pytest.raises(psycopg.OperationalError, match=r"no password supplied|no pg_hba.conf entry"):
            psycopg.connect(host=str(database.folder), user=role, dbname="arena", password=None)
    hba = (database.data.resolve() / "pg_hba.conf").read_text()
    assert "trust" not in hba and "scram-sha-256" in hba
    for role in ("arena", "arena_app"):
        assert database_access.password_file(database.data, role).stat().st_mode & 0o777 == 0o600


def test_the_check_for_deployment_warns_of_one_role_for_all(database):
    assert "arena.W001" not in deploy_check(database)
    said = deploy_check(database, DATABASE_URL=database.owner_url)
    assert "arena.W001" in said and "owns the tables" in said and "DATABASE_OWNER_URL" in said


def deploy_check(database, **environment):
    return manage(database, "check", "--deploy", **environment)


def test_an_owner_of_another_database_is_refused(database):
    other = database.owner_url.rpartition("/")[0] + "/postgres"
    with pytest.raises(AssertionError, match="DATABASE_OWNER_URL names another database"):
        manage(database, "check", DATABASE_OWNER_URL=other)


def test_the_passwords_are_nowhere_in_the_processes_command_lines(database):
    assert not any(
        database_access.password(database.data, role) in json.dumps(database.program.argv())
        for role in ("arena", "arena_app")
    )


def test_nothing_is_left_to_warn_of_where_the_site_is_served_over_https(database):
    said = manage(
        database, "check", "--deploy", "--fail-level", "WARNING", HTTPS="true", SECRET_KEY="0123456789abcdef" * 4
    )
    assert "no issues" in said
