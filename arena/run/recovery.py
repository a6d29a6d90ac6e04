"""Coming back after a failure that lasts, such as a full disk: attempts without an end.

Programs that cannot run end, and supervisord starts each again after a pause that grows with every attempt. So when a
disk that was full has space again, all of them are started at once.
"""

import shutil
import threading
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .supervise import Supervisor

LOOK_SECONDS = 2
FULL, FREE = 32 * 2**20, 64 * 2**20  # bytes: PostgreSQL writes its log in files of 16 MB
LONGEST_PAUSE = 30.0


def pauses() -> Iterator[float]:
    """Seconds to wait after each failed attempt, for ever."""
    pause = 1.0
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)


@contextmanager
def kicked_when_space_is_back(supervisor: Supervisor, home: Path, say: Callable[[str], None]) -> Iterator[None]:
    """While the block runs: say when the disk of `home` is full, and start what has ended when it is no longer."""
    done = threading.Event()
    thread = threading.Thread(target=_watch, args=(supervisor, home, say, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()


def _watch(supervisor: Supervisor, home: Path, say: Callable[[str], None], done: threading.Event) -> None:
    was_full = False
    while not done.wait(LOOK_SECONDS):
        free = shutil.disk_usage(home).free
        if not was_full and free < FULL:
            was_full = True
            say(f"The disk of {home} is full ({free / 1e6:.0f} MB are left): votes wait until there is space again")
        elif was_full and free > FREE:
            was_full = False
            say(f"The disk of {home} has space again ({free / 1e6:,.0f} MB)")
            try:
                supervisor.start_again_now()
            except (OSError, xmlrpc.client.Error) as error:
                say(f"supervisord does not answer: {error}")
