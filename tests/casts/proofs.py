"""The sum of a proof of work, done in Python."""

import struct
from hashlib import sha256
from itertools import count


def solved(refusal):
    """The proof for a refusal with `proof_needed`: {challenge, numbers}."""
    seed = bytes.fromhex(refusal["challenge"].rpartition(".")[2])
    limit = 1 << (256 - refusal["bits"])
    numbers = [
        next(n for n in count() if int.from_bytes(sha256(seed + struct.pack(">II", part, n)).digest(), "big") < limit)
        for part in range(refusal["parts"])
    ]
    return {"challenge": refusal["challenge"], "numbers": numbers}
