"""What an attacker makes of all that was received before each vote: does it tell the system, or the checks?"""

import hashlib
import itertools
import json
import re
from functools import cache

import numpy as np

from tests.casts.leak_classifier import tell

N_SHUFFLES = 1000
KINDS = ["ranked", "gold", "trap", "repeat"]


def observed_of_battle(record):
    """{name: text or number}: the page and the API's answer."""
    battle = json.loads(record.api.body)
    seen = observed_of_answer("page", record.page) | observed_of_answer("api", record.api)
    seen["page text"] = hashlib.sha256(record.page.body).hexdigest()
    seen["order of the JSON"] = ",".join(flat(battle))
    return seen | {f"json {path}": value for path, value in flat(battle).items()}


def observed_of_slot(record, slot, called):
    """{name: text or number}: the two answers that brought the excerpt of a slot, but not its music."""
    seen = observed_of_answer(f"{called} whole", record.whole[slot])
    seen |= observed_of_answer(f"{called} part", record.part[slot])
    return seen | {f"{called} mp3 {name}": value for name, value in outside_the_music(record.whole[slot].body).items()}


def observed_of_answer(called, answer):
    seen = {
        f"{called} status": str(answer.status),
        f"{called} order of headers": ",".join(name for name, _ in answer.headers),
        f"{called} size": len(answer.body),
        f"{called} first byte": answer.first_byte_s,
        f"{called} whole": answer.whole_s,
    }
    return seen | {f"{called} {name}": value for name, value in answer.headers}


def flat(value, path=""):
    """{path: text or number} of JSON."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, inside in items for k, v in flat(inside, f"{path}/{key}").items()}
    return {path: float(value) if isinstance(value, int | float) else str(value)}


@cache
def outside_the_music(mp3):
    """What an MP3 file says beside its main data: frame headers, how many, and what is written after the data."""
    whole = len(mp3) // 960 * 960
    frames = [mp3[start : start + 960] for start in range(0, whole, 960)]
    after = b"".join(ancillary(frame) for frame in frames)
    return {
        "headers": ",".join(sorted({frame[:4].hex() for frame in frames})),
        "private bits": ",".join(sorted({str(frame[5] >> 4 & 7) for frame in frames})),
        "frames": len(frames),
        "after the frames": mp3[whole:].hex(),
        "written after the data": sum(byte != 0 for byte in after),
        "words after the data": len(re.findall(rb"[ -~]{4}", after)),
    }


def ancillary(frame):
    """The whole bytes after a frame's main data (ISO 11172-3, 2.4.1.7: side information of 32 bytes for two channels,
    each granule's part2_3_length being 12 bits, 59 bits apart)."""
    return frame[36 + -(-sum(side_information(frame)) // 8) :]


def side_information(frame):
    """Bits of the main data of a frame's four granules of a channel."""
    side = int.from_bytes(frame[4:36], "big")
    return [side >> (256 - 20 - 59 * n - 12) & 0xFFF for n in range(4)]


# ---- the two questions ----------------------------------------------------------------------------------


def tell_system(records, rng):
    """Which system is in a slot: every slot of every ordinary battle.

    If nothing tells, each listener's battles could as well have had any other system pair for each pair (pairs are
    drawn uniformly, so their names are exchangeable), and each battle's slots could have been swapped.
    """
    records = [record for record in records if record.kind == "ranked"]
    names = sorted({name for record in records for name in record.systems.values()})
    pairs = list(itertools.combinations(range(len(names)), 2))
    in_slots = np.array([[names.index(record.systems[slot]) for slot in "AB"] for record in records])
    pair = np.array([pairs.index(tuple(sorted(both))) for both in in_slots])
    listener = np.array([record.listener for record in records])
    shuffles = []
    for _ in range(N_SHUFFLES):
        renamed = np.array([rng.permutation(len(pairs)) for _ in range(listener.max() + 1)])[listener, pair]
        shuffles.append(rng.permuted(np.array(pairs)[renamed], axis=1).ravel())
    observations = []
    for record in records:
        of_battle = observed_of_battle(record)
        for slot, other in ("AB", "BA"):
            of_slots = observed_of_slot(record, slot, "this") | observed_of_slot(record, other, "other")
            observations.append(of_battle | of_slots | {"this slot": slot})
    return tell(observations, in_slots.ravel(), np.repeat(listener, 2), shuffles)


def tell_checks(records, rng):
    """Whether a battle is ordinary, a gold, a trap or a repeat.

    If nothing tells, one listener could as well have had another's schedule: each is drawn by the same rule. What
    the position itself tells (no repeat among the first five) it tells everybody.
    """
    kind = np.array([KINDS.index(record.kind) for record in records])
    listener = np.array([record.listener for record in records])
    of_listener = np.array(
        [kind[listener == number] for number in range(listener.max() + 1)]
    )  # in the order of serving
    assert (np.diff(listener) >= 0).all()
    shuffles = [rng.permutation(of_listener).ravel() for _ in range(N_SHUFFLES)]
    observations = [
        observed_of_battle(record) | observed_of_slot(record, "A", "A") | observed_of_slot(record, "B", "B")
        for record in records
    ]
    return tell(observations, kind, listener, shuffles)
