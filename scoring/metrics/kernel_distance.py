"""Kernel audio distance: the squared maximum mean discrepancy of two sets of embeddings. NumPy and SciPy only.

    100 [ mean k(x, x') + mean k(y, y') - 2 mean k(x, y) ],    k(u, v) = exp(-|u - v|^2 / (2 h^2))

with x the clips, y the reference, pairs of different rows, and h the median distance within the reference (Chung et
al. 2025, arXiv 2502.15602; Gretton et al. 2012, JMLR 13, eq. 3). Unlike the Fréchet distance it assumes no Gaussian and
is unbiased at any number of clips, so it may be slightly below 0 where the sets are alike.
"""

from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import pdist

from .embedding_sets import checked_pair, checked_set

SCALE = 100.0
ROWS = 1024  # of a block of the kernel matrix: 8 MiB by 1,024 columns
FOR_MEDIAN = 2000  # rows from which the median distance is taken: 2 million distances


def median_distance(reference: np.ndarray) -> float:
    """The median distance of two rows, the lower of two where their number is even, as PyTorch counts. Of more than
    FOR_MEDIAN rows, of that many, evenly spread. ValueError where it is 0: then half of the rows are alike."""
    table = checked_set(reference, "the reference's embeddings")
    if len(table) > FOR_MEDIAN:
        table = table[np.linspace(0, len(table) - 1, FOR_MEDIAN).round().astype(int)]
    distances = pdist(table)
    median = float(np.partition(distances, (distances.size - 1) // 2)[(distances.size - 1) // 2])
    if not median:
        raise ValueError("the reference's embeddings: more than half of all pairs are equal, so they have no scale")
    return median


def distance(embeddings: np.ndarray, reference: np.ndarray, bandwidth: float | None = None) -> float:
    """embeddings: [N, D], reference: [M, D], N, M >= 2; bandwidth: h, by default `median_distance(reference)`."""
    x, y = checked_pair(embeddings, reference)
    bandwidth = median_distance(y) if bandwidth is None else bandwidth
    if not bandwidth > 0:
        raise ValueError(f"bandwidth {bandwidth}: give a number above 0")

    def kernel(squared: np.ndarray) -> np.ndarray:
        return np.exp(squared / (-2 * bandwidth**2))

    within = _mean_of_pairs(x, x, kernel, same=True) + _mean_of_pairs(y, y, kernel, same=True)
    return SCALE * (within - 2 * _mean_of_pairs(x, y, kernel, same=False))


def _mean_of_pairs(x: np.ndarray, y: np.ndarray, kernel: Callable[[np.ndarray], np.ndarray], same: bool) -> float:
    """The mean kernel of rows of x and y; with `same`, of different rows of one set. One block of rows at a time."""
    lengths_y, total = np.square(y).sum(axis=1), 0.0
    for start in range(0, len(x), ROWS):
        block = x[start : start + ROWS]
        squared = np.square(block).sum(axis=1)[:, None] + lengths_y - 2 * block @ y.T
        values = kernel(np.maximum(squared, 0))
        if same:
            here = np.arange(len(block))
            values[here, start + here] = 0  # a row beside itself
        total += float(values.sum())
    return total / (len(x) * (len(x) - 1) if same else len(x) * len(y))
