"""What a child of `arena.audio.nursery` does: read its request, limit and confine itself, run it, print JSON."""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import resource
import signal
import sys
from typing import Any, BinaryIO

from arena.audio.confinement import confine
from arena.audio.outcomes import REFUSALS, AudioError
from arena.audio.source import Source

OPERATIONS = "arena.audio.operations"
FIRST_FILE = 3  # after stdin, stdout and stderr


def main() -> None:
    """Print {"facts": ...} or {kind of refusal: sentence} for the request at stdin. Bugs raise."""
    request = json.load(sys.stdin)
    limit_myself(**request["limits"])
    json.dump(answer(request), sys.stdout, allow_nan=False)
    sys.stdout.flush()


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Nothing can be loaded or opened after `confine`, and nothing of the file is looked at before."""
    try:
        operation = getattr(importlib.import_module(request["module"]), request["operation"])
        files = {name: handed_over(number) for number, name in enumerate(request["files"], FIRST_FILE)}
        confine(request["without"])
        return {"facts": operation(**files, **request["arguments"])}
    except AudioError as refusal:
        return {name: refusal.reason for name, kind in REFUSALS.items() if type(refusal) is kind}
    except MemoryError:
        megabytes = request["limits"]["memory_bytes"] // 2**20
        return {"rejected": f"Reading the file needs more than {megabytes:,} MB of memory."}
    except ImportError as error:
        return {"unavailable": f"The audio decoder could not be loaded: {error}."}
    except OSError as error:
        return {"unavailable": f"The audio could not be read or written: {error}."}


def handed_over(number: int) -> Source | BinaryIO:
    """The open file of that number: a Source where it can only be read."""
    is_read_only = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    file = os.fdopen(number, "rb" if is_read_only else "r+b")
    return Source.of(file) if is_read_only else file


def limit_myself(wall_s: int, cpu_s: int, memory_bytes: int, file_bytes: int) -> None:
    """Set resource limits, and an alarm that ends this process even when the parent that watches the time is gone."""
    signal.alarm(wall_s + 1)
    wanted = {
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform != "darwin":  # macOS refuses a limit on address space
        wanted[resource.RLIMIT_AS] = memory_bytes
    for kind, value in wanted.items():
        hard = resource.getrlimit(kind)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # The soft CPU limit sends SIGXCPU, which says what happened; the hard limit only SIGKILL.
        resource.setrlimit(kind, (allowed, hard if kind == resource.RLIMIT_CPU else allowed))
