"""A manifest of files to score, and the CSV of results, which grows batch by batch and which a later run continues."""

import fcntl
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from arena import csv_files, tables
from arena.named_files import Folders
from scoring.reward.whole_file import written_whole

RESULTS_OF_FILES = ("reward", "percentile", "error", "sha256", "reward_model", "kept")
RESULTS_OF_PAIRS = (
    "reward_a", "reward_b", "margin", "probability", "error", "sha256_a", "sha256_b", "reward_model", "kept",
)  # fmt: skip
COLUMNS = tables.Columns(
    (), ("path", "path_a", "path_b", "prompt"), tables.KEPT,
    is_row=lambda cells: bool(PurePath(cells.get("path") or cells.get("path_a") or "").suffix),
)  # fmt: skip


class BadManifest(ValueError):
    """The manifest or the file of results cannot be used; the message says why."""


@dataclass(frozen=True)
class Manifest:
    folders: Folders
    columns: tuple[str, ...]
    rows: list[tables.Row]

    @property
    def is_of_pairs(self) -> bool:
        return "path_a" in self.columns

    @property
    def paths(self) -> tuple[str, ...]:
        """The columns that name files."""
        return ("path_a", "path_b") if self.is_of_pairs else ("path",)

    @property
    def results(self) -> tuple[str, ...]:
        """The columns that scoring adds."""
        return RESULTS_OF_PAIRS if self.is_of_pairs else RESULTS_OF_FILES


def read_manifest(path: Path, outside: Iterable[Path] = ()) -> Manifest:
    """outside: folders beside the manifest's own whose files it may name. Raises BadManifest for a file that cannot be
    used, or whose columns name neither files nor pairs."""
    try:
        table = tables.read(path, COLUMNS)
    except (OSError, tables.BadTable) as error:
        raise BadManifest(f"{path}: {error}") from error
    if table.is_json:
        raise BadManifest(f"{path}: JSON lines are not read here: write the files to score as CSV.")
    header = table.columns
    is_file, is_pair = "path" in header, {"path_a", "path_b"} <= set(header)
    if is_file == is_pair:
        raise BadManifest(
            f"{path}: its columns are {', '.join(header) or 'none'}. It needs either path, or path_a and path_b for "
            "pairs; prompt is optional, and all other columns are copied to the results."
        )
    manifest = Manifest(Folders(path.parent, outside), header, list(table))
    if reserved := [name for name in header if name in manifest.results]:
        raise BadManifest(f"{path}: the columns {', '.join(reserved)} are written by scoring: rename or drop them.")
    return manifest


class Results:
    """The CSV of the results: rows are appended while scoring, and all are rewritten in order at the end.

    Rows that an interrupted run has left are read first (`known`), without a last row that was cut off.
    Raises BadManifest where the file has other columns, or another run is writing it.
    """

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self.path, self.columns = path, columns
        self.file = path.open("a+", encoding="utf-8", newline="")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadManifest(f"{path}: another run is writing it.") from error
        self.known = self._read()

    def _read(self):
        self.file.seek(0)
        lines = list(io.StringIO(self.file.read(), newline=""))
        reader = csv_files.Reader(lines)
        known, n_complete = [], 0
        for number, cells in enumerate(reader):
            is_complete = len(cells) == len(self.columns) and lines[reader.line_num - 1].endswith("\n")
            if number == 0 and tuple(cells) != self.columns and lines[0].endswith("\n"):
                raise BadManifest(f"{self.path}: it exists already, with other columns; name another file.")
            if not is_complete:
                break
            n_complete = reader.line_num
            if number > 0:
                known.append(dict(zip(self.columns, cells, strict=True)))
        self.file.truncate(len("".join(lines[:n_complete]).encode()))
        if not n_complete:
            self._append(csv_files.lines(self.columns, []))
        return known

    def append(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows so that they survive a kill of this process."""
        _header, *lines = csv_files.lines(self.columns, rows)
        self._append(lines)

    def _append(self, lines):
        self.file.writelines(lines)
        self.file.flush()
        os.fsync(self.file.fileno())

    def finish(self, rows: Iterable[dict[str, Any]]) -> None:
        """Replace the file by these rows, all of them, in their order."""
        with written_whole(self.path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
            file.writelines(csv_files.lines(self.columns, rows))
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        self.file.close()
