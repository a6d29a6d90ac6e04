"""Landlock: no file, no TCP port, no signal to another process, for this process and all that it starts.

See landlock(7). It is a second door behind `arena.audio.seccomp`, and the one that counts where a machine's system
calls cannot be filtered. Files that are open already stay usable.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

CREATE_RULESET, RESTRICT_SELF = 444, 446  # the same numbers on every architecture
ASK_VERSION = 1
# Kinds of access to files that each version of the kernel's interface knows: the lowest so many bits.
KINDS_OF_ACCESS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
WITH_TCP, WITH_SCOPES = 4, 6  # from this version on
BIND_AND_CONNECT = 0b11
SOCKETS_AND_SIGNALS = 0b11  # abstract Unix sockets, and signals, of processes outside


def restrict() -> bool:
    """Refuse this process every path from now on, for ever. False where the kernel has no Landlock. Needs no_new_privs
    to be set, unless by root, and a free file descriptor."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ASK_VERSION)
    if version < 1:
        return False
    attributes = handled(version)
    ruleset = libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        return bool(libc.syscall(RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def handled(version: int) -> bytes:
    """struct landlock_ruleset_attr: what is refused, since no rule allows it."""
    files = (1 << KINDS_OF_ACCESS[min(version, max(KINDS_OF_ACCESS))]) - 1
    attributes = struct.pack("=Q", files)
    if version >= WITH_TCP:
        attributes += struct.pack("=Q", BIND_AND_CONNECT)
    if version >= WITH_SCOPES:
        attributes += struct.pack("=Q", SOCKETS_AND_SIGNALS)
    return attributes
