"""A head of the ledger as a time-stamp request (RFC 3161), to be taken to a time-stamping authority by hand.

The imprint is the SHA-256 of the head's line, as heads.jsonl has it, without the end of the line.
"""

import hashlib
import secrets
from datetime import datetime

from asn1crypto import tsp

from .ledger_heads import Head


class BadToken(ValueError):
    """An answer that is no time-stamp, or one of something else."""


def imprint(head: Head) -> bytes:
    return hashlib.sha256(head.line.encode()).digest()


def request(head: Head) -> bytes:
    """A TimeStampReq in DER, with a nonce, that asks for the authority's certificate."""
    return tsp.TimeStampReq(
        {
            "version": "v1",
            "message_imprint": {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": imprint(head)},
            "nonce": secrets.randbits(63),
            "cert_req": True,
        }
    ).dump()


def stamped_at(head: Head, answer: bytes) -> datetime:
    """When the authority says that it saw this head. answer: its TimeStampResp in DER. BadToken where it was refused or
    is of something else. The authority's own signature is not checked: `openssl ts -verify` does that."""
    try:
        response = tsp.TimeStampResp.load(answer, strict=True)
        status = response["status"]["status"].native
        if status not in ("granted", "granted_with_mods"):
            raise BadToken(f"The authority did not stamp it: {status}.")
        info = response["time_stamp_token"]["content"]["encap_content_info"]["content"].parsed
        stamped, algorithm = info["message_imprint"]["hashed_message"].native, info["message_imprint"]["hash_algorithm"]
        at = info["gen_time"].native
    except BadToken:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise BadToken(f"This is no answer of a time-stamping authority: {error}") from None
    if algorithm["algorithm"].native != "sha256" or stamped != imprint(head):
        raise BadToken(f"The time-stamp is not of the head of entry {head.seq}.")
    return at
