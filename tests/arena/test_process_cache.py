import threading

import pytest

from arena.serving import process_cache
from arena.serving.process_cache import forget, recent


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(process_cache.time, "monotonic", lambda: now[0])
    return now


def test_an_answer_is_good_for_a_few_seconds(clock):
    answers = iter("abc")
    assert recent("key", lambda before: next(answers)) == "a"
    clock[0] += 4
    assert recent("key", lambda before: next(answers)) == "a"
    clock[0] += 2
    assert recent("key", lambda before: before + next(answers)) == "ab"


def test_what_is_forgotten_is_found_out_again():
    answers = iter("abc")
    assert recent("key", lambda _: next(answers)) == "a"
    forget("key")
    assert recent("key", lambda _: next(answers)) == "b"
    forget()
    assert recent("key", lambda _: next(answers)) == "c"


def test_what_took_long_is_found_out_by_a_thread_while_the_old_answer_serves(clock, monkeypatch):
    monkeypatch.setattr(process_cache, "QUICK_S", 0.1)
    builders, go_on = [], threading.Event()

    def slow(before):
        builders.append(threading.current_thread())
        if before:
            go_on.wait(5)
        clock[0] += 1
        return (before or 0) + 1

    assert recent("slow", slow) == 1
    clock[0] += 10
    assert recent("slow", slow) == 1
    assert len(builders) == 1  # good for twenty times as long as it took
    clock[0] += 15
    assert [recent("slow", slow) for _ in range(3)] == [1, 1, 1]
    assert len(builders) == 2
    assert builders[1] is not threading.current_thread()
    go_on.set()
    builders[1].join(5)
    assert recent("slow", slow) == 2
