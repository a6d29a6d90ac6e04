"""What was found out a few seconds ago and still is good enough: each process has its copy.

The first to ask when it is too old finds it out again, if that is quick; else a thread does, and who asks meanwhile
gets the old answer. So no listener waits for a large study to be read.
"""

import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass

from django.db import connection

FRESH_S = 5
QUICK_S = 0.1  # what takes longer is done in a thread
SHARE = 20  # what takes a second is good for twenty


@dataclass
class _Answer:
    value: object
    at: float
    took_s: float
    is_renewed: bool = False


_answers: dict[Hashable, _Answer] = {}


def recent(key, build, fresh_s=FRESH_S):
    """What `build(the answer before, or None)` gave, at most `fresh_s` seconds ago, or 20 times as long as it took."""
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


def forget(key=None):
    """Find out again at the next question; without a key, everything."""
    if key is None:
        _answers.clear()
    else:
        _answers.pop(key, None)


def _renew(key, build, before):
    began = time.monotonic()
    value = build(before and before.value)
    answer = _Answer(value, began, time.monotonic() - began)
    if before is None or _answers.get(key) is before:  # else it was forgotten meanwhile
        _answers[key] = answer
    return answer


def _renew_apart(key, build, before):
    try:
        _renew(key, build, before)
    finally:
        before.is_renewed = False
        connection.close()
