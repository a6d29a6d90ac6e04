"""Files that a table names: below the table's own folder, or below one that the caller allows beside it.

Whoever wrote a manifest is often not the one who runs it. A path that leads elsewhere, by `..`, from the root or
through a link, would take in whatever the arena's account may read.
"""

from collections.abc import Iterable
from pathlib import Path

ALLOW_OUTSIDE = "--allow-outside"
HELP = "let the manifest name files below this folder, too; may be given several times. Default: its own folder alone"


class LeadsOutside(ValueError):
    """The path leads out of the folders; the message says what to do."""


class Folders:
    """path: the table's folder, from which relative paths count."""

    def __init__(self, path: Path, outside: Iterable[Path] = ()) -> None:
        self.path = path
        self._resolved = [folder.resolve() for folder in (path, *outside)]

    def find(self, cell: str) -> Path:
        """The file that a cell names, whether or not there is one. Raises LeadsOutside."""
        path = self.path / cell
        try:
            target = path.resolve()
        except RuntimeError as error:
            raise LeadsOutside("it is a symbolic link that leads to itself") from error
        if not any(target.is_relative_to(folder) for folder in self._resolved):
            through = " through a symbolic link" if not _is_written_outside(cell) else ""
            raise LeadsOutside(
                f"it leads{through} to {target}, outside the manifest's folder; to allow that: "
                f"{ALLOW_OUTSIDE} {target.parent}"
            )
        return path


def _is_written_outside(cell: str) -> bool:
    return Path(cell).is_absolute() or ".." in Path(cell).parts
