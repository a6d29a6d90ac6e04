"""Stored embeddings as features, to reward clips or to train on them; they are checked whenever they are read."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import psycopg
from django.db import connection

from scoring.reward.encoders import Encoder

from . import claims

CHUNK = 4096  # clips; their features are 32 MB at 2,048 dimensions


def as_block(encoder: Encoder) -> dict[str, Any]:
    """The encoder as reward models store it."""
    return {"key": encoder.key, "revision": encoder.revision, "dimension": encoder.dimension}


def read_all_features(
    clip_ids: Iterable[int], encoders: Sequence[dict[str, Any]], complain: Callable[[str], object]
) -> tuple[np.ndarray, np.ndarray]:
    """As read_features, for any number of clips: they are read in chunks, so that few vectors are in memory twice."""
    clip_ids = np.unique(np.array(clip_ids, dtype=np.int64))
    clips = np.empty(len(clip_ids), dtype=np.int64)
    features = np.empty((len(clip_ids), sum(encoder["dimension"] for encoder in encoders)), dtype=np.float32)
    n = 0
    for start in range(0, len(clip_ids), CHUNK):
        embedded, rows = read_features(clip_ids[start : start + CHUNK].tolist(), encoders, complain)
        clips[n : n + len(embedded)], features[n : n + len(embedded)] = embedded, rows
        n += len(embedded)
    return clips[:n], features[:n]


def read_features(
    clip_ids: list[int], encoders: Sequence[dict[str, Any]], complain: Callable[[str], object]
) -> tuple[np.ndarray, np.ndarray]:
    """(clips int64 [C], features float32 [C, D]) of the clips that all encoders [{"key", "revision", "dimension"}] have
    embedded, in the order of their ids; the encoders' blocks side by side, in their order.

    A stored embedding that has another dimension than its encoder, or is not finite, is reported by `complain` and
    replaced by that reason: its clip then counts as one that cannot be embedded.
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
    """{clip id: bytes}, by a binary cursor: to Django's, PostgreSQL sends bytes as hexadecimal text."""
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


def _leave_out(vectors, damaged, encoder, damage, complain):
    if not damaged:
        return
    claims.condemn(encoder["key"], encoder["revision"], damaged, f"The stored embedding was {damage}.")
    complain(f"the embeddings of clips {sorted(damaged)} by {encoder['key']} are {damage}")
    for clip in damaged:
        del vectors[clip]
