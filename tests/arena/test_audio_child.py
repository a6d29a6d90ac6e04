"""The child that decodes can harm nobody: what goes wrong in it costs one sentence and nothing else."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from arena import audio
from arena.audio import sandbox
from arena.audio.confinement import PARTS
from tests.casts.audio_files import music, reason, sine, write, write_plain_wav

ROOT = Path(__file__).resolve().parents[2]


# The child that does the dangerous part


def misbehave(operation, *, wall_s=20, cpu_s=20, memory_bytes=2**30, **arguments):
    limits = sandbox.Limits(wall_s=wall_s, cpu_s=cpu_s, memory_bytes=memory_bytes)
    return sandbox.call(operation, dict, limits, module="tests.casts.audio_hostile", **arguments)


def hold(lock, **arguments):
    """Hang in a child that is not confined, so that it can take the lock and start a process."""
    return misbehave("hold", lock=str(lock), without=list(PARTS), **arguments)


@pytest.mark.parametrize(
    ("operation", "limits", "sentence"),
    [
        ("spin", {"cpu_s": 1}, "Reading the file took more than 20 s, or 1 s of computing."),
        ("crash", {}, "The file crashed the decoder (SIGSEGV)."),
        ("be_killed", {}, "Reading the file was stopped from outside, most likely because it took too much memory."),
        ("eat_memory", {}, "Reading the file needs more than 1,024 MB of memory."),
        ("talk_nonsense", {}, "The decoder gave an invalid answer for this file."),
        ("answer_nan", {}, "The decoder gave an invalid answer for this file."),
        ("have_a_bug", {}, "The decoder failed unexpectedly on this file; the server's log has the details."),
    ],
)
def test_a_child_that_misbehaves_costs_one_sentence(operation, limits, sentence):
    started = time.monotonic()
    assert reason(misbehave, operation, **limits) == sentence
    assert time.monotonic() - started < 15


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def is_free(lock):
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def is_held(lock):
    return lock.exists() and lock.read_text() == "locked"


def test_a_hanging_child_costs_one_sentence_and_what_it_has_started_ends_with_it(tmp_path):
    lock = tmp_path / "lock"
    sentence = reason(hold, lock, wall_s=3, company=True)
    assert sentence == "Reading the file took more than 3 s, or 20 s of computing."
    wait_for(lambda: is_free(lock))


def test_the_complaint_of_a_child_reaches_the_log(caplog):
    reason(misbehave, "have_a_bug")
    assert "have_a_bug ended with 1: Traceback" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_missing_library_is_not_blamed_on_the_file():
    assert "could not be loaded" in reason(misbehave, "lack_a_library", error=audio.AudioUnavailable)


def test_an_unwritable_folder_is_not_blamed_on_the_file(tmp_path):
    path = write_plain_wav(tmp_path / "a.wav", music(2), 48000)
    sentence = reason(
        audio.cut_excerpt, path, tmp_path / "no" / "out.mp3", length_ms=1000, error=audio.AudioUnavailable
    )
    assert "could not be read or written" in sentence


def test_the_child_sees_no_secret_and_leaves_no_core(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://arena:secret@localhost/arena")
    child = misbehave("describe")
    assert set(child["environment"]) <= {
        *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "LC_ALL", "LC_CTYPE"),
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    }
    assert (child["core"], child["memory"], child["own_session"]) == (0, 2**30, True)
    assert child["open_files"] == [0, 1, 2]


def test_a_long_clip_is_measured_in_little_memory(tmp_path):
    """Its samples as float32 would take 1.4 GB; the child may use 0.9 GB of addresses, libraries included."""
    path = write(tmp_path / "a.flac", np.tile(sine(1, -20, 300, 48000, 8), (60, 1)), 48000, "flac")
    small = sandbox.Limits(memory_bytes=900 * 2**20)
    with path.open("rb") as file:
        facts = sandbox.call("inspect", audio.ClipFacts, small, files={"source": file}, max_seconds=600)
    assert facts.duration_ms == 60_000


def test_importing_the_package_loads_neither_decoder_nor_numpy():
    code = "import sys, json, arena.audio; print(json.dumps(sorted(set(sys.modules) & {'av', 'numpy', 'django'})))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert json.loads(found.stdout) == []


# The nursery that children are forked from


def nursery():
    return misbehave("describe")["nursery"]


def start_python(code):
    """A process of its own, whose stderr its nursery shares: it reads to its end only when both are gone."""
    code = f"""
import os, time
from arena.audio import sandbox

def misbehave(operation, **arguments):
    return sandbox.call(operation, dict, module="tests.casts.audio_hostile", **arguments)

def nursery():
    return misbehave("describe")["nursery"]

{code}"""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, **pipes)


def test_children_have_one_nursery_until_one_of_them_fails():
    first = nursery()
    assert reason(misbehave, "lack_a_library", error=audio.AudioUnavailable)
    assert nursery() == first
    reason(misbehave, "crash")
    assert nursery() != first


def test_a_nursery_serves_so_many_children_and_no_more(monkeypatch):
    reason(misbehave, "crash")
    monkeypatch.setattr(sandbox, "MAX_CHILDREN", 2)
    first, second, third = nursery(), nursery(), nursery()
    assert first == second != third


def test_a_nursery_that_died_is_replaced_unnoticed():
    first = nursery()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not sandbox._idle[-1].usable())
    assert nursery() != first


def test_a_nursery_killed_at_work_is_not_blamed_on_the_file_and_is_replaced(tmp_path):
    lock, victim = tmp_path / "lock", nursery()

    def kill():
        wait_for(lambda: is_held(lock))
        os.kill(victim, signal.SIGKILL)

    with ThreadPoolExecutor() as threads:
        threads.submit(kill)
        sentence = reason(hold, lock, wall_s=4, company=False, error=audio.AudioUnavailable)
    assert sentence == "The process that starts the audio decoder was stopped."
    assert nursery() != victim
    wait_for(lambda: is_free(lock), seconds=60)  # the child's own alarm


def test_nothing_is_left_when_the_process_that_called_is_killed(tmp_path):
    lock = tmp_path / "lock"
    process = start_python(f"misbehave('hold', lock={str(lock)!r}, company=True, without={list(PARTS)})")
    wait_for(lambda: is_held(lock))
    process.kill()
    assert process.communicate(timeout=60) == ("", "")
    wait_for(lambda: is_free(lock))


def test_a_forked_process_has_its_own_nursery_and_leaves_that_of_its_parent_alone():
    code = "print(nursery(), flush=True)\nif os.fork(): os.wait()\nprint(nursery(), flush=True)"
    out, err = start_python(code).communicate(timeout=60)
    first, forked, again = out.split()
    assert (first == again != forked, err) == (True, "")


def test_a_forked_process_does_not_keep_the_nursery_of_its_parent_alive():
    code = "nursery()\nif pid := os.fork(): print(pid)\nelse: os.closerange(1, 3), time.sleep(60)"
    process = start_python(code)
    out, err = process.communicate(timeout=30)
    os.kill(int(out), signal.SIGKILL)
    assert err == ""


def test_an_interrupted_call_leaves_its_answer_to_nobody():
    def interrupt(*_):
        raise KeyboardInterrupt

    nursery()
    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            misbehave("hang", wall_s=20)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert misbehave("echo", value=1) == {"value": 1}


def test_threads_that_call_at_once_get_their_own_answers():
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda value: misbehave("echo", value=value), range(40)))
    assert answers == [{"value": value} for value in range(40)]


def test_threads_that_call_at_once_do_not_wait_for_one_another(tmp_path):
    """Each child holds its lock until the other has its own, which it never would have if they took turns."""
    locks = [tmp_path / "first", tmp_path / "second"]
    with ThreadPoolExecutor(2) as threads:
        held = [threads.submit(reason, hold, lock, wall_s=5, company=False) for lock in locks]
        wait_for(lambda: all(is_held(lock) for lock in locks), seconds=4)
        assert not any(call.done() for call in held)
