"""Media files that are there whole or not at all, whatever ends the process that writes them."""

import errno
import os
from typing import Any
from uuid import uuid4

from django.core.files.storage import FileSystemStorage

UNFINISHED = ".unfinished"  # below the media; what is left there by killed processes is tidied away


class WholeFiles(FileSystemStorage):
    """Writes a file beside the others, and gives it its name when it is complete.

    Django's own storage writes under the final name: of a clip that was being copied when the disk was full or the
    process was killed, a part would stay, and count as the clip.
    """

    def _save(self, name: str, content: Any) -> str:
        unfinished = f"{UNFINISHED}/{uuid4().hex}"
        try:
            super()._save(unfinished, content)  # type: ignore[misc]  # the stubs leave it out
            self._make_folder(name)
            return self._named(unfinished, name)
        finally:
            if os.path.lexists(self.path(unfinished)):
                os.unlink(self.path(unfinished))

    def _named(self, unfinished: str, name: str) -> str:
        """A name that exists is not overwritten: then the file gets another one."""
        while True:
            try:
                os.link(self.path(unfinished), self.path(name))
                return name.replace("\\", "/")
            except FileExistsError:
                name = self.get_available_name(name)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                    raise
                os.rename(self.path(unfinished), self.path(name))  # a file system without links
                return name.replace("\\", "/")

    def _make_folder(self, name: str) -> None:
        folder, missing = os.path.dirname(self.path(name)), []
        while not os.path.isdir(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        for folder in reversed(missing):
            try:
                os.mkdir(folder, self.directory_permissions_mode or 0o777)
            except FileExistsError:  # somebody else was first
                continue
