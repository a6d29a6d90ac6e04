"""A manifest of files to score, and the CSV of what became of them, which grows batch by batch and is gone on with."""

import csv
import fcntl
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS_OF_FILES = ("reward", "percentile", "error", "sha256", "reward_model", "kept")
RESULTS_OF_PAIRS = (
    "reward_a", "reward_b", "margin", "probability", "error", "sha256_a", "sha256_b", "reward_model", "kept",
)  # fmt: skip
csv.field_size_limit(10_000_000)  # a prompt with lyrics is longer than the module's default for a cell


class BadManifest(ValueError):
    """The file as a whole cannot be worked with; the sentence says why."""


@dataclass(frozen=True)
class Manifest:
    """rows: {column: cell}, those of a row that does not fit its header under the key None; paths are relative to
    the folder."""

    folder: Path
    columns: tuple[str, ...]
    rows: list[dict]

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


def read_manifest(path: Path) -> Manifest:
    """Raises BadManifest for a file that is no CSV, or whose header does not fit."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = tuple(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadManifest(f"{path}: {error}") from error
    is_file, is_pair = "path" in header, {"path_a", "path_b"} <= set(header)
    if is_file == is_pair:
        raise BadManifest(
            f"{path}: its columns are {', '.join(header) or 'none'}. It needs either path, or path_a and path_b for "
            "pairs; prompt is optional, and any other columns are carried through."
        )
    manifest = Manifest(path.parent, header, rows)
    if taken := [name for name in header if name in manifest.results]:
        raise BadManifest(f"{path}: the columns {', '.join(taken)} are written by scoring: rename or drop them.")
    if len(set(header)) < len(header):
        raise BadManifest(f"{path}: a column is named twice.")
    return manifest


class Results:
    """The CSV that results go into: appended to while scoring, written whole and in order at its end.

    What an interrupted run has left is read first (`known`), less a last row that was cut off.
    Raises BadManifest where the file is something else, or another run is writing it.
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
        reader = csv.reader(lines)
        known, good = [], 0
        for number, cells in enumerate(reader):
            is_whole = len(cells) == len(self.columns) and lines[reader.line_num - 1].endswith("\n")
            if number == 0 and tuple(cells) != self.columns and lines[0].endswith("\n"):
                raise BadManifest(f"{self.path}: it is there already, with other columns; name another file.")
            if not is_whole:
                break
            good = reader.line_num
            if number > 0:
                known.append(dict(zip(self.columns, cells, strict=True)))
        self.file.truncate(len("".join(lines[:good]).encode()))
        if not good:
            self._append([dict(zip(self.columns, self.columns, strict=True))])
        return known

    def append(self, rows: Iterable[dict[str, Any]]) -> None:
        """Rows that will be there whatever happens next."""
        self._append(rows)

    def _append(self, rows):
        text = io.StringIO()
        csv.DictWriter(text, self.columns, lineterminator="\n").writerows(rows)
        self.file.write(text.getvalue())
        self.file.flush()
        os.fsync(self.file.fileno())

    def finish(self, rows: Iterable[dict[str, Any]]) -> None:
        """Replace the file by these rows, all of them, in their order."""
        part = self.path.with_name(f".{self.path.name}.part")
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self.path)

    def close(self) -> None:
        self.file.close()
