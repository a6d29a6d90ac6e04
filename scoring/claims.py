"""Who embeds which clip: claims on the work, kept alive while it goes on, and its outcomes.

A claim is an Embedding row with neither vector nor error: a lease, which a worker that dies loses when it runs out.
The row's outcome is written once; whoever comes later finds it written.
"""

import logging
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
from django.db import Error, connection
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from arena.models import Clip, Status

from .models import Embedding, Reward

LEASE = timedelta(seconds=60)  # how long a killed worker's clips wait; a living one renews three times in it
HAS_OUTCOME = Q(vector__isnull=False) | ~Q(error="")
logger = logging.getLogger(__name__)


def lacking(blocks, model=None):
    """Ready clips for which one of the blocks (key, revision) has no outcome yet, claimed or not.

    With a `model`, those that it has not rewarded: a clip with a reward lacks none of the model's blocks, and asking
    for rewards first keeps this cheap, a tenth of a second for 100,000 clips, where there is nothing left to do.
    """
    return _without(HAS_OUTCOME, blocks, model)


def _without(settled, blocks, model):
    """Ready clips that have no embedding with `settled` by one of the blocks."""
    clips = Clip.objects.filter(status=Status.READY)
    if model:
        clips = clips.filter(~Exists(rewards_of(model, clip=OuterRef("pk"))))
    wanting = Q()
    for key, revision in blocks:
        wanting |= ~Exists(Embedding.objects.filter(settled, clip=OuterRef("pk"), encoder=key, revision=revision))
    return clips.filter(wanting) if blocks else clips.none()


def rewards_of(model, **which):
    return Reward.objects.filter(reward_model=model, protocol=Reward.PROMPT_TEXT, **which)


@dataclass(eq=False)
class Claim:
    """One clip and the blocks that this worker is to embed it by."""

    clip: Clip
    blocks: set = field(default_factory=set)  # of (key, revision)
    rows: list = field(default_factory=list)  # ids of the embeddings


def claim(blocks, *, limit, max_seconds, after=0, model=None):
    """Claims on up to `limit` clips with ids over `after`, of `max_seconds` of audio together (but at least one clip).

    Returns (claims, id of the last clip looked at); the id is None where nothing is free. There may be no claims and
    yet an id, where other workers were faster.
    """
    now = timezone.now()
    free = _without(HAS_OUTCOME | Q(claimed_until__gte=now), blocks, model).filter(pk__gt=after)
    clips, seconds = [], 0
    for clip in free.select_related("prompt").order_by("pk")[:limit]:
        seconds += clip.duration_ms / 1000
        if clips and seconds > max_seconds:
            break
        clips.append(clip)
    if not clips:
        return [], None
    claims = {clip.pk: Claim(clip) for clip in clips}
    for row, clip_id, key, revision in _take(clips, blocks, now):
        claims[clip_id].blocks.add((key, revision))
        claims[clip_id].rows.append(row)
    return [one for one in claims.values() if one.rows], clips[-1].pk


def _take(clips, blocks, now):
    """Rows (id, clip, encoder, revision) that are now ours. In one order for all workers, so that of two who want the
    same clip one gets all its blocks."""
    wanted = [(clip.pk, key, revision) for clip in clips for key, revision in sorted(blocks)]
    clip_ids, keys, revisions = zip(*wanted, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO scoring_embedding AS held (clip_id, encoder, revision, error, claimed_until, created_at)
            SELECT clip_id, encoder, revision, '', %(until)s, %(now)s
            FROM unnest(%(clips)s::bigint[], %(keys)s::text[], %(revisions)s::text[])
                AS wanted (clip_id, encoder, revision)
            ON CONFLICT (clip_id, encoder, revision) DO UPDATE SET claimed_until = EXCLUDED.claimed_until
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


def settle(key, revision, outcomes):
    """Write {clip id: vector, or the reason (a string) why there is none}. The first outcome of a claim stands."""
    if not outcomes:
        return
    columns = defaultdict(list)
    for clip_id, outcome in outcomes.items():
        failed = isinstance(outcome, str)
        columns["clips"].append(clip_id)
        columns["vectors"].append(None if failed else np.ascontiguousarray(outcome, dtype="<f4").tobytes())
        columns["errors"].append(outcome[:500] if failed else "")
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE scoring_embedding held SET vector = found.vector, error = found.error, claimed_until = NULL
            FROM unnest(%(clips)s::bigint[], %(vectors)s::bytea[], %(errors)s::text[]) AS found (clip_id, vector, error)
            WHERE held.clip_id = found.clip_id AND held.encoder = %(key)s AND held.revision = %(revision)s
                AND held.vector IS NULL AND held.error = ''
            """,
            {**columns, "key": key, "revision": revision},
        )


def _extend(rows, until):
    Embedding.objects.filter(~HAS_OUTCOME, pk__in=rows).update(claimed_until=until)


class Lease:
    """Keeps the claims given to it from running out, as long as this process lives and the block is not left."""

    def __init__(self):
        self._rows, self._lock, self._left = set(), threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._keep_renewing, name="lease", daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._left.set()
        self._thread.join()

    def hold(self, claims):
        with self._lock:
            self._rows.update(row for one in claims for row in one.rows)

    def drop(self, claims):
        """Renew these no longer: they have their outcomes, or are left to run out and be tried again."""
        with self._lock:
            self._rows.difference_update(row for one in claims for row in one.rows)

    def give_back(self, claims):
        """Others may have them at once."""
        self.drop(claims)
        _extend([row for one in claims for row in one.rows], timezone.now() - timedelta(seconds=1))

    def _keep_renewing(self):
        while not self._left.wait(LEASE.total_seconds() / 3):
            with self._lock:
                rows = list(self._rows)
            try:
                _extend(rows, timezone.now() + LEASE)
            except Error as error:  # at worst a claim runs out, and a clip is embedded twice and stored once
                logger.warning("claims could not be renewed: %s", error)
            finally:
                connection.close()  # this thread's own
