"""How often somebody may ask, counted in each web process: it asks no table and no Redis, so neither can be away.

Listeners are not counted here: their limits are part of statements that are made anyhow.
"""

import math
import threading
import time
from collections.abc import Hashable
from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle


class Limit:
    """At most `most` acts at once by one key, which come back evenly within `seconds` (a token bucket)."""

    MOST_KEYS = 10_000

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self.per_act = most, seconds / most
        self._free_at: dict[Hashable, float] = {}  # when all acts of a key have come back
        self._lock = threading.Lock()

    def take(self, key: Hashable) -> int:
        """Count an act of this key; 0 if it may be done, else the seconds until it may."""
        now = time.monotonic()
        with self._lock:
            free_at = max(self._free_at.get(key, now), now) + self.per_act
            wait = free_at - now - self.most * self.per_act
            if wait > 1e-9:
                return math.ceil(wait)
            self._free_at[key] = free_at
            if len(self._free_at) > self.MOST_KEYS:
                self._forget(now)
        return 0

    def _forget(self, now):
        """Keys that have all acts again; if these are few, all: a limit must not fill the memory."""
        self._free_at = {key: at for key, at in self._free_at.items() if at > now}
        if len(self._free_at) > self.MOST_KEYS // 2:
            self._free_at.clear()

    def forget(self) -> None:
        with self._lock:
            self._free_at.clear()


SIGNING_IN = Limit(20, 60)  # by connection, whoever they say they are
BAD_TOKENS = Limit(30, 60)  # by connection
EXPORTS = Limit(30, 60)  # by account
SCORING = Limit(600, 60)  # by account: a program that asks for the rewards of many files
READING = Limit(300, 60)  # by account
ALL = (SIGNING_IN, BAD_TOKENS, EXPORTS, SCORING, READING)


def by_account(limit: Limit) -> type[BaseThrottle]:
    """For `throttle_classes`: the limit of the endpoint, counted by account."""

    class ByAccount(BaseThrottle):
        def allow_request(self, request: Request, view: Any) -> bool:
            self.seconds = limit.take(request.user.pk)
            return self.seconds == 0

        def wait(self) -> float:
            return self.seconds

    return ByAccount
