"""What the decoder's child gives up before it looks at a file: everything but memory, time and its open files.

Each part works alone, because no machine has them all: what one leaves open another shuts. `in_force` says which are,
and docs/decisions/decoding.md what follows where one is missing.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Callable, Collection

from arena.audio import landlock, seccomp

# User ids that neither Debian, Red Hat nor systemd gives to anybody ("60578 to 61183: unused", says systemd's list), so
# that they own no file. One for each child, as far as they last: children cannot touch each other either.
FIRST_UID, UIDS = 60_700, 400
PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38


in_force: list[str] = []  # the names of PARTS, once this process is confined


def confine(without: Collection[str] = ()) -> None:
    """Give up all that can be given up here, for ever. What is needed of libraries must be loaded, and every file open.
    without: parts that are left out, for tests of the others."""
    in_force.extend(name for name, part in PARTS.items() if name not in without and part())


def _own_user() -> bool:
    """As root: a user that owns nothing, without root's rights."""
    if os.geteuid() != 0:
        return False
    uid = FIRST_UID + os.getpid() % UIDS
    try:
        os.setgroups([])
        os.setgid(uid)  # of root: the effective and the saved one, too
        os.setuid(uid)
    except OSError:  # a container that knows no such user
        return False
    return True


def _no_new_privileges() -> bool:
    """No program that is started gains rights, as by setuid; nobody but root may trace this process."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    return bool(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)


def _no_processes() -> bool:
    """No other process or thread; the kernel does not hold root to it."""
    return _limited(resource.RLIMIT_NPROC) and os.geteuid() != 0


def _no_files() -> bool:
    """No new file descriptor: nothing can be opened, neither a file nor a socket."""
    return _limited(resource.RLIMIT_NOFILE)


def _limited(kind: int) -> bool:
    try:
        resource.setrlimit(kind, (0, 0))
    except (OSError, ValueError):  # a system that has a least value
        return False
    return True


PARTS: dict[str, Callable[[], bool]] = {
    "own user": _own_user,
    "no new privileges": _no_new_privileges,
    "no processes": _no_processes,
    "landlock": landlock.restrict,
    "no files": _no_files,
    "seccomp": seccomp.restrict,
}
