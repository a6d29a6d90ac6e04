"""Operations that misbehave: what a broken decoder, or one taken over by a file, might do in the child."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
import sys
import time


def hang() -> dict:
    time.sleep(600)
    return {}


def spin() -> dict:
    while True:
        pass


def hold(lock: str, company: bool) -> dict:
    """Hang, with a lock on a file; in company, so does a process started from here."""
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if company:
            subprocess.Popen(["sleep", "600"], pass_fds=[file.fileno()])
        file.write("locked")
        file.flush()
        return hang()


def crash() -> dict:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def be_killed() -> dict:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def eat_memory() -> dict:
    return {"size": len(bytearray(8 * 2**30))}


def talk_nonsense() -> dict:
    print("RIFF?")
    sys.stdout.flush()
    os._exit(0)


def answer_nan() -> dict:
    print('{"facts": {"loudness": NaN}}')
    sys.stdout.flush()
    os._exit(0)


def have_a_bug() -> dict:
    raise ZeroDivisionError


def lack_a_library() -> dict:
    raise ImportError("No module named 'av'")


def echo(value: int) -> dict:
    return {"value": value}


def describe() -> dict:
    return {
        "environment": sorted(os.environ),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "memory": resource.getrlimit(resource.RLIMIT_AS)[0],
        "own_session": os.getsid(0) == os.getpid(),
        "open_files": [number for number in range(64) if is_open(number)],
        "nursery": os.getppid(),
    }


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
