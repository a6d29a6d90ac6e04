"""What a child of `arena.audio.nursery` does: limit itself, read its request, work, print JSON."""

from __future__ import annotations

import importlib
import json
import resource
import signal
import sys
from typing import Any

from arena.audio.outcomes import REFUSALS, AudioError

OPERATIONS = "arena.audio.operations"


def main() -> None:
    """Print {"facts": ...} or {kind of refusal: sentence} for the request at stdin. Raises what is a bug."""
    request = json.load(sys.stdin)
    limit_myself(**request["limits"])
    json.dump(answer(request), sys.stdout, allow_nan=False)
    sys.stdout.flush()


def answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        operation = getattr(importlib.import_module(request["module"]), request["operation"])
        return {"facts": operation(**request["arguments"])}
    except AudioError as refusal:
        return {name: refusal.reason for name, kind in REFUSALS.items() if type(refusal) is kind}
    except MemoryError:
        megabytes = request["limits"]["memory_bytes"] // 2**20
        return {"rejected": f"Reading the file needs more than {megabytes:,} MB of memory."}
    except ImportError as error:
        return {"unavailable": f"The audio decoder could not be loaded: {error}."}
    except OSError as error:
        return {"unavailable": f"The audio could not be read or written: {error}."}


def limit_myself(wall_s: int, cpu_s: int, memory_bytes: int, file_bytes: int) -> None:
    """The alarm ends this process even when the parent that keeps the clock is gone."""
    signal.alarm(wall_s + 1)
    wanted = {
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
    }
    if sys.platform != "darwin":  # which refuses a limit on address space
        wanted[resource.RLIMIT_AS] = memory_bytes
    for kind, value in wanted.items():
        hard = resource.getrlimit(kind)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # At the soft limit of CPU comes SIGXCPU, which says what happened; at the hard one only SIGKILL.
        resource.setrlimit(kind, (allowed, hard if kind == resource.RLIMIT_CPU else allowed))
