"""Stored embeddings as features: checked, whoever reads them, to reward clips or to train on them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import psycopg
from django.db import connection

from scoring.reward.encoders import Encoder

from . import claims

CHUNK = 4096  # clips; their features are 32 MB at 2,048 dimensions


def as_block(encoder: Encoder) -> dict[str, Any]:
    """How a reward model names an encoder."""
    return {"key": encoder.key, "revision": encoder.revision, "dimension": encoder.dimension}


def read_all_features(
    clip_ids: Iterable[int], encoders: Sequence[dict[str, Any]], complain: Callable[[str], object]
) -> tuple[np.ndarray, np.ndarray]:
    """The same as read_features, of any number of clips, with hardly a vector in memory twice."""
    clip_ids = np.unique(np.array(clip_ids, dtype=np.int64))
    clips = np.empty(len(clip_ids), dtype=np.int64)
    features = np.empty((len(clip_ids), sum(encoder["dimension"] for encoder in encoders)), dtype=np.float32)
    n = 0
    for start in range(0, len(clip_ids), CHUNK):
        found, rows = read_features(clip_ids[start : start + CHUNK].tolist(), encoders, complain)
        clips[n : n + len(found)], features[n : n + len(found)] = found, rows
        n += len(found)
    return clips[:n], features[:n]


def read_features(
    clip_ids: list[int], encoders: Sequence[dict[str, Any]], complain: Callable[[str], object]
) -> tuple[np.ndarray, np.ndarray]:
    """(clips int64 [C], features float32 [C, D]) of those of the clips that all blocks [{"key", "revision",
    "dimension"}] have embedded, in the order of their ids; blocks side by side, in the encoders' order.

    A stored embedding that is not of its encoder's dimension, or not finite, is complained of and gives way to that
    reason: its clip is left out, here and wherever clips without an embedding are.
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
    return np.array(common, dtype=np.int64), features


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
    misshapen = {clip: vector for clip, vector in vectors.items() if len(vector) != expected}
    _leave_out(vectors, misshapen, encoder, f"not of {expected} bytes", complain)
    finite = np.isfinite(np.frombuffer(b"".join(vectors.values()), dtype="<f4"))
    finite = finite.reshape(len(vectors), encoder["dimension"]).all(axis=1)
    not_finite = {clip: vector for (clip, vector), good in zip(vectors.items(), finite, strict=True) if not good}
    _leave_out(vectors, not_finite, encoder, "NaN or infinite in places", complain)
    return vectors


def _leave_out(vectors, damaged, encoder, what, complain):
    if not damaged:
        return
    claims.condemn(encoder["key"], encoder["revision"], damaged, f"The stored embedding was {what}.")
    complain(f"the embeddings of clips {sorted(damaged)} by {encoder['key']} are {what}")
    for clip in damaged:
        del vectors[clip]
