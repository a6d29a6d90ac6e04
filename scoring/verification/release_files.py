"""The file of a release beside the one that the database gives again, line by line: never a whole file in memory."""

import hashlib
import json
import tempfile
from itertools import zip_longest

from scoring.models import Release
from scoring.releases import numbered

from .comparison import Sides

ABSENT = "absent"


def rebuilt(made: Release) -> Sides:
    """Sides of what the release says of its file and what the file, written again, is; with the first line that differs
    where it is another."""
    stored = {name: getattr(made, name) for name in ("n_rows", "excluded", "sha256")}
    with tempfile.TemporaryFile() as again:
        facts = numbered.rebuilt(made, again)
        if facts["sha256"] == made.sha256 or not _is_there(made):
            return Sides(stored, facts)
        again.seek(0)
        place, old, new = _first_different_line(made, again)
    return Sides({place: old, **stored}, {place: new, **facts}) if place else Sides(stored, facts)


def copies(made: Release) -> Sides:
    """Sides of the hash of the stored file and the one that the release names. A release may have no file."""
    if not made.file:
        return Sides({}, {})
    return Sides({"file": _sha256_of_file(made) if _is_there(made) else ABSENT}, {"file": made.sha256})


def _is_there(made):
    return bool(made.file) and made.file.storage.exists(made.file.name)


def _sha256_of_file(made):
    with made.file.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_different_line(made, again):
    """("line 17", the line in the release's file, the line in the other); (None, None, None) where there is none."""
    with made.file.open("rb") as file:
        for number, (old, new) in enumerate(zip_longest(file, again), start=1):
            if old != new:
                return f"line {number}", _line(old, made.format), _line(new, made.format)
    return None, None, None


def _line(line, format):
    if line is None:
        return ABSENT
    text = line.decode(errors="replace").rstrip("\n")
    if format != "jsonl":
        return text
    try:
        return json.loads(text)
    except ValueError:  # somebody has cut the file
        return text
