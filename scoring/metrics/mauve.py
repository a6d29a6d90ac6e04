"""MAUVE of two sets of embeddings, and from it the MAUVE audio divergence (MAD). NumPy and SciPy only.

Both sets are cut into the same clusters. With p and q the shares of clusters, and r = w p + (1 - w) q for weights w in
(0, 1), the points (exp(-c KL(q|r)), exp(-c KL(p|r))) draw a curve from (1, 0) to (0, 1); MAUVE is the area below it: 1
where the shares are equal, near 0 where no cluster holds both (Pillutla et al. 2021, arXiv 2102.01454, and 2023, JMLR
24). MAD is -ln MAUVE on MERT embeddings of music (Huang et al. 2025, arXiv 2503.16669).

The clusters are k-means on the principal components that hold 90 % of the variance of both sets, rows at length 1, with
a tenth as many clusters as the smaller set has rows. The public implementation clusters by faiss: its values differ
from ours as its own do from seed to seed.
"""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.vq import kmeans, vq
from scipy.linalg import svd

from .embedding_sets import checked_pair, unit_rows

SCALING = 5.0  # c
WEIGHTS = np.linspace(1e-6, 1 - 1e-6, 25)
EXPLAINED = 0.9
TRIES = 5  # of k-means, of which the best is kept


@dataclass(frozen=True)
class Mauve:
    """value: in (0, 1]; divergence: -ln value, MAD on MERT; n_clusters: of the histograms; shares: [2, n_clusters]."""

    value: float
    divergence: float
    n_clusters: int
    shares: np.ndarray


def mauve(embeddings: np.ndarray, reference: np.ndarray, seed: int = 42, n_clusters: int | None = None) -> Mauve:
    """embeddings: [N, D], reference: [M, D], N, M >= 10. n_clusters: by default a tenth of the smaller set, at least 2.

    Smoothed by half a clip per cluster (Krichevsky-Trofimov; JMLR 24, section 4.2), so that few clips give no
    divergence of infinity.
    """
    x, y = checked_pair(embeddings, reference, at_least=10)
    n_clusters = max(2, round(min(len(x), len(y)) / 10)) if n_clusters is None else n_clusters
    labels = _clusters(np.concatenate([x, y]), n_clusters, np.random.default_rng(seed))
    counts = np.array([np.bincount(of, minlength=n_clusters) for of in (labels[: len(x)], labels[len(x) :])]) + 0.5
    shares = counts / counts.sum(axis=1, keepdims=True)
    value = area(*shares)
    return Mauve(value, float(-np.log(value)), n_clusters, shares)


def area(p: np.ndarray, q: np.ndarray, scaling: float = SCALING) -> float:
    """The area below the curve of two distributions over the same clusters, [K] each: in (0, 1], by trapezia.

    ValueError where one is no distribution.
    """
    p, q = (np.asarray(share, dtype=float) for share in (p, q))
    for share in (p, q):
        if share.shape != p.shape or share.min() < 0 or abs(share.sum() - 1) > 1e-9:
            raise ValueError("give two distributions over the same clusters, each with the sum 1")
    mixtures = [w * p + (1 - w) * q for w in WEIGHTS]
    x = [1.0, *(np.exp(-scaling * _kl(q, r)) for r in mixtures), 0.0]
    y = [0.0, *(np.exp(-scaling * _kl(p, r)) for r in mixtures), 1.0]
    return float(np.trapezoid(x, y))


def _kl(p: np.ndarray, r: np.ndarray) -> float:
    """KL(p|r) in nats; r is above 0 wherever p is, since it is a mixture with p."""
    held = p > 0
    return float(np.sum(p[held] * np.log(p[held] / r[held])))


def _clusters(table: np.ndarray, n_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """int [N], the cluster of each row."""
    table = unit_rows(table, "the embeddings")
    table = table - table.mean(axis=0)
    left, singular, _ = svd(table, full_matrices=False)
    share = np.cumsum(np.square(singular)) / np.square(singular).sum()
    kept = int(np.argmax(share >= EXPLAINED)) + 1
    components = left[:, :kept] * singular[:kept]
    centres, _ = kmeans(components, n_clusters, iter=TRIES, rng=rng)
    return vq(components, centres)[0]
