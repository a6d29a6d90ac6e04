"""Which systems can be compared, and what is held fixed where votes show only differences."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse.csgraph import connected_components

from .results import Floats, Ints


def components(n: int, winner: Ints, loser: Ints, connection: Literal["weak", "strong"]) -> Ints:
    """[n] the component of each system in the graph with an edge from each winner to the loser; "weak" or "strong"."""
    graph = sparse.csr_array((np.ones(winner.size), (winner, loser)), shape=(n, n))
    _, label = connected_components(graph, directed=True, connection=connection)
    return label.astype(np.intp)


def members(label: Ints) -> tuple[tuple[int, ...], ...]:
    """The groups as indices, in order of their first."""
    found: dict[int, list[int]] = {}
    for system, group in enumerate(label.tolist()):
        found.setdefault(group, []).append(system)
    return tuple(map(tuple, found.values()))


@dataclass(frozen=True, eq=False)
class Gauge:
    """Votes show only differences, so each group has one thing fixed: its mean, or the pinned rating.

    Parameters beyond the ratings are free, and so is everything where the model has a zero of its own.
    """

    mean: Floats  # [n + k, n + k] averages over each group; zero in the pinned group and for what is free
    pin: int | None

    @classmethod
    def of(cls, label: Ints, pin: int | None, free: int = 0) -> "Gauge":
        """label: [n] the group of each system. free: k, the parameters that follow the ratings."""
        same = label[:, None] == label
        mean = np.zeros((label.size + free,) * 2)
        mean[: label.size, : label.size] = same / same.sum(axis=1)
        if pin is not None:
            mean[: label.size][same[pin]] = 0
        return cls(mean, pin)

    @classmethod
    def none(cls, size: int) -> "Gauge":
        return cls(np.zeros((size, size)), None)

    def project(self, x: Floats) -> Floats:
        """P x for x [n + k] or [n + k, m]."""
        x = x - self.mean @ x
        if self.pin is not None:
            x[self.pin] = 0
        return x

    def stiffen(self, curvature: Floats) -> Floats:
        """Adds curvature along what is fixed, so that an inverse exists; `project` undoes it exactly."""
        stiff = curvature + self.mean * (self.mean @ np.diagonal(curvature))
        if self.pin is not None:
            stiff[self.pin, :] = stiff[:, self.pin] = 0
            stiff[self.pin, self.pin] = 1
        return stiff

    def solve(self, curvature: Floats, right: Floats, l2: float) -> Floats:
        """P curvature^-1 right. LinAlgError where rounding leaves no curvature, and no ridge stands in for it."""
        stiff = self.stiffen(curvature)
        try:
            scale = 1 / np.sqrt(np.maximum(np.diagonal(stiff), 1e-300))
            factor = cho_factor(stiff * scale * scale[:, None])
            return self.project((scale * cho_solve(factor, (right.T * scale).T).T).T)
        except LinAlgError:
            if l2 == 0:
                raise
            values, vectors = np.linalg.eigh(stiff)
            return self.project(vectors / np.maximum(values, 2 * l2) @ (vectors.T @ right))
