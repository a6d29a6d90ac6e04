"""Proof of work: a sum that a browser does in about a second, and that whoever wants a thousand raters does a thousand
times.

A challenge is a text that the server has signed: study, what for, when, and how hard. Its answer are PARTS numbers:
for part p a number n so that SHA-256(signature + p + n) begins with so many zero bits, p and n as 32 bits in network
order. Parts instead of one harder sum because the time then varies less. Nothing is kept of a challenge until
it is answered; its answer is then noted until the challenge ends, so that it counts once (`SpentProof`).
"""

import hashlib
import secrets
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils.crypto import constant_time_compare

from arena.models import SpentProof, Study
from arena.participants import keyed_hash
from arena.refusals import Forbidden

PARTS = 8
VALID_FOR = timedelta(minutes=10)
JOIN, BATTLE = "join", "battle"


@dataclass(frozen=True)
class Proof:
    """What a browser sends: the challenge, and a number for each part."""

    challenge: str
    numbers: tuple[int, ...]


def is_needed(study: Study, purpose: str, now: datetime) -> bool:
    """Whether the study asks for a proof: always, or while it is under attack."""
    if purpose == BATTLE and not study.proof_for_battles:
        return False
    if study.proof_of_work == Study.ProofOfWork.AUTO:
        return bool(study.proof_until and study.proof_until > now)
    return study.proof_of_work == Study.ProofOfWork.ON


def require_proof(study: Study, purpose: str, proof: Proof | None, now: datetime, whose: str = "") -> None:
    """Take a proof, once, where the study asks for one. Forbidden with a new challenge where there is none, or not a
    right one. whose: whom the challenge is for; for joining, anybody."""
    if not is_needed(study, purpose, now):
        return
    if not proof:
        raise _needed(study, purpose, whose, now, "This study asks for a small calculation first.")
    if not _is_ours(study, purpose, whose, proof.challenge, now):
        raise _needed(study, purpose, whose, now, "The calculation was for something else, or took too long.")
    if not is_right(proof, int(proof.challenge.split(".")[2])):
        raise _needed(study, purpose, whose, now, "The calculation is not right.")
    try:
        with transaction.atomic():
            SpentProof.objects.create(digest=hashlib.sha256(proof.challenge.encode()).hexdigest(), at=now)
    except IntegrityError as error:
        raise _needed(study, purpose, whose, now, "This calculation was used before.") from error


def challenge(study: Study, purpose: str, whose: str, now: datetime) -> str:
    """A new challenge: purpose, seconds since 1970, bits, a random text, and a signature of all of this."""
    unsigned = f"{purpose}.{int(now.timestamp())}.{study.proof_bits}.{secrets.token_urlsafe(9)}"
    return f"{unsigned}.{_signature(study, whose, unsigned)}"


def is_right(proof: Proof, bits: int) -> bool:
    """Whether each part's hash begins with that many zero bits."""
    if len(proof.numbers) != PARTS:
        return False
    seed = bytes.fromhex(proof.challenge.rpartition(".")[2])
    hashes = (hashlib.sha256(seed + struct.pack(">II", part, number)) for part, number in enumerate(proof.numbers))
    return all(int.from_bytes(found.digest(), "big") >> (256 - bits) == 0 for found in hashes)


def _is_ours(study, purpose, whose, text, now):
    unsigned, _, signature = text.rpartition(".")
    if not constant_time_compare(signature, _signature(study, whose, unsigned)):
        return False
    asked_for, at, *_ = unsigned.split(".")
    return asked_for == purpose and now - datetime.fromtimestamp(int(at), UTC) <= VALID_FOR


def _signature(study, whose, unsigned):
    return keyed_hash(f"proof:{study.slug}:{whose}", unsigned)


def _needed(study, purpose, whose, now, sentence):
    text = challenge(study, purpose, whose, now)
    return Forbidden(sentence, code="proof_needed", challenge=text, bits=study.proof_bits, parts=PARTS)
