"""A disk of a few megabytes, to be filled: a file system in memory, mounted by root."""

import os
import subprocess
from contextlib import contextmanager, suppress

import pytest


@contextmanager
def small_disk(folder, megabytes):
    """Mounted at the folder, which is made. The test is skipped where that cannot be."""
    folder.mkdir()
    options = f"size={megabytes}m,mode=755"
    mount = ["mount", "-t", "tmpfs", "-o", options, "arena-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("only root can mount a small disk, and not in every container")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk):
    """Nothing more goes onto the disk, not even the rest of a block, until its file `ballast` is removed."""
    with (disk / "ballast").open("ab", buffering=0) as ballast:
        for size in (2**20, 4096, 1):
            with suppress(OSError):
                while True:
                    ballast.write(b"x" * size)
