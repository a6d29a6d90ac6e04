"""The excerpts of a clip in a study: a few that are ready before they are needed, and which of them a battle gets.

A pool is of one study, clip, length and variant. What was served is replaced by a fresh cut, so that two battles hardly
ever play the same bytes; where workers lag behind, the least used is served again rather than nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Q, Sum

from arena import audio
from arena.locks import Lock, hold
from arena.models import Clip, Excerpt, Status, Study

from .candidates import SPREAD_MS, needed_checks, needed_excerpts

# How many unused excerpts a pool holds. A gold has three kinds of degraded copies, so one of each.
FRESH = {Excerpt.Variant.PLAIN: 3, Excerpt.Variant.TONES: 3}
FRESH_OF_DEGRADED = 1
MOST_REFUSED = 3  # places of a clip that cannot be levelled before no other is tried

Key = tuple[int, int, str]  # clip, length in ms, variant

rng = SystemRandom()  # nobody may know where the next excerpt begins


@dataclass(frozen=True)
class Piece:
    """An excerpt as a battle serves it."""

    pk: int
    start_ms: int


# ---- serving ------------------------------------------------------------------------------------------

# For each slot an excerpt of the clip's pool: unused before used, one that this rater has not been served before one
# that they have, and the least used first. What another rater is just being served is passed over, not waited for.
CHOOSE = """
    SELECT wanted.slot, piece.id, piece.start_ms
    FROM unnest(%(clips)s::bigint[], %(variants)s::text[]) WITH ORDINALITY AS wanted (clip_id, variant, slot)
        CROSS JOIN LATERAL (
            SELECT id, start_ms FROM arena_excerpt AS excerpt
            WHERE study_id {is_study} AND clip_id = wanted.clip_id AND length_ms = %(length)s AND codec = %(codec)s
                AND variant = wanted.variant AND status = 'ready'
            ORDER BY CASE WHEN n_served = 0 THEN false ELSE EXISTS (
                    SELECT FROM arena_battle AS battle
                    WHERE rater_id = %(rater)s AND study_id = %(study)s
                        AND (excerpt_a_id = excerpt.id OR excerpt_b_id = excerpt.id)) END,
                n_served, random()
            LIMIT 1 {lock}
        ) AS piece"""
TAKE = """
    WITH chosen AS ({choose})
    UPDATE arena_excerpt AS excerpt SET n_served = n_served + 1 FROM chosen WHERE excerpt.id = chosen.id
    RETURNING chosen.slot, excerpt.id, excerpt.start_ms"""


def take(
    study_id: int, rater_id: int, pieces: Sequence[tuple[int, str]], length_ms: int, codec: str, is_own: bool
) -> list[Piece] | None:
    """An excerpt for each (clip, variant), counted as served; None where a pool is empty. is_own: see Candidate."""
    values: dict[str, Any] = {
        "study": study_id, "rater": rater_id, "length": length_ms, "codec": codec,
        "clips": [clip for clip, _ in pieces], "variants": [variant for _, variant in pieces],
    }  # fmt: skip
    is_study = "= %(study)s" if is_own else "IS NULL"
    found: dict[int, Piece] = {}
    with connection.cursor() as cursor:
        choose = CHOOSE.format(is_study=is_study, lock="FOR NO KEY UPDATE SKIP LOCKED")
        cursor.execute(TAKE.format(choose=choose), values)
        found = {slot: Piece(pk, start) for slot, pk, start in cursor.fetchall()}
        if len(found) < len(pieces):  # all of a pool are being served at this moment: one more battle plays one of them
            cursor.execute(CHOOSE.format(is_study=is_study, lock=""), values)
            found = {slot: Piece(pk, start) for slot, pk, start in cursor.fetchall()} | found
    return [found[slot] for slot in range(1, len(pieces) + 1)] if len(found) == len(pieces) else None


# ---- filling ------------------------------------------------------------------------------------------


@dataclass
class Pool:
    """How many excerpts there are: unused (pending or ready), with a file or pending, rejected."""

    fresh: int = 0
    live: int = 0
    refused: int = 0

    @property
    def is_refused(self) -> bool:
        return self.refused >= MOST_REFUSED or (self.refused > 0 and not self.live)


@transaction.atomic
def request_excerpts(study: Study) -> tuple[int, bool]:
    """Create, as pending rows, the excerpts that the study's pools lack. Returns how many, and whether more were needed
    than the study has room for: a pool that has nothing is always given one."""
    hold(Lock.EXCERPTS, study)
    served = _served(study)  # before the pools are counted: what is served meanwhile is seen next time
    pools = _pools(study)
    refused = {key for key, pool in pools.items() if pool.is_refused}
    needed = {(clip, length, "") for clip, length in needed_excerpts(study)}
    needed = (needed | needed_checks(study, refused)) - refused
    lacking = sorted(
        (pools[key].live + n, key)
        for key in needed
        for n in range(FRESH.get(Excerpt.Variant(key[2]), FRESH_OF_DEGRADED) - pools[key].fresh)
    )
    room = _room(study)
    wanted, left_out = [], set()
    for n_before, key in lacking:
        room -= key[1] * audio.BYTES_PER_MS[study.codec]
        if room < 0 and n_before:
            left_out.add(key)
        else:
            wanted.append((n_before, key))
    Excerpt.objects.bulk_create(_rows(study, wanted))
    replaced = [pk for pk, key in served if key not in left_out]
    Excerpt.objects.filter(pk__in=replaced + _not_needed(study, needed)).update(is_replaced=True)
    return len(wanted), bool(left_out)


def _pools(study) -> dict[Key, Pool]:
    live = Q(status__in=[Status.PENDING, Status.READY])
    counts = (
        Excerpt.objects.filter(study=study, codec=study.codec)
        .exclude(status=Excerpt.SPENT)
        .exclude(is_replaced=True, n_served=0)  # it will be deleted: no pair needed it
        .order_by()
        .values_list("clip_id", "length_ms", "variant")
        .annotate(
            fresh=Count("pk", filter=live & Q(n_served=0)),
            live=Count("pk", filter=live),
            refused=Count("pk", filter=~live),
        )
    )
    return defaultdict(Pool, {(clip, length, variant): Pool(*n) for clip, length, variant, *n in counts})


def _room(study) -> int:
    """Bytes that the study's excerpts may still take. Excerpts are of constant bit rate, so their length says it."""
    rows = Excerpt.objects.filter(study=study, status__in=[Status.PENDING, Status.READY])
    taken = rows.order_by().values_list("codec").annotate(Sum("length_ms"))
    return study.excerpts_mb * 1_000_000 - sum(audio.BYTES_PER_MS[codec] * ms for codec, ms in taken)


def _rows(study, wanted) -> list[Any]:
    durations = dict(Clip.objects.filter(pk__in={key[0] for _, key in wanted}).values_list("pk", "duration_ms"))
    return [
        Excerpt(
            study=study, clip_id=clip, length_ms=length, codec=study.codec, variant=variant, n_before=n_before,
            start_ms=0 if study.full_length else rng.randint(0, min(SPREAD_MS, durations[clip] - length)),
        )
        for n_before, (clip, length, variant) in wanted
    ]  # fmt: skip


def _served(study) -> list[tuple[int, Key]]:
    rows = Excerpt.objects.filter(study=study, status=Status.READY, is_replaced=False, n_served__gt=0)
    keys = rows.values_list("pk", "clip_id", "length_ms", "variant")
    return [(pk, (clip, length, variant)) for pk, clip, length, variant in keys]


def _not_needed(study, needed) -> list[int]:
    """Unused excerpts that no pair needs any more, once all that is needed is there: until then they may be served."""
    rows = Excerpt.objects.filter(study=study, is_replaced=False, n_served=0)
    if rows.filter(codec=study.codec, status=Status.PENDING, n_before=0).exists():
        return []
    ready = rows.filter(status=Status.READY).values_list("pk", "codec", "clip_id", "length_ms", "variant")
    return [pk for pk, codec, *key in ready if codec != study.codec or tuple(key) not in needed]
