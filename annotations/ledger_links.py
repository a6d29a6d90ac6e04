"""What the hash of a ledger entry covers, and how it is computed.

Version 1 covered the answer and its time, or the flag's rule. Version 2 covers everything about an entry that never
changes: the vote with what was heard and when, its battle, and the names of what was compared. Entries linked by
version 1 keep their hashes; a seal (`LedgerSeal`) holds hashes over all that version 2 would have covered of them.

The content is JSON that PostgreSQL writes, in one query for many entries. It does not depend on the settings of the
connection: times are microseconds since 1970, probabilities are the hexadecimal digits of their IEEE 754 doubles.
Whatever the owner of the tables may have written there, reading it raises nothing.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

GENESIS = "0" * 64
VERSION = 2
AT_ONCE = 20_000  # entries a query when all are read
LEAST = -(2**63)  # of a bigint
SEAL_BLOCK = 1000  # entries for each hash of a seal


def _micros(column):
    return f"trunc(extract(epoch FROM {column}) * 1000000)"  # no bigint, which a tampered time could overflow


def _double(column):
    return f"encode(float8send({column}), 'hex')"


_VOTE = f"""
    json_build_array(
        'vote', vote.id, vote.battle_id, vote.preference, vote.degree, vote.axes, vote.tags,
        {_micros("vote.received_at")}, vote.rater_id, vote.heard, vote.heard_a_ms, vote.heard_b_ms, vote.first_played,
        vote.switches, vote.first_play_ms, vote.opened_ms, vote.decided_ms, vote.pauses, vote.hidden,
        {_double("vote.volume")}, vote.idempotency_key,
        ledger.study_id, battle.study_id, study.slug, study.is_simulated, battle.rater_id, battle.kind,
        battle.prompt_id, prompt.text, prompt.lyrics, battle.system_a_id, system_a.name, battle.system_b_id,
        system_b.name, battle.clip_a_id, clip_a.sha256, clip_a.system_id, clip_a.prompt_id, battle.clip_b_id,
        clip_b.sha256, clip_b.system_id, clip_b.prompt_id, battle.length_ms,
        battle.policy, {_double("battle.pair_probability")}, {_double("battle.clip_probability")},
        battle.eligible_pairs, {_micros("battle.served_at")}, battle.expected, battle.repeats_id
    )"""
_FLAG = f"""
    json_build_array('flag', flag.id, flag.vote_id, flag.rule, flag.rule_version, {_micros("flag.created_at")},
                     flag.detail, ledger.study_id, battle.study_id)"""
_SEAL = "json_build_array('seal', seal.id, seal.through_seq, seal.hashes)"
_READ = f"""
    SELECT ledger.id, ledger.seq, ledger.digest, ledger.link_version, ledger.study_id,
        ledger.study_id IS DISTINCT FROM battle.study_id,
        CASE WHEN ledger.vote_id IS NOT NULL THEN 'vote ' || ledger.vote_id
             WHEN ledger.flag_id IS NOT NULL THEN 'flag ' || ledger.flag_id ELSE 'seal ' || ledger.seal_id END,
        (CASE WHEN ledger.vote_id IS NOT NULL THEN {_VOTE}
              WHEN ledger.flag_id IS NOT NULL THEN {_FLAG} ELSE {_SEAL} END)::text
    FROM annotations_ledger AS ledger
        LEFT JOIN annotations_ledgerseal AS seal ON seal.id = ledger.seal_id
        LEFT JOIN annotations_flag AS flag ON flag.id = ledger.flag_id
        LEFT JOIN annotations_vote AS vote ON vote.id = coalesce(ledger.vote_id, flag.vote_id)
        LEFT JOIN arena_battle AS battle ON battle.id = vote.battle_id
        LEFT JOIN arena_study AS study ON study.id = battle.study_id
        LEFT JOIN arena_prompt AS prompt ON prompt.id = battle.prompt_id
        LEFT JOIN arena_system AS system_a ON system_a.id = battle.system_a_id
        LEFT JOIN arena_system AS system_b ON system_b.id = battle.system_b_id
        LEFT JOIN arena_clip AS clip_a ON clip_a.id = battle.clip_a_id
        LEFT JOIN arena_clip AS clip_b ON clip_b.id = battle.clip_b_id"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the ledger and the content that its hash covers."""

    pk: int
    seq: int | None
    digest: str
    link_version: int
    study_id: int | None
    in_other_study: bool  # than its battle; true of a seal, which has none
    of: str  # which vote, flag or seal
    content: str

    def __str__(self):
        return f"entry {self.seq} ({self.of})"


def waiting(limit: int) -> list[Entry]:
    """The first `limit` entries that have no seq yet."""
    return _read("WHERE ledger.seq IS NULL ORDER BY ledger.id LIMIT %s", [limit])


def one(pk: int) -> Entry:
    """The entry of this id."""
    return _read("WHERE ledger.id = %s", [pk])[0]


def numbered(up_to: int) -> Iterator[Entry]:
    """All entries with a seq of at most `up_to`, ascending; also those whose seq is below 1, or there twice."""
    which = "WHERE (ledger.seq, ledger.id) > (%s, %s) AND ledger.seq <= %s ORDER BY ledger.seq, ledger.id LIMIT %s"
    after = LEAST, LEAST
    while entries := _read(which, [*after, up_to, AT_ONCE]):
        yield from entries
        last = entries[-1]
        assert last.seq is not None, "it is numbered"
        after = last.seq, last.pk


def _read(which, parameters):
    with connection.cursor() as cursor:
        cursor.execute(f"{_READ} {which}", parameters)
        return [Entry(*row) for row in cursor.fetchall()]


def link(previous: str, seq: int, content: str, version: int = VERSION) -> str:
    """SHA-256, in hex, over the digest before it and the content of this entry. ValueError for an unknown version, and
    for content that no entry of that version has."""
    if version == 1:
        covered = json.dumps([seq, *_content_1(content)], separators=(",", ":"), sort_keys=True)
    elif version == VERSION:
        covered = f"[{version},{seq},{content}]"
    else:
        raise ValueError(f"There is no link version {version}.")
    return hashlib.sha256(f"{previous}{covered}".encode()).hexdigest()


def _content_1(content):
    try:
        kind, *rest = json.loads(content)
        if kind == "vote":
            pk, battle, preference, degree, axes, tags, at = rest[:7]
            return ["vote", pk, battle, [preference, degree, axes, sorted(tags or [])], _iso(at)]
        return [kind, *rest[:4], _iso(rest[4])]
    except (TypeError, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(f"No entry of version 1 has such content: {error}") from None


def _iso(micros):
    return None if micros is None else (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)).isoformat()


class SealHashes:
    """SHA-256 over the contents of every SEAL_BLOCK entries, in their order; the last block may be shorter."""

    def __init__(self):
        self._blocks, self._entries = [], 0

    def add(self, entry: Entry) -> None:
        if self._entries % SEAL_BLOCK == 0:
            self._blocks.append(hashlib.sha256())
        self._blocks[-1].update(f"[{entry.seq},{entry.content}]\n".encode())
        self._entries += 1

    def hashes(self) -> list[str]:
        return [block.hexdigest() for block in self._blocks]
