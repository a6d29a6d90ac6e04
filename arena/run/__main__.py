"""`python -m arena.run`: start everything in order, stay in the foreground, stop everything in reverse."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from . import embedded
from .apps import apps
from .errors import CannotStart
from .exec import adopt_orphans
from .home import CHECKOUT, Home, make_run_folder
from .processes import end_descendants, read_port, require_free, serves_pages, wait_for_end
from .program import Program
from .recovery import kicked_when_space_is_back, pauses
from .supervise import Supervisor

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BEGAN = time.monotonic()


class Stop(BaseException):
    """Somebody asked the arena to stop: Ctrl-C, SIGTERM, or the terminal was closed."""


def main() -> int:
    """Run the arena until it is stopped; returns the exit status."""
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    adopt_orphans()
    try:
        port, home = read_port(), Home.from_environment()
        with home.enter() as lock:
            Arena(home, port, lock).run()
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"There is no space left for {error.filename or 'ARENA_HOME'}: free some, then start again.")
        return 1
    except Stop:
        return 0


def _stop(number: int, frame: FrameType | None) -> None:
    ignore_signals()  # asking once is enough: stopping has its own time limits
    raise Stop


def ignore_signals() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Arena:
    def __init__(self, home: Home, port: int, lock: IO[str]) -> None:
        self.home, self.port, self.lock = home, port, lock
        self.address = f"http://127.0.0.1:{port}"
        self.folder: Path | None = None
        self.supervisor: Supervisor | None = None
        # {environment variable that would replace it: store}
        self.stores: dict[str, embedded.Postgres | embedded.Redis] = {}
        self.owner: dict[str, str] = {}  # DATABASE_OWNER_URL, for migrations alone: web and workers do not get it

    def run(self) -> NoReturn:
        killed_before = self.home.clear_run()
        require_free(self.port, seconds=20 if killed_before else 0)
        say(f"The arena in {self.home.path}")
        try:
            self.prepare()
            self.start()
            if manage("demo", "--if-empty") != 0:
                say("The demo could not be made, see above for the reason; the arena runs without it")
            say(f"Ready at {self.address} - Ctrl-C stops it, logs are in {self.home.log}")
            self.stay()
        finally:
            ignore_signals()
            self.stop()

    def prepare(self) -> None:
        """Everything before the first process is started."""
        data = self.home.postgres
        self.folder = folder = make_run_folder(embedded.database_account(data))
        if owner_url := os.environ.pop("DATABASE_OWNER_URL", None):
            self.owner = {"DATABASE_OWNER_URL": owner_url}
        if not os.environ.get("DATABASE_URL"):
            self.prepare_database(data, folder)
        if not os.environ.get("REDIS_URL"):
            self.stores["REDIS_URL"] = embedded.Redis(folder)
        urls = {name: store.url for name, store in self.stores.items()}
        os.environ["TMPDIR"] = str(self.home.empty_temporary())  # where a sweep finds what killed processes leave
        os.environ.update(urls, ARENA_HOME=str(self.home.path), PORT=str(self.port), PYTHONUNBUFFERED="1")
        os.environ["SECRET_KEY"] = os.environ.get("SECRET_KEY") or self.home.secret_key()
        os.environ["PUBLIC_URL"] = os.environ.get("PUBLIC_URL") or self.address
        for_others = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "PUBLIC_URL")}
        self.home.write_run(pid=os.getpid(), port=self.port, folder=str(folder), **for_others, **self.owner)

    def prepare_database(self, data: Path, folder: Path) -> None:
        if self.owner:
            raise CannotStart("DATABASE_OWNER_URL is set and DATABASE_URL is not: set both, or neither.")
        if not data.exists():
            say("Making the database (only this first time)")
        database = embedded.Postgres.prepare(data, folder)
        if database.account and database.account.is_shared:
            say(
                "PostgreSQL runs as nobody, since root must not run it. An account of its own keeps others out: "
                "useradd --system --no-create-home arena-postgres"
            )
        self.stores["DATABASE_URL"] = database
        self.owner = {"DATABASE_OWNER_URL": database.owner_url}

    def start(self) -> None:
        """Start all processes, until pages are served."""
        programs = [store.program for store in self.stores.values()]
        assert self.folder, "it is prepared"
        supervisor = Supervisor(self.folder, self.home.log, programs, apps(self.port))
        self.supervisor = supervisor
        supervisor.start(self.lock)
        if programs:
            say("Starting " + " and ".join(program.name for program in programs))
        for program in programs:
            supervisor.start_program(program.name)
        for store in self.stores.values():
            supervisor.expect(store.program.name, store.answers)
        say("Migrating the database")
        must_manage("migrate", "--noinput", "--verbosity=0", environment=self.owner)
        say("Starting the web server")
        supervisor.start_program("apps:web")
        must_manage("create_admin")  # while the web server loads
        supervisor.expect("web", lambda: serves_pages(self.port), process="apps:web")
        say(f"Pages are served at {self.address}")
        supervisor.start_apps()  # the workers: last, because they load longest and no page needs them

    def stay(self) -> NoReturn:
        """Wait until somebody asks to stop. supervisord restarts the other processes; this one restarts supervisord."""
        while True:
            assert self.supervisor and self.supervisor.process, "it is started"
            with kicked_when_space_is_back(self.supervisor, self.home.path, say):
                wait_for_end(self.supervisor.process)
            say("supervisord has ended, starting everything again")
            self.start_again()

    def start_again(self) -> None:
        """Try for as long as it takes: what ended everything, such as a full disk, may last for hours."""
        for pause in pauses():
            if self.supervisor:
                self.supervisor.stop()
            end_descendants()
            try:
                return self.start()
            except (CannotStart, OSError, xmlrpc.client.Error) as error:
                say(f"{error}\nNext attempt in {pause:g} s")
                time.sleep(pause)

    def stop(self) -> None:
        say("Stopping")
        if self.supervisor:
            self.supervisor.stop()
        killed = end_descendants()
        self.home.clear_run()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        say(f"Stopped, after killing {', '.join(killed)}" if killed else "Stopped, no process is left")


def must_manage(*arguments: str, environment: dict[str, str] | None = None) -> None:
    if manage(*arguments, environment=environment) != 0:
        raise CannotStart(f"`manage.py {' '.join(arguments)}` failed, see above for the reason.")


def manage(*arguments: str, environment: dict[str, str] | None = None) -> int:
    """Run a command of manage.py to its end; returns its exit status. environment: variables beside our own."""
    program = Program("manage", [sys.executable, "manage.py", *arguments])
    # A group of its own, so that Ctrl-C reaches only us.
    process = program.start(environment, cwd=CHECKOUT, stdin=subprocess.DEVNULL, process_group=0)
    try:
        return process.wait()
    except Stop:
        os.killpg(process.pid, signal.SIGTERM)
        raise


def say(text: str) -> None:
    """Print a line of progress. A closed terminal must not prevent an orderly stop."""
    with contextlib.suppress(OSError):
        print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
