"""Whose votes belong together. Pure."""

import numpy as np


def clusters_of(rater_id):
    """int [V]: one number for each rater, in the order in which they first come; a vote without rater is a cluster of
    its own, and below 0. rater_id: V16 [V]."""
    halves = np.ascontiguousarray(rater_id).view(">u8").reshape(-1, 2).astype(np.uint64)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    ordered = halves[order]
    starts = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))[: len(order)]
    first = order[starts]  # lexsort is stable
    nobody = ~ordered[starts].any(axis=1)
    number = np.empty(len(first), dtype=np.int64)
    known = np.flatnonzero(~nobody)
    number[known[np.argsort(first[known])]] = np.arange(len(known))
    cluster = np.empty(len(order), dtype=np.int64)
    cluster[order] = number[np.cumsum(starts) - 1]
    alone = ~halves.any(axis=1)
    cluster[alone] = -np.flatnonzero(alone) - 1
    return cluster
