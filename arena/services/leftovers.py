"""Files that nobody needs: what killed processes have left half-written, and originals and excerpts without a row."""

import shutil
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import FileField

from arena.models import Clip, Status
from arena.storage import UNFINISHED

KEPT_S = 24 * 3600  # nothing that is younger is touched: its row may still be on its way
FOLDERS = ("originals", "excerpts")  # below the media; `uploads` has a sweep of its own
TEMPORARY = "tmp"  # below ARENA_HOME; as TMPDIR of the arena's processes, see arena/run
AT_ONCE = 1000


def tidy(now: float | None = None) -> int:
    """Delete what is left over, and the originals of clips that were rejected before originals were deleted at once.
    Returns how many files and folders. Does nothing where the media are not in a folder."""
    older_than = (time.time() if now is None else now) - KEPT_S
    n = sum(_remove(path) for path in _old(settings.ARENA_HOME / TEMPORARY, older_than))
    if not hasattr(default_storage, "location"):  # a storage elsewhere, such as S3
        return n
    media = Path(settings.MEDIA_ROOT)
    n += sum(_remove(path) for path in _old(media / UNFINISHED, older_than))
    for clip in Clip.objects.filter(status=Status.REJECTED).exclude(original="").iterator():
        discard_original(clip)
        n += 1
    return n + sum(_remove(path) for folder in FOLDERS for path in _without_row(media, folder, older_than))


def discard_original(clip: Clip) -> None:
    """A rejected file's copy does not stay, unless a clip that is not rejected is of the same file."""
    name, storage = clip.original.name, clip.original.storage
    Clip.objects.filter(pk=clip.pk, status=Status.REJECTED).update(original="")
    if name and not Clip.objects.filter(original=name).exclude(status=Status.REJECTED).exists():
        storage.delete(name)


def _old(folder: Path, older_than: float) -> Iterator[Path]:
    """What lies in the folder, and was last written to so long ago."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        try:
            if path.lstat().st_mtime < older_than:
                yield path
        except FileNotFoundError:
            continue


def _without_row(media: Path, folder: str, older_than: float) -> Iterator[Path]:
    """Old files below the folder that no row of any table names."""
    files = (path for path in (media / folder).rglob("*") if path.is_file() and path.lstat().st_mtime < older_than)
    while some := list(islice(files, AT_ONCE)):
        names = {path.relative_to(media).as_posix(): path for path in some}
        known: set[str] = set()
        for model in apps.get_models():
            for field in model._meta.get_fields():
                if isinstance(field, FileField):
                    rows = model._base_manager.filter(**{f"{field.name}__in": list(names)})
                    known |= set(rows.values_list(field.name, flat=True))
        yield from (path for name, path in names.items() if name not in known)


def _remove(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return 1
