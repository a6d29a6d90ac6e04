"""A cache in each process for values that may be a few seconds old.

The first caller after a value has expired computes it again if that is quick; otherwise a thread does, and callers
meanwhile get the old value. So no listener waits for a large study to be read.
"""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from django.db import connection

FRESH_S = 5
QUICK_S = 0.1  # slower values are computed in a thread
SHARE = 20  # a value that takes a second to compute is valid for twenty


@dataclass
class _Answer:
    value: object
    at: float
    took_s: float
    is_renewed: bool = False


_answers: dict[Hashable, _Answer] = {}


def recent(key: Hashable, build: Callable[[Any], Any], fresh_s: float = FRESH_S) -> Any:
    """The value of `build(previous value or None)`, not older than `fresh_s` seconds or SHARE times the time it
    took."""
    answer = _answers.get(key)
    if not answer:
        return _renew(key, build, None).value
    if time.monotonic() - answer.at < max(fresh_s, SHARE * answer.took_s):
        return answer.value
    if answer.took_s < QUICK_S:
        return _renew(key, build, answer).value
    if not answer.is_renewed:
        answer.is_renewed = True
        threading.Thread(target=_renew_apart, args=(key, build, answer), daemon=True).start()
    return answer.value


def forget(key: Hashable | None = None) -> None:
    """Compute the value again at the next call; without a key, all values."""
    if key is None:
        _answers.clear()
    else:
        _answers.pop(key, None)


def _renew(key, build, before):
    began = time.monotonic()
    value = build(before and before.value)
    answer = _Answer(value, began, time.monotonic() - began)
    if before is None or _answers.get(key) is before:  # otherwise it was forgotten meanwhile
        _answers[key] = answer
    return answer


def _renew_apart(key, build, before):
    try:
        _renew(key, build, before)
    finally:
        before.is_renewed = False
        connection.close()
