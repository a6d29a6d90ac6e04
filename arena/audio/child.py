"""The limited child process: `python -m arena.audio.child REQUEST` limits itself, works, prints JSON.

Only the standard library is imported before the limits hold.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

from arena.audio.outcomes import AudioRejected, AudioUnavailable, CannotLevel

Operation = Callable[..., dict[str, Any]]


def main(operations: Callable[[], dict[str, Operation]]) -> None:
    """Print {"facts": ...} or {kind of refusal: sentence} for the request in argv[1]; a bug: a traceback."""
    request = json.loads(sys.argv[1])
    limit_myself(**request["limits"])
    json.dump(answer(operations, request), sys.stdout, allow_nan=False)


def answer(operations: Callable[[], dict[str, Operation]], request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"facts": operations()[request["operation"]](**request["arguments"])}
    except AudioRejected as refusal:
        return {"rejected": refusal.reason}
    except CannotLevel as refusal:
        return {"cannot_level": refusal.reason}
    except AudioUnavailable as refusal:
        return {"unavailable": refusal.reason}
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


def audio_operations() -> dict[str, Operation]:
    from arena.audio import operations

    return {
        "inspect": operations.inspect,
        "cut_excerpt": operations.cut_excerpt,
        "decode": operations.decode,
    }


if __name__ == "__main__":
    main(audio_operations)
