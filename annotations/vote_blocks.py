"""A study's votes in ledger order as NumPy records, fast for any number of votes.

Reading a million votes by a join of the ledger, the votes and the battles takes seconds. What is read never changes, so
full blocks are stored as they were read. Only the rest, less than a block, is joined.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from django.db import connection

from arena.models import ANSWERS, Battle, Study

from .models import Ledger, VoteBlock

SIZE = 4096  # votes in a block
AT_ONCE = 50  # blocks per call; more than fill up between two sweeps, few enough not to delay the ledger
KINDS = ("ranked", "imported", "gold", "trap", "repeat", "practice")  # records store indices into it: only ever append
ANYBODY = bytes(16)  # the rater of a vote without one

# (field, its type in network order, the SQL that gives these bytes). 0 stands for no clip, no prompt and an unknown
# number of eligible pairs, NaN for an unknown probability.
FIELDS = (
    ("seq", ">i8", "int8send(ledger.seq)"),
    ("vote", ">i8", "int8send(vote.id)"),
    ("rater", "V16", "uuid_send(coalesce(vote.rater_id, '00000000-0000-0000-0000-000000000000'))"),
    ("answer", ">i2", "int2send((array_position(%(answers)s::text[], vote.preference::text) - 1)::int2)"),
    ("kind", ">i2", "int2send((array_position(%(kinds)s::text[], battle.kind::text) - 1)::int2)"),
    ("again", ">i2", "int2send((battle.policy = %(again)s)::int::int2)"),
    ("system_a", ">i4", "int4send(battle.system_a_id::int4)"),
    ("system_b", ">i4", "int4send(battle.system_b_id::int4)"),
    ("clip_a", ">i8", "int8send(coalesce(battle.clip_a_id, 0))"),
    ("clip_b", ">i8", "int8send(coalesce(battle.clip_b_id, 0))"),
    ("prompt", ">i8", "int8send(coalesce(battle.prompt_id, 0))"),
    ("pair_probability", ">f8", "float8send(coalesce(battle.pair_probability, 'NaN'))"),
    ("eligible_pairs", ">i4", "int4send(coalesce(battle.eligible_pairs, 0))"),
)
RECORD = np.dtype([(name, kind) for name, kind, _ in FIELDS])
_READ = f"""
    SELECT ledger.seq, {" || ".join(sql for *_, sql in FIELDS)} AS record
    FROM annotations_ledger AS ledger
        JOIN annotations_vote AS vote ON vote.id = ledger.vote_id
        JOIN arena_battle AS battle ON battle.id = vote.battle_id
    WHERE ledger.study_id = %(study)s"""
_NAMES: dict[str, Any] = {"answers": list(ANSWERS), "kinds": list(KINDS), "again": Battle.AGAIN}


def read(study: Study, up_to: int, after: int = 0) -> np.ndarray:
    """The study's votes with `after < seq <= up_to`, ascending: RECORD [V]."""
    blocks = VoteBlock.objects.filter(study=study, first_seq__lte=up_to, last_seq__gt=after).order_by("first_seq")
    stored = list(blocks.values_list("last_seq", "records"))
    stored_to = stored[-1][0] if stored else after  # of the blocks just read: another may have been added since
    rest = _joined("ledger.seq > %(stored_to)s AND ledger.seq <= %(up_to)s", study, stored_to=stored_to, up_to=up_to)
    parts = [*(block for _, block in stored), rest]
    records = np.frombuffer(b"".join(parts), RECORD)
    first, last = np.searchsorted(records["seq"], (after, up_to), side="right")
    return records[first:last]


def read_votes(study: Study, vote_ids: Iterable[int]) -> np.ndarray:
    """The study's votes with these ids that have a `seq` in the ledger, ascending by it: RECORD [V]."""
    records = _joined("ledger.seq IS NOT NULL AND vote.id = ANY(%(votes)s)", study, votes=[int(pk) for pk in vote_ids])
    return np.frombuffer(records, RECORD)


def _joined(which, study, **parameters):
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT string_agg(record, ''::bytea ORDER BY seq) FROM ({_READ} AND {which}) AS found",
            {**_NAMES, "study": study.pk, **parameters},
        )
        return bytes(cursor.fetchone()[0] or b"")


def keep(study: Study) -> None:
    """Store the study's next numbered votes that fill whole blocks, at most AT_ONCE blocks. The caller holds the
    ledger's lock."""
    last = study.vote_blocks.order_by("-first_seq").values_list("last_seq", flat=True).first() or 0
    if Ledger.objects.filter(study=study, seq__gt=last, vote__isnull=False)[:SIZE].count() < SIZE:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO annotations_voteblock (study_id, first_seq, last_seq, records)
                SELECT %(study)s, min(seq), max(seq), string_agg(record, ''::bytea ORDER BY seq)
                FROM (SELECT *, (row_number() OVER (ORDER BY seq) - 1) / %(size)s AS block
                      FROM ({_READ} AND ledger.seq > %(last)s ORDER BY ledger.seq LIMIT %(most)s) AS read) AS numbered
                GROUP BY block HAVING count(*) = %(size)s""",
            {**_NAMES, "study": study.pk, "last": last, "size": SIZE, "most": AT_ONCE * SIZE},
        )


def damaged(study: Study) -> int | None:
    """The first `seq` of the first block that differs from a join of the ledger, the votes and the battles, from the
    end of the block before it to its own end; None where all blocks match."""
    end = 0
    for block in study.vote_blocks.order_by("first_seq").iterator(chunk_size=50):
        now = _joined("ledger.seq > %(end)s AND ledger.seq <= %(last)s", study, end=end, last=block.last_seq)
        if now != bytes(block.records):
            return block.first_seq
        end = block.last_seq
    return None
