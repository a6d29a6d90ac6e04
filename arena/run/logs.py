"""supervisord, with logs that outlive a full disk: `python -m arena.run.logs -c CONFIGURATION`.

supervisord's own logs raise out of a write or a rotation for which there is no space, and it ends, or stops reading the
output of a program, which then hangs. Here what cannot be written is dropped and counted. When there is space again,
the log goes on by itself and says how much is missing. A log is at most `maxBytes` long, and so is each of its backups.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from io import FileIO
from typing import Any

from supervisor import loggers, supervisord


class PatientLog(loggers.FileHandler):  # type: ignore[misc]  # supervisor has no types
    """Takes the place of supervisor.loggers.RotatingFileHandler: the same arguments, and never an exception."""

    def __init__(self, filename: str, mode: str = "ab", maxBytes: int = 0, backupCount: int = 0) -> None:
        loggers.Handler.__init__(self, None)
        self.stream: FileIO | None = None
        self.baseFilename, self.maxBytes, self.backupCount = filename, maxBytes, backupCount
        self.dropped = 0  # bytes, since the log last took something

    def emit(self, record: Any) -> None:
        text = record.msg if self.fmt == "%(message)s" else self.fmt % record.asdict()
        data = text if isinstance(text, bytes) else text.encode(errors="replace")
        try:
            self._write(data)
        except OSError:
            self.dropped += len(data)
            self.close()

    def _write(self, data: bytes) -> None:
        file = self.stream or self._open()
        if self.maxBytes and os.fstat(file.fileno()).st_size + len(data) > self.maxBytes:
            file = self._rotate()
        if self.dropped:
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            _write_all(file, f"\n{now} {self.dropped:,} bytes are missing here: they could not be written\n".encode())
            self.dropped = 0
        _write_all(file, data)

    def _rotate(self) -> FileIO:
        self.close()
        names = [self.baseFilename, *(f"{self.baseFilename}.{n}" for n in range(1, self.backupCount + 1))]
        for newer, older in reversed(list(itertools.pairwise(names))):
            with contextlib.suppress(FileNotFoundError):
                os.replace(newer, older)
        return self._open()

    def _open(self) -> FileIO:
        self.stream = FileIO(os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640), "a")
        return self.stream

    def reopen(self) -> None:
        """The next line opens the file anew."""
        self.close()

    def close(self) -> None:
        if self.stream is not None:
            with contextlib.suppress(OSError):
                self.stream.close()
            self.stream = None

    def remove(self) -> None:
        self.close()
        with contextlib.suppress(OSError):
            os.remove(self.baseFilename)


def _write_all(file: FileIO, data: bytes) -> None:
    """The file is not buffered, so a write may take a part, and the next one says why."""
    while data:
        data = data[file.write(data) :]


if __name__ == "__main__":
    loggers.RotatingFileHandler = PatientLog
    sys.exit(supervisord.main())
