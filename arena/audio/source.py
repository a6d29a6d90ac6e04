"""A file to read, as it was handed over: open, because the child that decodes can open nothing."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from typing import BinaryIO, Self


@dataclass(frozen=True)
class Source:
    """data: the file's bytes, to be searched without reading them all; b"" for an empty file."""

    file: BinaryIO
    data: mmap.mmap | bytes

    @classmethod
    def of(cls, file: BinaryIO) -> Self:
        """Maps the file into memory, which takes a file descriptor."""
        is_empty = os.fstat(file.fileno()).st_size == 0
        return cls(file, b"" if is_empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    @classmethod
    def written(cls, file: BinaryIO) -> Self:
        """A file that this process wrote, read into memory."""
        file.seek(0)
        return cls(file, file.read())
