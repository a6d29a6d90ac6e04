"""Which worker embeds which clip: claims on clips, renewed during the work, and the outcomes.

A claim is an Embedding row with neither vector nor error: a lease, which expires when its worker dies. The outcome of a
row is written once; a later one is ignored.

Each claim counts as an attempt, unless its worker survives and releases it. A clip with attempts but no outcome was
claimed by a worker that ended: it was killed, or its device failed. Such a clip is a suspect. It is embedded alone, so
that it affects no other clip and no other is blamed for it, and it is given up after MAX_ATTEMPTS.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Self

import numpy as np
from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from arena.models import Clip, Status
from scoring.models import Embedding, Reward, RewardModel
from scoring.workers.leases import renewed

Block = tuple[str, str]  # (key, revision) of an encoder

LEASE = timedelta(seconds=60)  # so long the clips of a killed worker wait; a running one renews it in time
MAX_ATTEMPTS = 3
GAVE_UP = (
    "Three workers in a row ended while embedding it: they were killed, or their device failed. It is not tried again "
    "unless an admin says so."
)
PAGE = 2000  # clips per query
HAS_OUTCOME = Q(vector__isnull=False) | ~Q(error="")
logger = logging.getLogger(__name__)


def lacking(
    blocks: Iterable[Block], *, after: int = 0, model: RewardModel | None = None, free_at: datetime | None = None
) -> Iterator[tuple[int, set[Block]]]:
    """(clip id, the set of its blocks (key, revision) without an outcome) of ready clips with ids above `after`, in
    order of their ids; with `free_at`, only blocks that nobody has claimed at that time.

    With a `model`, only clips without a reward under it: a clip with a reward lacks none of the model's blocks, and
    where there is nothing left to do one query for rewards is cheaper than one for each block.
    """
    if not blocks:
        return
    clips = Clip.objects.filter(status=Status.READY).order_by("pk")
    if model:
        clips = clips.filter(~Exists(rewards_of(model, clip=OuterRef("pk"))))
    while page := list(clips.filter(pk__gt=after).values_list("pk", flat=True)[:PAGE]):
        for clip, rows in groupby(_missing(page, blocks, free_at), key=itemgetter(0)):
            yield clip, {(key, revision) for _, key, revision in rows}
        after = page[-1]


def _missing(clips, blocks, free_at):
    keys, revisions = zip(*blocks, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT clip.id, block.encoder, block.revision
            FROM unnest(%(clips)s::bigint[]) AS clip (id)
            CROSS JOIN unnest(%(keys)s::text[], %(revisions)s::text[]) AS block (encoder, revision)
            WHERE NOT EXISTS (
                SELECT FROM scoring_embedding there
                WHERE there.clip_id = clip.id AND there.encoder = block.encoder AND there.revision = block.revision
                    AND there.clip_id BETWEEN %(first)s AND %(last)s  -- or the plan may read the table for each page
                    AND (vector IS NOT NULL OR error <> '' OR claimed_until >= %(free_at)s::timestamptz)
            )
            ORDER BY clip.id
            """,
            {
                "clips": clips,
                "first": clips[0],
                "last": clips[-1],
                "keys": list(keys),
                "revisions": list(revisions),
                "free_at": free_at,
            },
        )
        return cursor.fetchall()


def rewards_of(model: RewardModel, **which: Any) -> QuerySet[Reward]:
    return Reward.objects.filter(reward_model=model, protocol=Reward.PROMPT_TEXT, **which)


@dataclass(eq=False)
class Claim:
    """One clip and the encoder blocks by which this worker is to embed it."""

    clip: Clip
    blocks: set = field(default_factory=set)  # of (key, revision)
    rows: list = field(default_factory=list)  # ids of the embeddings
    is_suspect: bool = False  # a worker ended while it had claimed the clip


def claim(
    blocks: Collection[Block],
    *,
    limit: int,
    max_seconds: float,
    after: int = 0,
    model: RewardModel | None = None,
    is_idle: bool = True,
) -> tuple[list[Claim], int | None]:
    """Claim up to `limit` clips with ids above `after`, with at most `max_seconds` of audio in total (but at least one
    clip). A suspect is claimed alone, and only by an idle worker: one that has no other clips meanwhile.

    Returns (claims, id of the last clip looked at); the id is None where no clip is free for this worker. There can be
    an id without claims, where other workers were faster, or clips were given up.
    """
    now = timezone.now()
    free = lacking(blocks, after=after, model=model, free_at=now)
    missing = dict(islice(free, limit))
    suspects = _suspects(missing, now)
    claims: dict[int, Claim] = {}
    seconds = 0.0
    for clip in Clip.objects.filter(pk__in=missing).select_related("prompt").order_by("pk"):
        seconds += (clip.duration_ms or 0) / 1000
        is_suspect = clip.pk in suspects
        if (claims and seconds > max_seconds) or (is_suspect and (claims or not is_idle)):
            break
        claims[clip.pk] = Claim(clip, is_suspect=is_suspect)
        if is_suspect:
            break
    if not claims:
        return [], None
    for row, clip, key, revision in _take([(pk, *block) for pk in claims for block in sorted(missing[pk])], now):
        claims[clip].blocks.add((key, revision))
        claims[clip].rows.append(row)
    return [claim for claim in claims.values() if claim.rows], max(claims)


def _suspects(clip_ids, now):
    """Ids of the clips with an expired claim, left by a worker that ended. Gives up those without further attempts."""
    left_behind = Embedding.objects.filter(~HAS_OUTCOME, clip_id__in=clip_ids, claimed_until__lt=now, attempts__gt=0)
    rows = list(left_behind)
    if exhausted := [row for row in rows if row.attempts >= MAX_ATTEMPTS]:
        left_behind.filter(pk__in=[row.pk for row in exhausted]).update(error=GAVE_UP, claimed_until=None)
        logger.error("given up: %s. %s", ", ".join(map(str, exhausted)), GAVE_UP)
    return {row.clip_id for row in rows if row.attempts < MAX_ATTEMPTS}


def _take(free, now):
    """Claim blocks (clip id, encoder, revision). Returns (row id, clip id, encoder, revision) of those that could be
    claimed. All workers claim in the same order, so that of two that compete for a clip one gets all its blocks."""
    clip_ids, keys, revisions = zip(*free, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO scoring_embedding AS held
                (clip_id, encoder, revision, error, claimed_until, attempts, created_at)
            SELECT clip_id, encoder, revision, '', %(until)s, 1, %(now)s
            FROM unnest(%(clips)s::bigint[], %(keys)s::text[], %(revisions)s::text[])
                AS free (clip_id, encoder, revision)
            ON CONFLICT (clip_id, encoder, revision)
                DO UPDATE SET claimed_until = EXCLUDED.claimed_until, attempts = held.attempts + 1
                WHERE held.vector IS NULL AND held.error = '' AND held.claimed_until < %(now)s
            RETURNING id, clip_id, encoder, revision
            """,
            {
                "until": now + LEASE,
                "now": now,
                "clips": list(clip_ids),
                "keys": list(keys),
                "revisions": list(revisions),
            },
        )
        return cursor.fetchall()


def settle(key: str, revision: str, outcomes: Mapping[int, np.ndarray | str]) -> None:
    """Store {clip id: vector, or the reason (a string) why there is none}. The first outcome of a claim is kept."""
    if not outcomes:
        return
    columns: dict[str, list[Any]] = defaultdict(list)
    for clip_id, outcome in outcomes.items():
        failed = isinstance(outcome, str)
        columns["clips"].append(clip_id)
        columns["vectors"].append(None if failed else np.ascontiguousarray(outcome, dtype="<f4").tobytes())
        columns["errors"].append(outcome[:500] if failed else "")
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE scoring_embedding held SET vector = outcome.vector, error = outcome.error, claimed_until = NULL
            FROM unnest(%(clips)s::bigint[], %(vectors)s::bytea[], %(errors)s::text[])
                AS outcome (clip_id, vector, error)
            WHERE held.clip_id = outcome.clip_id AND held.encoder = %(key)s AND held.revision = %(revision)s
                AND held.vector IS NULL AND held.error = ''
            """,
            {**columns, "key": key, "revision": revision},
        )


def condemn(key: str, revision: str, clips: Mapping[int, bytes], reason: str) -> None:
    """Replace stored vectors {clip id: bytes} that no model can use by the reason why. A vector that has changed
    meanwhile is kept. An admin can have the clips tried again.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE scoring_embedding held SET vector = NULL, error = %(reason)s
            FROM unnest(%(clips)s::bigint[], %(vectors)s::bytea[]) AS damaged (clip_id, vector)
            WHERE held.clip_id = damaged.clip_id AND held.encoder = %(key)s AND held.revision = %(revision)s
                AND held.vector = damaged.vector
            """,
            {
                "key": key,
                "revision": revision,
                "clips": list(clips),
                "vectors": list(clips.values()),
                "reason": reason,
            },
        )


def _extend(rows, until):
    Embedding.objects.filter(~HAS_OUTCOME, pk__in=rows).update(claimed_until=until)


class Lease:
    """Renews claims until the block is left; they expire when this process dies."""

    def __init__(self) -> None:
        self._rows: set[int] = set()
        self._lock = threading.Lock()
        self._renewed = renewed(self._renew, LEASE)

    def __enter__(self) -> Self:
        self._renewed.__enter__()
        return self

    def __exit__(self, *exc: Any) -> bool | None:
        return self._renewed.__exit__(*exc)

    def hold(self, claims: Iterable[Claim]) -> None:
        with self._lock:
            self._rows.update(row for claim in claims for row in claim.rows)

    def drop(self, claims: Iterable[Claim]) -> None:
        """Stop renewing these: they have their outcomes, or are to expire and be tried again. The attempt does not
        count: this worker survived it."""
        dropped = self.leave_behind(claims)
        Embedding.objects.filter(~HAS_OUTCOME, pk__in=dropped, attempts__gt=0).update(attempts=F("attempts") - 1)

    def leave_behind(self, claims: Iterable[Claim]) -> set[int]:
        """Stop renewing these, and let the attempt count: one of them may be why this worker ends. Returns the ids of
        the rows that were renewed until now."""
        with self._lock:
            dropped = self._rows.intersection(row for claim in claims for row in claim.rows)
            self._rows -= dropped
        return dropped

    def give_back(self, claims: Iterable[Claim]) -> None:
        """Release these: other workers can claim them at once."""
        self.drop(claims)
        _extend([row for claim in claims for row in claim.rows], timezone.now() - timedelta(seconds=1))

    def _renew(self):
        with self._lock:
            rows = list(self._rows)
        _extend(rows, timezone.now() + LEASE)
