"""A file that takes over the decoder gains nothing: no network, no secret, no other process, no path."""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from arena import audio
from arena.audio import landlock, sandbox, seccomp
from arena.audio.confinement import FIRST_UID, PARTS, UIDS
from tests.casts.audio_files import inspect_here, music, played, write, write_plain_wav
from tests.casts.audio_hostile import ATTEMPTS

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
FILES = {"read a secret", "read the parent's environment", "write a file"}
PATHS = FILES | {"make a folder", "delete a file"}
SOCKETS = {"open a socket", "open a Unix socket", "connect"}
PROCESSES = {"start a program", "fork", "start a thread"}
OTHERS = {"signal the parent", "trace the parent"}
# What each part refuses where it is the only one.
REFUSED = {
    "seccomp": set(ATTEMPTS),
    "landlock": PATHS | {"connect", "start a program", "trace the parent"},
    "no files": FILES | SOCKETS,
    "own user": PATHS | OTHERS | {"become root"},
    "no processes": PROCESSES,
}


def attempts(folder, parent, without=()):
    """{what was tried: why it was refused} of a hostile child."""
    secret, victim = folder / "secret_key", folder / "victim"
    secret.write_text("secret")
    secret.chmod(0o600)
    victim.write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = {"secret": str(secret), "folder": str(folder), "parent": parent, "port": server.getsockname()[1]}
        return sandbox.call("attempt", dict, module="tests.casts.audio_hostile", without=list(without), **arguments)


@pytest.fixture
def parent():
    """A process that a child could harm."""
    process = subprocess.Popen(["sleep", "600"])
    yield process.pid
    process.kill()
    process.wait()


def test_a_hostile_child_is_refused_everything(tmp_path, parent):
    if not {"seccomp", "landlock"} & set(sandbox.in_force()):
        pytest.skip("this kernel has neither seccomp nor Landlock")
    found = attempts(tmp_path, parent)
    assert [name for name in ATTEMPTS if not found[name]] == []
    assert (tmp_path / "victim").exists()


@pytest.mark.parametrize("part", REFUSED)
def test_each_part_of_the_confinement_holds_alone(tmp_path, parent, part):
    if part not in sandbox.in_force():
        pytest.skip(f"{part}: not in force here")
    if part == "no processes" and os.geteuid() == 0:
        pytest.skip("root is not held to its number of processes")
    found = attempts(tmp_path, parent, set(PARTS) - {part, "no new privileges"})
    assert {name for name in REFUSED[part] if not found[name]} == set()


@pytest.mark.parametrize("part", ["seccomp", "landlock"])
def test_what_one_kernel_feature_leaves_open_another_part_shuts(tmp_path, parent, part):
    """On a machine without one of them a child still reaches no secret, no network and no path."""
    if os.geteuid() != 0 and {"seccomp", "landlock"} <= set(sandbox.in_force()) | {part}:
        pytest.skip("the other one is missing, too")
    found = attempts(tmp_path, parent, {part})
    assert {name for name in PATHS | SOCKETS if not found[name]} == set()


def test_without_confinement_the_same_child_is_refused_little(tmp_path, parent):
    """The tests above would pass if the attempts failed by themselves."""
    found = attempts(tmp_path, parent, set(PARTS))
    assert {name for name, refusal in found.items() if not refusal} >= PATHS | PROCESSES | SOCKETS


def test_as_root_a_child_is_a_user_that_owns_nothing():
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    child = sandbox.call("describe", dict, module="tests.casts.audio_hostile", without=["seccomp"])
    assert FIRST_UID <= child["uid"] < FIRST_UID + UIDS
    assert child["gid"] == child["uid"]


def test_not_as_root_everything_but_the_user_holds(tmp_path, parent):
    """The whole arena may run as an ordinary user. Its own files are then within reach of the child's user."""
    if os.geteuid() != 0:
        pytest.skip("all other tests here run so")
    code = f"""
import json, os
from pathlib import Path
from arena.audio import confinement
from tests.casts import audio_hostile
os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
folder = Path("/tmp", f"arena-hostile-{{os.getpid()}}")
folder.mkdir()
for name in ("secret", "victim"):
    (folder / name).touch(0o600)
print(folder, flush=True)
confinement.confine()
found = audio_hostile.attempt(str(folder / "secret"), str(folder), os.getppid(), 9)
print(json.dumps([confinement.in_force, found]))"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    folder, answer = ran.stdout.splitlines()
    in_force, found = json.loads(answer)
    shutil.rmtree(folder)
    assert set(in_force) == set(sandbox.in_force()) - {"own user"}
    assert [name for name in ATTEMPTS if not found[name]] == []


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.wav", "pcm_s16le"), ("adpcm.wav", "adpcm_ms"), ("a.aiff", "pcm_s16be"), ("a.flac", "flac"),
        ("a.mp3", "libmp3lame"), ("vorbis.ogg", "vorbis"), ("opus.ogg", "libopus"), ("a.m4a", "aac"),
        ("alac.m4a", "alac"), ("a.aac", "aac"),
    ],
)  # fmt: skip
def test_every_container_is_read_measured_and_cut_in_a_confined_child(tmp_path, name, codec):
    path = write(tmp_path / name, music(3), 48_000, codec)
    path.chmod(0o600)
    assert audio.inspect(path) == inspect_here(path)
    heard, rate = audio.decode_once(path)
    assert np.array_equal(heard, played(path).mean(axis=1)) and rate == 48_000
    assert audio.cut_excerpt(path, tmp_path / "out.mp3", length_ms=2000).loudness_lufs == pytest.approx(-23, abs=0.5)


def test_operations_load_nothing_once_they_run(tmp_path):
    """A child can open no file, so a library that is loaded late would be missing."""
    path = write_plain_wav(tmp_path / "a.wav", music(2), 48000)
    code = f"""
import sys, tempfile
from contextlib import suppress
from arena.audio import CannotLevel, operations
from arena.audio.source import Source
loaded = set(sys.modules)
with open({str(path)!r}, "rb") as file, tempfile.TemporaryFile() as out:
    source = Source.of(file)
    operations.inspect(source, 600)
    for variant in ("", "lowpass", "clipped", "noisy", "tones"):
        for codec in ("mp3", "wav"):
            with suppress(CannotLevel):
                operations.cut_excerpt(source, out, 1500, codec, variant)
    operations.decode(source, out, 16000, False, 600)
    operations.decode_once(source, out, 600)
print(sorted(set(sys.modules) - loaded - {{"_cython_3_2_4"}}))"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# The filters themselves


def run_filter(program, number, architecture, arguments=(0,) * 6):
    """What the kernel would make of a system call, by the same rules (classic BPF)."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, *arguments)
    at, value = 0, 0
    while True:
        code, if_true, if_false, k = struct.unpack_from("<HBBI", program, 8 * at)
        at += 1
        if code == seccomp.LOAD:
            value = struct.unpack_from("<I", data, k)[0]
        elif code == seccomp.EQUAL:
            at += if_true if value == k else if_false
        else:
            return k


@pytest.mark.parametrize(("machine", "column"), [("x86_64", 0), ("aarch64", 1)])
def test_the_filter_allows_what_it_lists_and_nothing_else(machine, column):
    architecture = (seccomp.X86_64, seccomp.AARCH64)[column]
    program = seccomp.program(machine, pid=77)
    allowed = {numbers[column] for numbers in seccomp.CALLS.values()}
    for number in range(600):
        outcome = run_filter(program, number, architecture, (99,) * 6)
        assert outcome == (seccomp.ALLOW if number in allowed else seccomp.REFUSE), number
    kill, limits = seccomp.ITSELF["kill"][0][column], seccomp.LIMITS_OF_ITSELF["prlimit64"][0][column]
    assert run_filter(program, kill, architecture, (77, 9, 0, 0, 0, 0)) == seccomp.ALLOW
    assert run_filter(program, limits, architecture) == seccomp.ALLOW
    assert run_filter(program, 0, 0x40000003) == seccomp.KILL  # 32-bit x86


def test_a_machine_whose_numbers_are_not_known_has_no_filter():
    assert seccomp.program("riscv64", 1) is None


def test_landlock_asks_for_no_more_than_the_kernel_knows():
    assert [len(landlock.handled(version)) for version in (1, 3, 4, 6, 9)] == [8, 8, 16, 24, 24]
    assert landlock.handled(1) == struct.pack("=Q", 0x1FFF)
