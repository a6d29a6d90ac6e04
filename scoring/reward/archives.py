"""Whether a torch file is what torch.save writes: an archive whose entries are stored as they are, so that reading it
takes no more memory than it takes disk.

A ZIP archive may unfold to a thousand times its size by compression, or by entries that share bytes. torch.save does
neither, so both are refused, from the archive's directory alone and before anything is unfolded.
"""

import os
import tarfile
import zipfile
from pathlib import Path

MOST_ENTRIES = 20_000  # each tensor is one; the largest network here has under a thousand
LEGACY_TAR = "an archive as early versions of torch wrote it, which is not read: load it with torch and save it again"


class BadArchive(ValueError):
    """The archive could unfold to more than its size; the message says why, without the file's name."""


def check_stored(path: Path) -> None:
    """Raises BadArchive. A file that is no archive passes: what else it may be has no parts that unfold."""
    if tarfile.is_tarfile(path):
        raise BadArchive(LEGACY_TAR)
    if not zipfile.is_zipfile(path):
        return
    size = os.path.getsize(path)
    try:
        with zipfile.ZipFile(path) as archive:
            entries, comment = archive.infolist(), archive.comment
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise BadArchive(f"a damaged archive ({error})") from error
    if comment:  # readers could differ on where the directory is
        raise BadArchive("an archive with a comment, which torch.save does not write")
    if len(entries) > MOST_ENTRIES:
        raise BadArchive(f"an archive of {len(entries):,} entries; no more than {MOST_ENTRIES:,} are read")
    for entry in sorted(entries, key=lambda entry: -entry.file_size):
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise BadArchive(
                f"an archive whose entry {entry.filename!r} is compressed, {entry.compress_size:,} bytes that say they "
                f"unfold to {entry.file_size:,}. torch.save compresses nothing: load it with torch and save it again"
            )
    unfolded = sum(entry.file_size for entry in entries)
    if unfolded > size:
        raise BadArchive(f"an archive of {size:,} bytes whose entries are {unfolded:,}: they overlap")
