"""A process that loads the decoder once and forks one limited child per request, in milliseconds.

Each request is a number of seconds and open files: a child's stdin, stdout and stderr, and the files it works on. It
reads none of them, because the children of all later requests would inherit what it read. When its parent ends, it ends
too, and its child with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import select
import signal
import socket
import time
import traceback

from arena.audio import child

MAX_FILES = 8


def main() -> None:
    """Serve requests on the socket at stdin, one at a time; the answer is `status_of` the child as JSON."""
    with contextlib.suppress(ImportError):  # each child reports this itself
        importlib.import_module(child.OPERATIONS)
    parent = socket.socket(fileno=0)
    ended, woken = os.pipe()
    os.set_blocking(ended, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    with contextlib.suppress(ConnectionError):
        while (request := socket.recv_fds(parent, 16, MAX_FILES))[0]:
            seconds, files, *_ = request
            pid = os.fork()
            if pid == 0:
                work(files)
            for file in files:
                os.close(file)
            parent.sendall(json.dumps(status_of(pid, int(seconds), parent, ended)).encode())


def work(files: list[int]) -> None:
    """In the child: a session of its own, the files as stdin, stdout, stderr and so on, and nothing else open."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        above = [fcntl.fcntl(file, fcntl.F_DUPFD, MAX_FILES) for file in files]  # so that no copy overwrites a file
        for number, file in enumerate(above):
            os.dup2(file, number)
        os.closerange(len(files), os.sysconf("SC_OPEN_MAX"))
        child.main()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def status_of(pid: int, wall_s: int, parent: socket.socket, ended: int) -> int | None:
    """The exit status (negative: the signal), or None on timeout. No process of the child is left."""
    deadline = time.monotonic() + wall_s
    while (waited := os.waitpid(pid, os.WNOHANG))[0] == 0:
        sources: list[socket.socket | int] = [parent, ended]
        readable, _, _ = select.select(sources, [], [], max(0, deadline - time.monotonic()))
        if ended in readable:
            os.read(ended, 4096)
        else:  # timeout; or the parent, which sends nothing while it waits, is gone
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(waited[1]) if waited[0] else None


if __name__ == "__main__":
    main()
