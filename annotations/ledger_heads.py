"""Signed heads of the ledger, kept outside the database.

Whoever owns the tables can compute the whole chain again. What shows it then is a head that was published before: its
`seq` and digest, signed (Ed25519) by a key that the database does not have. The folder `ledger` in ARENA_HOME has

    key.pem      the private key, made once, of mode 0600
    key.pub      its public half, in hex
    heads.jsonl  a head a line, appended at most once a minute while the ledger grows
"""

import errno
import fcntl
import html
import json
import logging
import os
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.utils import timezone

from .models import Ledger

EVERY = timedelta(minutes=1)
LONGEST_LINE = 1000  # bytes; a head has about 360
_HEAD = re.compile(r'\{[^{}]*"signature"[^{}]*\}')
logger = logging.getLogger(__name__)


class BadHead(ValueError):
    """A text that holds no head, or a head that this key did not sign."""


@dataclass(frozen=True)
class Head:
    """Entry `seq` of the ledger had this digest at `at` (ISO 8601, UTC); key and signature are hexadecimal."""

    seq: int
    digest: str
    at: str
    key: str
    signature: str

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        return f"arena ledger head\n{self.seq}\n{self.digest}\n{self.at}\n".encode()

    @property
    def line(self) -> str:
        return json.dumps(asdict(self))

    def check(self, public_key: str) -> None:
        """BadHead unless the signature is by this key (hexadecimal)."""
        if self.key != public_key:
            raise BadHead(f"The head of entry {self.seq} is signed by the key {self.key}, not by {public_key}.")
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
            key.verify(bytes.fromhex(self.signature), self.signed)
        except (InvalidSignature, ValueError):
            raise BadHead(f"The signature of the head of entry {self.seq} is wrong: it was changed.") from None


def folder() -> Path:
    return settings.ARENA_HOME / "ledger"


def log_file() -> Path:
    return folder() / "heads.jsonl"


def public_key() -> str | None:
    """The public half of this arena's key, in hex; None before the first head."""
    try:
        return (folder() / "key.pub").read_text().strip()
    except FileNotFoundError:
        return None


def publish(now: datetime | None = None) -> Head | None:
    """Sign the ledger's head and append it to the log, unless the last line is younger than EVERY or as far. Returns
    the new head, if there is one."""
    now = now or timezone.now()
    last = last_head()
    if last and abs(now - datetime.fromisoformat(last.at)) < EVERY:  # one of the future: the clock was set back
        return None
    seq, digest = _end_of_ledger()
    if last and seq < last.seq:
        logger.error("The ledger ends at entry %s, and a head of entry %s was signed: entries are gone.", seq, last.seq)
    if seq <= (last.seq if last else 0):
        return None
    head = sign(seq, digest, now)
    _append(head.line)
    return head


def _append(line):
    """Append a line to the log, or nothing where the disk is full; behind what a crash has left of one, a new line."""
    with log_file().open("ab+", buffering=0) as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - 1))
        is_whole = log.read(1) in (b"", b"\n")
        text = f"{'' if is_whole else chr(10)}{line}\n".encode()
        try:
            n_written = log.write(text)
            os.fsync(log.fileno())
        except OSError:
            log.truncate(size)
            raise
        if n_written != len(text):
            log.truncate(size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(log_file()))


def _end_of_ledger():
    last = Ledger.objects.filter(seq__isnull=False).order_by("-seq").values_list("seq", "digest").first()
    return last or (0, "")


def sign(seq: int, digest: str, now: datetime) -> Head:
    key = _private_key()
    at = now.astimezone(UTC).isoformat()
    unsigned = Head(seq, digest, at, key.public_key().public_bytes_raw().hex(), "")
    return Head(seq, digest, at, unsigned.key, key.sign(unsigned.signed).hex())


def _private_key():
    path = folder() / "key.pem"
    if not path.exists():
        _make_key(path)
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} holds no Ed25519 key.")
    if public_key() is None:
        _write_public_key(key)
    return key


def _make_key(path):
    """Make the key where none is; of two processes that make one at once, the first to finish wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    making = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key.private_bytes(encoding, private, serialization.NoEncryption()))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(making, path)
    except FileExistsError:
        return
    finally:
        making.unlink()


def _write_public_key(key):
    making = folder() / f"key.pub.{os.getpid()}"
    making.write_text(key.public_key().public_bytes_raw().hex() + "\n")
    making.replace(folder() / "key.pub")


def last_head() -> Head | None:
    """The last whole line of the log; None before the first."""
    try:
        with log_file().open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - 2 * LONGEST_LINE))
            lines = log.read().split(b"\n")
    except FileNotFoundError:
        return None
    heads = [head for line in lines[:-1] for head in _heads_in(line.decode(errors="replace"))]
    return heads[-1] if heads else None


def logged() -> list[Head]:
    """All heads of the log, in its order."""
    return [head for line in _lines_of_log() for head in _heads_in(line)]


def damage_to_log() -> list[str]:
    """A sentence for each line of the log that is no head, and for a log that is gone."""
    sentences = [
        f"Line {number} of {log_file()} is no head: it was changed, or cut off when the machine failed."
        for number, line in enumerate(_lines_of_log(), start=1)
        if not _heads_in(line)
    ]
    if public_key() and not logged():
        sentences.append(f"{log_file()} holds no head, though this arena has a key to sign them: they were taken away.")
    return sentences


def _lines_of_log():
    text = log_file().read_bytes().decode(errors="replace") if log_file().exists() else ""
    return text.removesuffix("\n").split("\n") if text else []


def parse(text: str) -> list[Head]:
    """The heads in a text: a line or file of the log, the answer of /api/exclusions/ or its page. BadHead where it
    holds none."""
    heads = _heads_in(html.unescape(text))
    if not heads:
        raise BadHead("There is no head of the ledger in it. Give a line of heads.jsonl, or what the exclusions show.")
    return heads


def _heads_in(text):
    heads = []
    for found in _HEAD.findall(text):
        try:
            head = Head(**json.loads(found))
        except (TypeError, ValueError):
            continue
        if isinstance(head.seq, int) and all(isinstance(value, str) for value in list(asdict(head).values())[1:]):
            heads += [head] if _is_moment(head.at) else []
    return heads


def _is_moment(text):
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
