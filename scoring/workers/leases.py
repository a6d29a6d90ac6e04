"""Leases: a worker keeps what it has claimed as long as it runs, and loses it when it is killed."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import Error, connection

logger = logging.getLogger(__name__)


@contextmanager
def renewed(renew: Callable[[], bool | None], lease: timedelta) -> Iterator[None]:
    """Call `renew` three times in each `lease`, from a thread that dies with this process, until the block is left or
    `renew` returns False: another worker has the claim by now.

    Where the database does not answer, this is logged and tried again. At worst the lease expires and another worker
    does the same work; its outcome is stored only once.
    """
    is_left = threading.Event()

    def keep_renewing() -> None:
        while not is_left.wait(lease.total_seconds() / 3):
            try:
                if renew() is False:
                    return
            except Error as error:
                logger.warning("a claim could not be renewed: %s", error)
            finally:
                connection.close()  # this thread's own

    thread = threading.Thread(target=keep_renewing, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_left.set()
        thread.join()
