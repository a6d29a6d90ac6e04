"""Become another program that ends when its parent does, as another account if asked.

    ARENA_PARENT_PID=... python exec.py SIGNAL UID:GID|- COMMAND...

The parent is a supervisor. If it is killed with -9, nobody is left to stop its children; Linux can then send each
child a signal (PR_SET_PDEATHSIG), and this is the place to request it: after the change of account,
which clears the request, and before the exec, which keeps it. Elsewhere only the account changes.

Runs as a script under `python -I -S` and imports little, because every start of every process pays for it.
"""

import ctypes  # at the top: after the change of account Python's own files may be out of reach
import os
import signal
import sys

PARENT = "ARENA_PARENT_PID"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(argv: list[str]) -> None:
    signal_name, account, *command = argv
    if account != "-":
        become(*map(int, account.split(":")))
    if sys.platform == "linux":
        die_with_parent(signal.Signals[signal_name])
    os.environ[PARENT] = str(os.getpid())  # exec keeps the process id, so our children can check theirs
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"cannot start {command[0]}: {error.strerror}")


def become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def die_with_parent(number: int) -> None:
    prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != int(os.environ[PARENT]):  # it died before the request
        sys.exit("the parent process is gone")


def adopt_orphans() -> None:
    """Let processes whose parent dies become our children instead of init's, so that we can find them."""
    if sys.platform == "linux":
        prctl(_PR_SET_CHILD_SUBREAPER, 1)


def prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1:])
