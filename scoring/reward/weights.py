"""The weights of the frozen encoders, and published heads: which there are, how they get here, what is installed.

Nothing is fetched unless somebody asks: `manage.py fetch_weights NAME`, never an import and never a start. A set lies
in a folder of its own below folder(), under the names it is published with, beside a manifest that says what every
file's SHA-256 is and where it came from. A set is installed whole or not at all.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scoring.reward.weight_sets import SETS, File, WeightSet

MANIFEST = "manifest.json"
CHECKOUT = Path(__file__).resolve().parents[2]


class WeightsError(OSError):
    """What is wrong is on this machine, its disk or its network: no clip and no head is to blame for it."""


class UnknownWeights(WeightsError):
    """There is no set of weights of that name."""


class WeightsMissing(WeightsError):
    """The set is not installed here; the message says how to get it."""


class BadWeights(WeightsError):
    """A file is not what it should be; the message names it, the expected and the found SHA-256."""


class CannotFetch(WeightsError):
    """The hub did not give the set, or the disk does not hold it; the message says what to do."""


@dataclass(frozen=True)
class Installed:
    """A set that is here. `files` is {place below path: {"sha256", "size", "licence", and where it is from}}."""

    name: str
    path: Path
    files: dict[str, dict]

    @property
    def fingerprint(self) -> str:
        """8 hex digits over the name and content of every file, as installed; reads no weights."""
        lines = "".join(f"{place} {file['sha256']}\n" for place, file in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()[:8]

    def verify(self) -> None:
        """Raise BadWeights unless every file still is what was installed. Reads all of them."""
        for place, file in self.files.items():
            path = self.path / place
            found = sha256_of(path) if path.is_file() else "no file"
            if found != file["sha256"]:
                raise BadWeights(
                    f"{path}: expected sha256 {file['sha256']}, found {found}. It has changed since it was installed; "
                    f"run `manage.py fetch_weights {self.name}` again"
                )


def folder() -> Path:
    """Where the sets lie: WEIGHTS_DIR (the settings fill it in), else var/weights of the checkout."""
    return Path(os.environ.get("WEIGHTS_DIR") or CHECKOUT / "var" / "weights")


def get_set(name: str) -> WeightSet:
    if name not in SETS:
        raise UnknownWeights(f"there are no weights {name!r}; there are: {', '.join(sorted(SETS))}")
    return SETS[name]


def installed(name: str) -> Installed:
    """The set as it is here. Raises UnknownWeights, WeightsMissing, or BadWeights for a manifest that is damaged."""
    get_set(name)
    path = folder() / name
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        files = {place: dict(file, sha256=str(file["sha256"])) for place, file in manifest["files"].items()}
    except FileNotFoundError as error:
        raise WeightsMissing(
            f"the weights {name!r} are not installed in {path}: run `manage.py fetch_weights {name}`, "
            f"or `manage.py fetch_weights {name} --from DIR` where you have the files"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadWeights(f"{path / MANIFEST}: damaged ({error}); run `manage.py fetch_weights {name}` again") from error
    return Installed(name, path, files)


def install(name: str, source_dir: str | os.PathLike) -> Installed:
    """Copy a set's files from a local folder, where they have their published names, and return it as installed.

    Raises WeightsMissing that names every file `source_dir` lacks, and CannotFetch where the disk is full.
    """
    wanted, source = get_set(name), Path(source_dir)
    found = {place: file for file in wanted.files if (place := _first_there(source, file))}
    if lacking := [" or ".join(file.places) for file in wanted.files if file.needed and file not in found.values()]:
        raise WeightsMissing(f"{source} lacks {', '.join(lacking)} of the weights {name!r}")
    with _alone(name), _disk_errors(name):
        staged = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder()))
        try:
            for place in found:
                (staged / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / place, staged / place)
            _finish(wanted, staged, {place: {"from": str(source.resolve())} for place in found})
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return installed(name)


def sha256_of(path: str | os.PathLike) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_there(source: Path, file: File) -> str | None:
    return next((place for place in file.places if (source / place).is_file()), None)


def _finish(wanted: WeightSet, staged: Path, origins: dict[str, dict]) -> None:
    """Write the manifest of what is staged, and put the staged folder in the place of the set."""
    by_place = {place: file for file in wanted.files for place in file.places}
    files = {
        place: {
            "sha256": sha256_of(staged / place),
            "size": (staged / place).stat().st_size,
            "licence": by_place[place].licence or wanted.licence,
            **origin,
        }
        for place, origin in origins.items()
    }
    (staged / MANIFEST).write_text(json.dumps({"name": wanted.name, "files": files}, indent=2) + "\n")
    staged.chmod(0o755)
    target = folder() / wanted.name
    replaced = folder() / f".{wanted.name}.replaced"
    shutil.rmtree(replaced, ignore_errors=True)
    if target.exists():
        target.rename(replaced)
    staged.rename(target)
    shutil.rmtree(replaced, ignore_errors=True)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """One installation of a set at a time; a killed one lets go."""
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / f".{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotFetch(f"the weights {name!r} are being installed by another process; wait for it") from error
        yield


@contextmanager
def _disk_errors(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise CannotFetch(
            f"the disk of {folder()} is full; make room or set WEIGHTS_DIR to another disk, "
            f"then run `manage.py fetch_weights {name}` again: it goes on where it stopped"
        ) from error
