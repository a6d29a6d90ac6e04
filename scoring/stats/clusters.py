"""Whose votes belong together. Pure."""

import numpy as np


def clusters_of(rater_id: np.ndarray) -> np.ndarray:
    """int [V]: one number for each rater, in the order in which they first come; a vote without rater is a cluster of
    its own, and below 0. rater_id: V16 [V], zeros for nobody."""
    high, low = np.ascontiguousarray(rater_id).view(">u8").reshape(-1, 2).astype(np.uint64).T
    _, first, of = np.unique(high, return_index=True, return_inverse=True)
    if not np.array_equal(low[first][of], low):  # some raters share half of their ids
        _, of_low = np.unique(low, return_inverse=True)
        _, first, of = np.unique(of * len(of) + of_low, return_index=True, return_inverse=True)
    is_somebody = (high[first] | low[first]) > 0
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(np.where(is_somebody, first, len(of)))] = np.arange(len(first))  # nobody comes last
    return np.where(is_somebody[of], number[of], -np.arange(len(of)) - 1)
