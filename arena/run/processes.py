"""Wait for processes and ports, and make sure that no process is left."""

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

import psutil

from .errors import CannotStart


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until `condition()` is true; False if it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def read_port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise CannotStart(f"PORT={text!r}: write a number from 1 to 65535, as in `PORT=8001 make run`.")
    return int(text)


def require_free(port: int, seconds: float) -> None:
    """Raise CannotStart unless the port is free, or becomes so within `seconds`."""
    if not wait_until(lambda: _is_free(port), seconds):
        raise CannotStart(f"Port {port} is taken by another program. Use another one: `PORT={port + 1} make run`.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise CannotStart(f"Only root may use port {port}. Use another one: `PORT=8000 make run`.") from None
        except OSError:
            return False
    return True


def serves_pages(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_for_end(process: subprocess.Popen[Any]) -> None:
    """Block until `process`, a Popen, ends; meanwhile reap the orphans that we adopted."""
    while process.poll() is None:
        pid, status = os.waitpid(-1, 0)
        if pid == process.pid:
            process.returncode = os.waitstatus_to_exitcode(status)


def end_descendants(seconds: float = 10) -> list[str]:
    """Wait for all descendants of this process to end, then kill the others. Returns the names of those killed."""
    deadline = time.monotonic() + seconds
    while (left := psutil.Process().children(recursive=True)) and time.monotonic() < deadline:
        psutil.wait_procs(left, timeout=max(0, deadline - time.monotonic()))
    killed = [_name(process) for process in left]
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=5)
    return killed


def _name(process: psutil.Process) -> str:
    try:
        return f"{process.name()} ({process.pid})"
    except psutil.NoSuchProcess:
        return str(process.pid)
