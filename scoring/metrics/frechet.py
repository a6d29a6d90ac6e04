"""Fréchet audio distance: how far two sets of embeddings are apart, each seen as a Gaussian. NumPy and SciPy only.

    d = |mean_a - mean_b|^2 + trace(C_a) + trace(C_b) - 2 trace((C_a C_b)^1/2)

(Kilgour et al. 2019, arXiv 1812.08466; Dowson & Landau 1982.) With C = R'R the last trace is the sum of the singular
values of R_a R_b', which needs no square root of a matrix: `scipy.linalg.sqrtm` loses half of the digits where a
covariance is singular, as it is with fewer clips than dimensions.

The distance of few clips is too large, by about c / n. `at_infinity` extrapolates (Chong & Forsyth 2020, arXiv
1911.07023; for audio Gui et al. 2024, arXiv 2311.01616).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import svdvals

from .embedding_sets import checked_set

SMALLEST, SIZES = 0.2, 15  # `at_infinity`: the smallest subset, as a share of all clips, and how many sizes


@dataclass(frozen=True)
class Gaussian:
    """A set of n embeddings: mean [D] and root [R, D], with root' root its covariance (divisor n - 1)."""

    mean: np.ndarray
    root: np.ndarray
    n: int


@dataclass(frozen=True)
class AtInfinity:
    """The distance that infinitely many clips would have: the intercept of a line through distance against 1/n.

    slope: of that line; r_squared: how well it fits, 1 is best; points: [(n, distance)], what it was drawn through.
    """

    value: float
    slope: float
    r_squared: float
    points: list[tuple[int, float]]


def gaussian(embeddings: np.ndarray) -> Gaussian:
    """embeddings: [N, D], N >= 2. ValueError for other shapes, NaN or infinite values."""
    table = checked_set(embeddings, "the embeddings")
    n, width = table.shape
    mean = table.mean(axis=0)
    root = (table - mean) / np.sqrt(n - 1)
    if n > width:
        root = np.asarray(np.linalg.qr(root, mode="r"))
    return Gaussian(mean, root, n)


def distance(a: Gaussian, b: Gaussian) -> float:
    """The Fréchet distance, at least 0. ValueError where the widths differ."""
    if a.mean.size != b.mean.size:
        raise ValueError(f"embeddings of width {a.mean.size} beside a reference of width {b.mean.size}")
    shared = svdvals(a.root @ b.root.T, check_finite=False).sum()
    difference = a.mean - b.mean
    spread = np.square(a.root).sum() + np.square(b.root).sum()
    return max(0.0, float(difference @ difference + spread - 2 * shared))  # rounding can make equal sets -1e-13


def at_infinity(embeddings: np.ndarray, reference: Gaussian, rng: np.random.Generator) -> AtInfinity:
    """Distances of random subsets of SIZES sizes, drawn without replacement, extrapolated to infinitely many clips.

    embeddings: [N, D], N >= 20, one row per clip (or per window). The public `fadtk` draws with replacement, which adds
    a bias of its own: its extrapolated values are not comparable, its distances are.
    """
    table = checked_set(embeddings, "the embeddings", at_least=20)
    sizes = np.unique(np.linspace(max(2, SMALLEST * len(table)), len(table), SIZES).round().astype(int))
    points = []
    for size in sizes.tolist():
        chosen = table[rng.permutation(len(table))[:size]]
        points.append((size, distance(gaussian(chosen), reference)))
    x, y = 1 / sizes, np.array([value for _, value in points])
    slope, intercept = np.polyfit(x, y, 1)
    unexplained, total = np.square(y - slope * x - intercept).sum(), np.square(y - y.mean()).sum()
    return AtInfinity(float(intercept), float(slope), float(1 - unexplained / total) if total else 1.0, points)


def per_song(songs: Iterable[np.ndarray], reference: Gaussian) -> np.ndarray:
    """float [S]: the distance of each song's windows [T, D], T >= 2, to the reference (Gui et al., section 3.3)."""
    return np.array([distance(gaussian(windows), reference) for windows in songs], dtype=float)
