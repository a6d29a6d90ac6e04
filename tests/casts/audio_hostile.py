"""Operations that misbehave: what a broken decoder, or one taken over by a file, might do in the child."""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path


def hang() -> dict:
    time.sleep(600)
    return {}


def spin() -> dict:
    while True:
        pass


def hold(lock: str, company: bool) -> dict:
    """Hang, with a lock on a file; in company, so does a process started from here. Only for a child that may do so."""
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
        "uid": os.getuid(),
        "gid": os.getgid(),
    }


def attempt(secret: str, folder: str, parent: int, port: int) -> dict:
    """{what a hostile file might try: why it is refused, "" where it is not}. port: where somebody listens."""
    victims = Victims(secret, Path(folder), parent, port)
    return {name: refusal(act, victims) for name, act in ATTEMPTS.items()}


@dataclass(frozen=True)
class Victims:
    secret: str
    folder: Path
    parent: int
    port: int


def refusal(act, victims) -> str:
    try:
        act(victims)
    except (OSError, RuntimeError) as error:
        return repr(error)
    return ""


def start_program(_):
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


def fork(_):
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def start_thread(_):
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def connect(victims):
    with socket.socket() as client:
        client.connect(("127.0.0.1", victims.port))


def trace(victims):
    """PTRACE_ATTACH, and let go at once."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, victims.parent, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(victims.parent, 0)
    libc.ptrace(17, victims.parent, None, None)


ATTEMPTS = {
    "read a secret": lambda victims: open(victims.secret).close(),
    "read the parent's environment": lambda victims: open(f"/proc/{victims.parent}/environ").close(),
    "write a file": lambda victims: (victims.folder / "written").write_text("x"),
    "make a folder": lambda victims: (victims.folder / "made").mkdir(),
    "delete a file": lambda victims: (victims.folder / "victim").unlink(),
    "open a socket": lambda _: socket.socket().close(),
    "open a Unix socket": lambda _: socket.socket(socket.AF_UNIX).close(),
    "connect": connect,
    "start a program": start_program,
    "fork": fork,
    "start a thread": start_thread,
    "signal the parent": lambda victims: os.kill(victims.parent, 0),
    "trace the parent": trace,
    "become root": lambda _: os.setuid(0),
}


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
