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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoring.reward.weight_sets import SETS as SETS
from scoring.reward.weight_sets import File, WeightSet

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


class PackageMissing(WeightsError):
    """A package that an encoder needs is not installed here, or does not load; the message says what to do."""


class CannotFetch(WeightsError):
    """The hub did not give the set, or the disk does not hold it; the message says what to do."""


@dataclass(frozen=True)
class Installed:
    """A set that is here. `files` is {place below path: {"sha256", "size", "licence", and where it is from}}."""

    name: str
    path: Path
    files: dict[str, dict[str, Any]]

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


def install(name: str, source_dir: str | os.PathLike[str]) -> Installed:
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


def sha256_of(path: str | os.PathLike[str]) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_there(source: Path, file: File) -> str | None:
    return next((place for place in file.places if (source / place).is_file()), None)


def _finish(wanted: WeightSet, staged: Path, origins: dict[str, dict[str, Any]]) -> None:
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
            f"the disk of {folder()} is full ({error.strerror}): make room or set WEIGHTS_DIR to a folder of another "
            f"disk, then run `manage.py fetch_weights {name}` again"
        ) from error


# ---- from the hub ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Offer:
    """A file as the hub has it now. `etag` is its checksum: SHA-256 for large files, else that of a git blob."""

    place: str
    repository: str
    remote_name: str
    commit: str
    etag: str
    size: int

    @property
    def url(self) -> str:
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self.repository, self.remote_name, revision=self.commit)


def download(name: str, *, say: Callable[[str], None] = print) -> Installed:
    """Fetch a set from its hub and return it as installed. What a killed download has got is not fetched again.

    Every file of a repository is of one commit, and is checked against the checksum that the hub has of it. `say` is
    told of each file. Raises CannotFetch for a gated set, a hub that cannot be reached or lacks a file, and a full
    disk; BadWeights for a file that came out wrong. Each says what to do.
    """
    wanted = get_set(name)
    with _alone(name), _disk_errors(name), _hub_errors(wanted):
        staged = folder() / f".{name}.part"
        offers = _offers(wanted, say)
        _check_room(name, staged, offers)
        for offer in offers:
            say(f"{offer.place}: {offer.size / 1e6:,.1f} MB from {offer.repository}")
            _fetch(offer, staged, folder() / name)
        for stray in _files(staged) - {offer.place for offer in offers}:  # of an earlier, other attempt
            (staged / stray).unlink()
        origins = {offer.place: {"repository": offer.repository, "commit": offer.commit} for offer in offers}
        _finish(wanted, staged, origins)
    return installed(name)


def _offers(wanted: WeightSet, say: Callable[[str], None]) -> list[_Offer]:
    """What the hub has of the set's files, before anything is fetched: a gated or incomplete set stops here."""
    commits: dict[str, str] = {}
    offers = []
    for file in wanted.files:
        if not file.repository:
            continue
        offer = _first_offer(file, commits)
        if offer:
            offers.append(offer)
        elif file.needed:
            raise CannotFetch(
                f"the hub has no {' or '.join(file.names)} in {file.repository}, which the weights {wanted.name!r} "
                f"need; if you have it, run `manage.py fetch_weights {wanted.name} --from DIR`"
            )
        else:
            say(f"{file.places[0]}: not on the hub, left out")
    return offers


def _first_offer(file: File, commits: dict[str, str]) -> _Offer | None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    for place, remote_name in zip(file.places, file.names, strict=True):
        url = hf_hub_url(file.repository, remote_name, revision=commits.get(file.repository))
        try:
            found = get_hf_file_metadata(url)
        except EntryNotFoundError:
            continue
        if not (found.commit_hash and found.etag and found.size is not None and len(found.etag) in (40, 64)):
            raise CannotFetch(f"{url} came without a commit, size or checksum: that is no hub; see HF_ENDPOINT")
        commits[file.repository] = found.commit_hash
        return _Offer(place, file.repository, remote_name, found.commit_hash, found.etag, found.size)
    return None


def _check_room(name: str, staged: Path, offers: list[_Offer]) -> None:
    here = sum((staged / place).stat().st_size for place in _files(staged))
    lacking = sum(offer.size for offer in offers) - here - shutil.disk_usage(folder()).free
    if lacking > 0:
        raise OSError(errno.ENOSPC, f"{lacking / 1e9:.1f} GB too little for {name}")


def _fetch(offer: _Offer, staged: Path, installed_at: Path) -> None:
    """Put one file of an offer where it belongs in the staged folder, going on from what an earlier attempt got, and
    fetching nothing that is installed already.
    """
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    whole = staged / offer.place
    part = whole.with_name(f"{whole.name}.{offer.etag[:16]}.part")
    whole.parent.mkdir(parents=True, exist_ok=True)
    if whole.is_file() and _checksum(whole, offer.etag) == offer.etag:
        return
    if (here := installed_at / offer.place).is_file() and _checksum(here, offer.etag) == offer.etag:
        whole.unlink(missing_ok=True)
        whole.hardlink_to(here)
        return
    # hf_hub_download throws a partial file away when its process ends; this part of it takes the place to go on from.
    with part.open("ab") as target:
        http_get(
            offer.url,
            target,
            resume_size=target.tell(),
            headers=build_hf_headers(),
            expected_size=offer.size,
            displayed_filename=offer.place,
        )
    found = _checksum(part, offer.etag)
    if found != offer.etag:
        part.unlink()
        raise BadWeights(
            f"{offer.place} of {offer.repository}: expected checksum {offer.etag}, found {found}. What came is thrown "
            "away; try again"
        )
    part.replace(whole)


def _checksum(path: Path, like: str) -> str:
    """The file's checksum of the hub's kind: SHA-256 where `like` has 64 digits, else SHA-1 as a git blob."""
    if len(like) == 64:
        return sha256_of(path)
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _files(path: Path) -> set[str]:
    return {str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()}


@contextmanager
def _hub_errors(wanted: WeightSet) -> Iterator[None]:
    """What the hub's client raises, as CannotFetch that says what to do."""
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    again = f"run `manage.py fetch_weights {wanted.name}` again: it goes on where it stopped"
    by_hand = f"`manage.py fetch_weights {wanted.name} --from DIR` takes files that you have"
    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        repository = getattr(error, "repo_id", None) or wanted.files[0].repository
        if isinstance(error, GatedRepoError) or (wanted.gated and status in {401, 403}):
            says = (
                f"the weights {wanted.name!r} are gated ({wanted.licence}): accept their conditions at "
                f"{constants.ENDPOINT}/{repository}, log in with `hf auth login` or set HF_TOKEN, then {again}"
            )
        elif isinstance(error, RepositoryNotFoundError):
            says = f"the hub does not show {repository}: it is private or gone, or HF_TOKEN is not valid; {by_hand}"
        else:
            says = f"the hub answers with an error, {status}: later {again}; {by_hand}"
        raise CannotFetch(says) from error
    except OfflineModeIsEnabled as error:
        raise CannotFetch(f"HF_HUB_OFFLINE is set: unset it, then {again}; {by_hand}") from error
    except httpx2.HTTPError as error:
        raise CannotFetch(
            f"the hub at {constants.ENDPOINT} cannot be reached ({error}): see to the network, then {again}; {by_hand}"
        ) from error
    except OSError as error:
        if isinstance(error, WeightsError) or error.errno is not None:
            raise
        raise CannotFetch(f"a file came incomplete ({error}): {again}") from error
