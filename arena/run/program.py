"""A program to run, and the account to run it as."""

import contextlib
import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from . import exec as wrapper

FOR_POSTGRES = ("arena-postgres", "postgres")
NOBODY = "nobody"


@dataclass(frozen=True)
class Account:
    """An account to which a root process drops its privileges."""

    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> Self:
        """KeyError where there is no such account."""
        entry = pwd.getpwnam(name)
        return cls(entry.pw_uid, entry.pw_gid)

    @classmethod
    def for_postgres(cls) -> Self:
        """An account that exists for databases alone, where there is one; else `nobody`."""
        for name in FOR_POSTGRES:
            with contextlib.suppress(KeyError):
                return cls.named(name)
        return cls.named(NOBODY)

    @classmethod
    def owner(cls, path: Path) -> Self:
        status = path.stat()
        return cls(status.st_uid, status.st_gid)

    @property
    def is_shared(self) -> bool:
        """Whether programs that are not ours may run under this account too."""
        return self.uid == Account.named(NOBODY).uid

    def reaches(self, path: Path) -> bool:
        """Whether this account can enter the folder `path`, or execute the file."""
        try:
            return run(["test", "-x", str(path)], self, check=False).returncode == 0
        except OSError:
            return False


@dataclass(frozen=True)
class Program:
    """`stop_signal` asks it to end; after `patience` seconds it is killed. `account`: None is our own."""

    name: str
    command: list[str]
    stop_signal: str = "SIGTERM"
    patience: int = 10
    account: Account | None = None

    def argv(self) -> list[str]:
        """The command inside the wrapper that makes it end with its parent."""
        account = f"{self.account.uid}:{self.account.gid}" if self.account else "-"
        return [sys.executable, "-I", "-S", wrapper.__file__, self.stop_signal, account, *self.command]

    def start(self, environment: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[Any]:
        """environment: variables beside our own."""
        whole = os.environ | (environment or {}) | {wrapper.PARENT: str(os.getpid())}
        return subprocess.Popen(self.argv(), env=whole, **options)


def run(
    command: list[str], account: Account | None, *, check: bool = True, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a short command to its end as `account`, in a folder that every account can enter."""
    identity: dict[str, Any] = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    return subprocess.run(command, cwd="/", check=check, capture_output=True, text=True, **identity, **options)


def own(path: Path, account: Account | None) -> None:
    if account:
        os.chown(path, account.uid, account.gid)


def make_private_folder(path: Path, account: Account | None) -> Path:
    path.mkdir(mode=0o700)
    own(path, account)
    return path
