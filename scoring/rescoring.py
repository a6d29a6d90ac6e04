"""Rewards from embeddings that are there: all that a new head needs of the clips, without audio or networks."""

import numpy as np
import psycopg
from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from arena.models import Clip, Status

from . import services
from .claims import rewards_of
from .models import RewardModel

CHUNK = 4096  # clips; their features are 32 MB at 2,048 dimensions


def reward_embedded(model, scorer, complain, only=None):
    """Reward the ready clips that the model's encoders have embedded and it has not rewarded: all, or `only` those of
    these ids. Returns how many.

    Stops between chunks when the model is no longer the live one. `complain` is told of clips that have embeddings but
    can have no reward.
    """
    clips = Clip.objects.filter(~Exists(rewards_of(model, clip=OuterRef("pk"))), status=Status.READY)
    if only is not None:
        clips = clips.filter(pk__in=only)
    after = done = 0
    while after is not None and RewardModel.objects.filter(pk=model.pk, status=RewardModel.Status.LIVE).exists():
        stored, after = _reward_chunk(model, scorer, complain, clips.filter(pk__gt=after).order_by("pk"))
        done += stored
    return done


@transaction.atomic
def _reward_chunk(model, scorer, complain, unrewarded):
    """(rewards stored, the last clip looked at, or None at the end). Reads under the lock, so that several workers
    share the clips of a new head instead of each scoring them all."""
    services.lock_rewards()
    ids = list(unrewarded.values_list("pk", flat=True)[:CHUNK])
    clips, features = read_features(ids, model.encoders, complain)
    stored = 0
    if clips.size:
        rewards = scorer.score_embeddings(features)
        usable = np.isfinite(rewards)
        if not usable.all():
            complain(f"{model} gives no finite reward to clips {clips[~usable].tolist()}")
        stored = services.store_rewards(model, dict(zip(clips[usable], rewards[usable], strict=True)))
    return stored, ids[-1] if len(ids) == CHUNK else None


def read_features(clip_ids, encoders, complain):
    """(clips int64 [C], features float32 [C, D]) of those of the clips that all blocks [{"key", "revision",
    "dimension"}] have embedded, in the order of their ids; blocks side by side, in the encoders' order.

    An embedding that is not of its encoder's dimension, or not finite, is complained of and its clip left out.
    """
    blocks = [_read_block(clip_ids, encoder, complain) for encoder in encoders]
    common = sorted(set.intersection(*map(set, blocks)))
    features = np.empty((len(common), sum(encoder["dimension"] for encoder in encoders)), dtype=np.float32)
    start = 0
    for block, encoder in zip(blocks, encoders, strict=True):
        stop = start + encoder["dimension"]
        column = np.frombuffer(b"".join(block[clip] for clip in common), dtype="<f4")
        features[:, start:stop] = column.reshape(len(common), encoder["dimension"])
        start = stop
    clips = np.array(common, dtype=np.int64)
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        complain(f"the embeddings of clips {clips[~finite].tolist()} hold NaN or infinite values")
        clips, features = clips[finite], features[finite]
    return clips, features


def _read_block(clip_ids, encoder, complain):
    """{clip id: bytes}, past Django's cursors, to which PostgreSQL sends bytes as hexadecimal."""
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(
            "SELECT clip_id, vector FROM scoring_embedding WHERE clip_id = ANY(%s::bigint[]) AND encoder = %s"
            " AND revision = %s AND vector IS NOT NULL",
            [clip_ids, encoder["key"], encoder["revision"]],
            binary=True,
        )
        vectors = dict(cursor.fetchall())
    expected = 4 * encoder["dimension"]
    if misshapen := sorted(clip for clip, vector in vectors.items() if len(vector) != expected):
        complain(f"the embeddings of clips {misshapen} by {encoder['key']} are not of {expected} bytes")
    return {clip: vector for clip, vector in vectors.items() if len(vector) == expected}
