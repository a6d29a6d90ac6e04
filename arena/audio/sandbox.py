"""Run one operation in a sandboxed child process, and turn any way it can die into one sentence.

The child (`arena.audio.child`) limits and confines itself, has an environment without secrets, and is handed its files
open. It is forked by a process that enforces the time limit and ends whatever the child leaves behind
(`arena.audio.nursery`), one for each thread that calls at the same time.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from arena.audio.child import OPERATIONS
from arena.audio.confinement import PARTS
from arena.audio.outcomes import REFUSALS, AudioRejected, AudioUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
MAX_ANSWER_BYTES = 1_000_000
MAX_CHILDREN = 200
START_S = 60  # a nursery may take this long to start on a busy machine


@dataclass(frozen=True)
class Limits:
    """What one child may use: wall-clock and CPU seconds, address space and largest written file in bytes."""

    wall_s: int = 180
    cpu_s: int = 120
    memory_bytes: int = 2**30
    file_bytes: int = MAX_ANSWER_BYTES


def call(
    operation: str,
    result: Callable[..., T],
    limits: Limits = Limits(),
    *,
    files: Mapping[str, IO[bytes]] | None = None,
    module: str = OPERATIONS,
    without: Collection[str] = (),
    **arguments: Any,
) -> T:
    """Run `operation` of `module` in a child and return `result(**answer)`; raise AudioError otherwise.

    files: arguments that are open files. One that can only be read arrives as a Source. without: parts of
    `arena.audio.confinement` that are left out, for tests of the others.
    """
    if operation != "confinement":
        _log_once()
    files = files or {}
    request = {
        "module": module,
        "operation": operation,
        "arguments": arguments,
        "files": list(files),
        "limits": asdict(limits),
        "without": list(without),
    }
    with tempfile.TemporaryFile() as ask, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        ask.write(json.dumps(request).encode())
        ask.seek(0)
        status = _run(limits.wall_s, ask, out, err, *files.values())
        for stream in (out, err):
            stream.seek(0)
        answer, complaint = out.read(MAX_ANSWER_BYTES), err.read(MAX_ANSWER_BYTES)
    if status != 0:
        logger.warning("%s ended with %s: %s", operation, status, complaint[-2000:].decode(errors="replace"))
        raise AudioRejected(_sentence_for(status, limits))
    return _unpack(answer, result)


@functools.cache
def in_force() -> tuple[str, ...]:
    """The parts of `arena.audio.confinement` that hold on this machine, as a child of this process reports them."""
    answer: dict[str, list[str]] = call("confinement", dict)
    return tuple(answer["parts"])


def described() -> str:
    """What holds on this machine, in a sentence."""
    missing = [part for part in PARTS if part not in in_force()]
    lacks = f"; not in force here: {', '.join(missing)}" if missing else ""
    return f"The audio decoder is confined by {', '.join(in_force()) or 'nothing'}{lacks}"


def _log_once() -> None:
    global _is_logged
    with _lock:
        was_logged, _is_logged = _is_logged, True
    if was_logged:
        return
    level = logging.INFO if len(in_force()) == len(PARTS) else logging.WARNING
    logger.log(level, "%s (see docs/decisions/decoding.md)", described())


class Nursery:
    """The caller's side of an `arena.audio.nursery` process.

    Children share its memory layout, which a hostile file could explore over many tries, so it serves few of
    them and is never used again after one that failed.
    """

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "arena.audio.nursery"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
        self._children = 0

    def usable(self) -> bool:
        return self._children < MAX_CHILDREN and self.process.poll() is None

    def run(self, wall_s: int, *files: IO[bytes]) -> int | None:
        """The exit status of a child (negative: the signal), or None on timeout."""
        self._children += 1
        status = None
        try:
            self._socket.settimeout(START_S + wall_s)
            socket.send_fds(self._socket, [b"%d" % wall_s], [file.fileno() for file in files])
            status = json.loads(self._socket.recv(16))
        except (OSError, ValueError) as error:
            raise AudioUnavailable("The process that starts the audio decoder was stopped.") from error
        finally:
            if status != 0:  # failed or interrupted: a late answer must not reach the next caller
                self.close()
        return status

    def disown(self) -> None:
        """Close our copy of the socket; the process ends when the last copy is closed."""
        self._socket.close()

    def close(self) -> None:
        self.disown()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


_is_logged = False
_idle: list[Nursery] = []
_busy: set[Nursery] = set()
_lock = threading.Lock()


def _run(wall_s: int, *files: IO[bytes]) -> int | None:
    nursery = _take()
    try:
        return nursery.run(wall_s, *files)
    finally:
        with _lock:
            _busy.discard(nursery)
            _idle.append(nursery)


def _take() -> Nursery:
    """The most recently used nursery, so that there are only as many as concurrent calls."""
    with _lock:
        while _idle:
            nursery = _idle.pop()
            if nursery.usable():
                break
            nursery.close()
        else:
            nursery = Nursery()
        _busy.add(nursery)
        return nursery


def _after_fork() -> None:
    """In a forked process: forget the parent's nurseries without keeping them alive; new ones start on demand."""
    global _idle, _busy, _lock
    for nursery in (*_idle, *_busy):
        nursery.disown()
    _idle, _busy, _lock = [], set(), threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def _environment() -> dict[str, str]:
    """Enough to start Python and find this package, without the parent's passwords and keys."""
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    inherited = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return {**inherited, **threads, "PYTHONPATH": search, "LC_ALL": "C.UTF-8"}


def _sentence_for(status: int | None, limits: Limits) -> str:
    if status in (None, -signal.SIGALRM, -signal.SIGXCPU):
        return f"Reading the file took more than {limits.wall_s} s, or {limits.cpu_s} s of computing."
    if status == -signal.SIGKILL:
        return "Reading the file was stopped from outside, most likely because it took too much memory."
    if status < 0:
        return f"The file crashed the decoder ({signal.Signals(-status).name})."
    return "The decoder failed unexpectedly on this file; the server's log has the details."


def _unpack(answer: bytes, result: Callable[..., T]) -> T:
    try:
        message = json.loads(answer, parse_constant=_not_a_number)
        (kind, content), *rest = message.items()
        if kind == "facts" and not rest:
            return result(**content)
        refusal = REFUSALS[kind](str(content))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise AudioRejected("The decoder gave an invalid answer for this file.") from error
    raise refusal


def _not_a_number(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")
