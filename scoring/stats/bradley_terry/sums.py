"""Sums over votes into vectors and matrices of the parameters: the ratings, then k shared by all votes.

A vote touches its two systems' ratings and the shared parameters; its "entries" are in that order, 2 + k of them.
Source of the sandwich's middle: Liang & Zeger (1986), Biometrika 73; effective clusters: Kish (1965), Survey Sampling,
section 11.7.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse

from .results import Floats, Ints

DENSE_CELLS = 2**24  # of a block of raters times parameters: 128 MiB
SPARSE_BELOW = 0.05  # share of a rater's row that is not zero, below which sparse arithmetic is faster


def vector(a: Ints, b: Ints, n: int, entries: Sequence[Floats]) -> Floats:
    """[n + k] sum over votes of their entries."""
    on_systems = np.bincount(a, entries[0], n) + np.bincount(b, entries[1], n)
    return np.concatenate([on_systems, [shared.sum() for shared in entries[2:]]])


def matrix(a: Ints, b: Ints, n: int, k: int, block: Callable[[int, int], Floats]) -> Floats:
    """[n + k, n + k] sum over votes of a symmetric matrix of their entries; `block(i, j)` is its row i, column j."""
    total = np.zeros((n + k, n + k))
    between = np.bincount(a * n + b, block(0, 1), n * n).reshape(n, n)
    total[:n, :n] = between + between.T
    total[np.arange(n), np.arange(n)] = np.bincount(a, block(0, 0), n) + np.bincount(b, block(1, 1), n)
    for i in range(k):
        column = np.bincount(a, block(0, 2 + i), n) + np.bincount(b, block(1, 2 + i), n)
        total[:n, n + i] = total[n + i, :n] = column
        for j in range(i, k):
            total[n + i, n + j] = total[n + j, n + i] = block(2 + i, 2 + j).sum()
    return total


def laplacian(a: Ints, b: Ints, n: int, edge: Floats) -> Floats:
    """[n, n] sum of edge x x' with x = e_a - e_b; its rows sum to zero to the last bit."""
    between = np.bincount(a * n + b, edge, n * n).reshape(n, n)
    between += between.T
    return np.diag(between.sum(axis=1)) - between


def totals(place: Ints, values: Floats, size: int) -> Floats:
    """[size] the sum of the values at each place; numpy's types say that `bincount` gives whole numbers."""
    return np.asarray(np.bincount(place, values, size), dtype=np.float64)


def meat(
    a: Ints, b: Ints, n: int, score: Sequence[Floats], weight: Floats | None, cluster: Ints | None
) -> tuple[Floats, float]:
    """G/(G-1) M [n + k, n + k], M the sum over the G clusters of the outer product of their scores; and g_eff.

    score: the weighted entries of each vote. One cluster alone shows no spread: M is then taken over its votes.
    """
    if cluster is None:
        size = np.ones(a.size) if weight is None else weight
    else:
        size = np.asarray(np.bincount(cluster, weight), dtype=np.float64)
        size = size[size > 0]
    g_eff = float(size.sum() ** 2 / (size @ size))
    if cluster is None or size.size == 1:
        spread = matrix(a, b, n, len(score) - 2, lambda i, j: score[i] * score[j])
        return _small_sample(a.size) * spread, g_eff
    return _small_sample(size.size) * _between_clusters(a, b, n, score, cluster), g_eff


def _small_sample(clusters: int) -> float:
    return clusters / (clusters - 1) if clusters > 1 else 1.0


def _between_clusters(a: Ints, b: Ints, n: int, score: Sequence[Floats], cluster: Ints) -> Floats:
    n_clusters, k = int(cluster.max()) + 1, len(score) - 2
    if 2 * a.size < SPARSE_BELOW * n_clusters * (n + k):
        column = [a, b, *(np.full(a.size, n + i) for i in range(k))]
        where = np.concatenate([cluster] * (2 + k)), np.concatenate(column)
        rows = sparse.csr_array((np.concatenate(score), where), shape=(n_clusters, n + k))
        return (rows.T @ rows).toarray()
    total, step = np.zeros((n + k, n + k)), max(1, DENSE_CELLS // (n + k))
    for start in range(0, n_clusters, step):
        rows = min(step, n_clusters - start)
        if rows == n_clusters:
            total += _gram(a, b, n, score, cluster, rows)
        else:
            here = (cluster >= start) & (cluster < start + rows)
            total += _gram(a[here], b[here], n, [one[here] for one in score], cluster[here] - start, rows)
    return total


def _gram(a: Ints, b: Ints, n: int, score: Sequence[Floats], cluster: Ints, rows: int) -> Floats:
    by_cluster = totals(cluster * n + a, score[0], rows * n)
    by_cluster += totals(cluster * n + b, score[1], rows * n)
    shared = [totals(cluster, entries, rows) for entries in score[2:]]
    by_cluster = np.column_stack([by_cluster.reshape(rows, n), *shared]) if shared else by_cluster.reshape(rows, n)
    return by_cluster.T @ by_cluster
