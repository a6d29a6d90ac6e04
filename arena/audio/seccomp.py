"""A filter of system calls (seccomp), written out as a program of classic BPF: what is not listed is refused.

See seccomp(2). The list is what decoding needs once every library is loaded and every file is open: memory, time, open
files, and the end of the process. So there are no sockets, no paths, no new processes or threads, and signals only to
oneself. A refused call returns EPERM, an OSError in Python; a call of another architecture (32-bit programs have their
own numbers) ends the process.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

X86_64, AARCH64 = 0xC000003E, 0xC00000B7
# name: (number on x86-64, number on arm64). Numbers are the kernel's, and never change.
CALLS = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62),
    "pread64": (17, 67), "pwrite64": (18, 68), "readv": (19, 65), "writev": (20, 66), "ftruncate": (77, 46),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "mremap": (25, 216),
    "madvise": (28, 233), "membarrier": (324, 283),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128), "setitimer": (38, 103),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "futex": (202, 98), "rseq": (334, 293),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "gettimeofday": (96, 169), "times": (100, 153), "getrusage": (98, 165), "sysinfo": (99, 179), "uname": (63, 160),
    "getrandom": (318, 278),
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getsid": (124, 156),
    "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
    "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
# Allowed only where an argument has a value: name: (numbers, which argument).
ITSELF = {"kill": ((62, 129), 0), "tgkill": ((234, 131), 0)}  # the process's own id
LIMITS_OF_ITSELF = {"prlimit64": ((302, 261), 0)}  # 0, which is the process itself
STATUS_OF_OPEN_FILE = {"newfstatat": ((262, 79), 3)}  # AT_EMPTY_PATH: what fstat is in some C libraries
AT_EMPTY_PATH = 0x1000

LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000  # 1: EPERM
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data, both architectures being little-endian
PR_SET_SECCOMP, MODE_FILTER = 22, 2


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def restrict() -> bool:
    """Allow this process only the calls above from now on, for ever. False where the machine has no such filter. Needs
    no_new_privs to be set, unless by root."""
    filter_ = program(platform.machine(), os.getpid()) if sys.platform == "linux" else None
    if filter_ is None:
        return False
    instructions = ctypes.create_string_buffer(filter_)
    fprog = _Program(len(filter_) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None)
    return bool(libc.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(fprog), 0, 0) == 0)


def program(machine: str, pid: int) -> bytes | None:
    """The filter's instructions, 8 bytes each; None for a machine whose numbers are not known here."""
    column = {"x86_64": 0, "aarch64": 1}.get(machine)
    if column is None:
        return None
    steps = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, (X86_64, AARCH64)[column]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
    ]
    for numbers in CALLS.values():
        steps += [(EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, ALLOW)]
    for calls, value in ((ITSELF, pid), (LIMITS_OF_ITSELF, 0), (STATUS_OF_OPEN_FILE, AT_EMPTY_PATH)):
        for numbers, argument in calls.values():
            steps += [
                (EQUAL, 0, 4, numbers[column]),
                (LOAD, 0, 0, ARGUMENTS + 8 * argument),  # its lower half: the kernel takes these for 32-bit numbers
                (EQUAL, 0, 1, value),
                (RETURN, 0, 0, ALLOW),
                (RETURN, 0, 0, REFUSE),
            ]
    steps.append((RETURN, 0, 0, REFUSE))
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
