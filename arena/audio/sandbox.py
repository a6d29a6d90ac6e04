"""Run one operation in a child process that can harm nobody, and turn any way it dies into one sentence.

The child limits itself before it imports a decoder (`arena.audio.child`); this side keeps the clock, gives it
an environment without secrets, and kills its whole process group when anything goes wrong.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from arena.audio.outcomes import AudioError, AudioRejected, AudioUnavailable, CannotLevel

logger = logging.getLogger(__name__)

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
MAX_ANSWER_BYTES = 1_000_000
REFUSALS: dict[str, type[AudioError]] = {
    "rejected": AudioRejected,
    "cannot_level": CannotLevel,
    "unavailable": AudioUnavailable,
}


@dataclass(frozen=True)
class Limits:
    """What one child may use: wall-clock and CPU seconds, address space and largest written file in bytes."""

    wall_s: int = 180
    cpu_s: int = 120
    memory_bytes: int = 3 * 2**30
    file_bytes: int = MAX_ANSWER_BYTES


def call(
    operation: str,
    result: Callable[..., T],
    limits: Limits = Limits(),
    *,
    module: str = "arena.audio.child",
    **arguments: Any,
) -> T:
    """Run `operation` of `module` in a child and return `result(**answer)`; raise AudioError otherwise."""
    request = json.dumps({"operation": operation, "arguments": arguments, "limits": asdict(limits)})
    command = [sys.executable, "-P", "-m", module, request]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        status = _run(command, out, err, limits.wall_s)
        for stream in (out, err):
            stream.seek(0)
        answer, complaint = out.read(MAX_ANSWER_BYTES), err.read(MAX_ANSWER_BYTES)
    if status != 0:
        logger.warning("%s ended with %s: %s", operation, status, complaint[-2000:].decode(errors="replace"))
        raise AudioRejected(_sentence_for(status, limits))
    return _unpack(answer, result)


def _run(command: list[str], out: Any, err: Any, wall_s: int) -> int | None:
    """The exit status (negative: the signal), or None if the clock ran out. Nothing survives an early end."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        env=_environment(),
        start_new_session=True,
    )
    try:
        return process.wait(timeout=wall_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment() -> dict[str, str]:
    """Enough to start Python and find this package; no password or key of the parent."""
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return {**kept, **threads, "PYTHONPATH": search, "LC_ALL": "C.UTF-8"}


def _sentence_for(status: int | None, limits: Limits) -> str:
    if status in (None, -signal.SIGALRM, -signal.SIGXCPU):
        return f"Reading the file took more than {limits.wall_s} s, or {limits.cpu_s} s of computing."
    if status == -signal.SIGKILL:
        return "Reading the file was stopped from outside, most likely because it took too much memory."
    if status < 0:
        return f"The file crashed the decoder ({signal.Signals(-status).name})."
    return "The decoder failed on this file in a way it should not; the server's log says how."


def _unpack(answer: bytes, result: Callable[..., T]) -> T:
    try:
        message = json.loads(answer, parse_constant=_not_a_number)
        (kind, content), *rest = message.items()
        if kind == "facts" and not rest:
            return result(**content)
        refusal = REFUSALS[kind](str(content))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise AudioRejected("The decoder gave an answer that makes no sense for this file.") from error
    raise refusal


def _not_a_number(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")
