"""ARENA_HOME: the folder with all that an arena must not lose, and the lock against a second arena.

postgres/    the database (as root possibly a link, see embedded.py)
postgres_arena_password, postgres_arena_app_password
             of the database's two roles, see database_access.py
media/       clips, weights, releases
ledger/      the key that signs the ledger's heads, and those heads
secret_key   made at the first start
log/         one file per process
tmp/         what processes write for a moment, such as files that are being sent; emptied at each start
lock         held while an arena runs, until the last of its processes is gone
run.json     while it runs: process id, port, folder of the sockets, and how to reach the databases
"""

import errno
import fcntl
import json
import os
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import psutil

from .errors import CannotStart
from .program import Account, own

CHECKOUT = Path(__file__).resolve().parents[2]
STOPPING_SECONDS = 60


@dataclass(frozen=True)
class Home:
    path: Path

    @classmethod
    def from_environment(cls) -> Self:
        return cls(Path(os.environ.get("ARENA_HOME") or CHECKOUT / "var").resolve())

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def temporary(self) -> Path:
        return self.path / "tmp"

    @property
    def run_json(self) -> Path:
        return self.path / "run.json"

    def enter(self) -> IO[str]:
        """Create the folder if needed, take its lock and return the lock's open file."""
        try:
            for folder in (self.path, self.path / "media", self.log):
                folder.mkdir(parents=True, exist_ok=True)
                if not os.access(folder, os.W_OK):
                    raise PermissionError(errno.EACCES, "Permission denied", str(folder))
            return self._lock()
        except OSError as error:
            raise CannotStart(
                f"{error.filename}: {error.strerror}. Set ARENA_HOME to a folder that you can write to."
            ) from None

    def _lock(self) -> IO[str]:
        """The lock's open file; CannotStart when an arena runs here already.

        supervisord inherits the file. So after `kill -9` of an arena the lock is held until supervisord has
        stopped its programs; this waits for that.
        """
        deadline = time.monotonic() + STOPPING_SECONDS
        while True:
            taken, file = _open_lock(self.path / "lock", create=True)
            if taken:
                return file
            file.close()
            run = self.read_run()
            if run and psutil.pid_exists(run["pid"]):
                raise CannotStart(
                    f"An arena already runs in {self.path}: process {run['pid']}, "
                    f"http://127.0.0.1:{run['port']}. For a second one set ARENA_HOME and PORT."
                )
            if time.monotonic() > deadline:
                raise CannotStart(f"The arena that ran in {self.path} has not finished stopping. Try again.")
            time.sleep(0.05)

    def is_running(self) -> bool:
        try:
            taken, file = _open_lock(self.path / "lock", mode=fcntl.LOCK_SH)
        except FileNotFoundError:
            return False
        file.close()
        return not taken

    def secret_key(self) -> str:
        path = self.path / "secret_key"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(50))
        return path.read_text().strip()

    def write_run(self, **values: Any) -> None:
        write_private(self.run_json, json.dumps(values, indent=1))

    def read_run(self) -> dict[str, Any] | None:
        try:
            return json.loads(self.run_json.read_text())
        except FileNotFoundError:
            return None

    def clear_run(self) -> bool:
        """Remove run.json and the folder of sockets it names. Only for the holder of the lock.

        True if there was one: the previous run did not stop properly.
        """
        run = self.read_run()
        if run is None:
            return False
        shutil.rmtree(run["folder"], ignore_errors=True)
        self.run_json.unlink()
        return True

    def empty_temporary(self) -> Path:
        """The folder, without what an earlier run has left. Only for the holder of the lock."""
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir(mode=0o700, exist_ok=True)
        return self.temporary


def make_run_folder(account: Account | None, prefix: str = "arena-") -> Path:
    """A new folder for sockets: private, and short because a socket's path has at most 107 bytes.

    `account` must get through it to a folder of its own; nobody else can list or change anything in it.
    """
    for base in (tempfile.gettempdir(), "/tmp"):
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
        if account:
            folder.chmod(0o711)
        if len(os.fsencode(folder)) <= 70 and (account is None or account.reaches(folder)):
            return folder
        folder.rmdir()
    raise CannotStart("The temporary folder is out of reach of the database's account: set TMPDIR to another.")


def _open_lock(path: Path, *, create: bool = False, mode: int = fcntl.LOCK_EX) -> tuple[bool, IO[str]]:
    """(whether the lock could be taken, the open file)"""
    file = os.fdopen(os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600), "r+")
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False, file
    return True, file


def write_private(path: Path, text: str, account: Account | None = None) -> None:
    """Write a file of mode 0600, of `account` if one is given, that is never seen half-written."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    own(Path(file.name), account)
    os.replace(file.name, path)
