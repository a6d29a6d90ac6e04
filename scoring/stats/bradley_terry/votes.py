"""Votes as they come in, checked: an error names the argument, the vote and the value.

Ten million votes pass here, so a check that finds nothing wrong reads each array once or twice and copies none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .results import Floats, Ints, Labels

BOTH_BAD = -1.0  # an outcome outside [0, 1], so that a model without this answer refuses it rather than miscounts it


@dataclass(frozen=True, eq=False)
class Votes:
    """Votes of weight > 0. weight: None where each weighs 1. cluster: codes 0, 1, ..., or None: each vote its own."""

    n: int
    a: Ints
    b: Ints
    outcome: Floats
    weight: Floats | None
    offset: Floats | None
    cluster: Ints | None
    covariates: tuple[Floats, ...] = ()

    @property
    def weights(self) -> Floats:
        """[V], also where each weighs 1."""
        return np.ones(self.outcome.size) if self.weight is None else self.weight

    def weighed(self, values: Floats) -> Floats:
        return values if self.weight is None else self.weight * values


def check(
    a: ArrayLike,
    b: ArrayLike,
    outcome: ArrayLike,
    n_systems: int,
    weight: ArrayLike | None,
    cluster: Labels | None,
    *,
    offset: ArrayLike | None = None,
    covariates: Sequence[Floats] = (),
    both_bad: bool = False,
) -> Votes:
    """The votes that count. covariates: [V] arrays that were checked already."""
    outcome = np.asarray(outcome)
    size = len(outcome)
    a, b = _indices("a", a, size, n_systems), _indices("b", b, size, n_systems)
    same = a == b
    if same.any():
        vote = int(np.argmax(same))
        raise ValueError(f"vote {vote} compares system {a[vote]} with itself")
    outcome = _answers(outcome, size) if both_bad else floats("outcome", outcome, size, 0, 1)
    weight = None if weight is None else floats("weight", weight, size, 0)
    offset = None if offset is None else floats("offset", offset, size)
    cluster = None if cluster is None else codes(cluster, size)
    if not size or (weight is not None and not weight.any()):
        raise ValueError("there are no votes of weight > 0 to fit")
    votes = Votes(n_systems, a, b, outcome, weight, offset, cluster, tuple(covariates))
    return votes if weight is None or (weight > 0).all() else _kept(votes, weight > 0)


def _kept(votes: Votes, which: NDArray[np.bool_]) -> Votes:
    return Votes(
        votes.n,
        votes.a[which],
        votes.b[which],
        votes.outcome[which],
        None if votes.weight is None else votes.weight[which],
        None if votes.offset is None else votes.offset[which],
        None if votes.cluster is None else votes.cluster[which],
        tuple(column[which] for column in votes.covariates),
    )


def column(name: str, values: ArrayLike, size: int) -> NDArray[Any]:
    values = np.asarray(values)
    if values.shape != (size,):
        raise ValueError(f"{name} has shape {values.shape}, but there are {size} outcomes")
    return values


def floats(name: str, values: ArrayLike, size: int, low: float = -np.inf, high: float = np.inf) -> Floats:
    values = column(name, values, size).astype(np.float64, copy=False)
    if size and not (np.isfinite(ends := (values.min(), values.max())).all() and low <= ends[0] and ends[1] <= high):
        vote = int(np.argmin(np.isfinite(values) & (values >= low) & (values <= high)))
        raise ValueError(f"{name}[{vote}] is {values[vote]}, not a finite number within [{low}, {high}]")
    return values


def _indices(name: str, values: ArrayLike, size: int, n_systems: int) -> Ints:
    values = column(name, values, size)
    if values.dtype.kind not in "iu" and size:
        raise ValueError(f"{name} holds system indices, so whole numbers, not {values.dtype}")
    if size and (values.min() < 0 or values.max() >= n_systems):
        vote = int(np.argmax((values < 0) | (values >= n_systems)))
        raise ValueError(f"{name}[{vote}] is {values[vote]}, not one of the {n_systems} system indices")
    return values.astype(np.intp, copy=False)


def _answers(outcome: ArrayLike, size: int) -> Floats:
    outcome = column("outcome", outcome, size).astype(np.float64, copy=False)
    known = np.isin(outcome, (0, 0.5, 1, BOTH_BAD))
    if not known.all():
        vote = int(np.argmin(known))
        raise ValueError(f"outcome[{vote}] is {outcome[vote]}, not 1 (a won), 0 (b won), 0.5 (tie) or {BOTH_BAD}")
    return outcome


def codes(cluster: Labels, size: int) -> Ints:
    """Labels to 0, 1, ... A missing label is an error, or all such votes would be one rater's."""
    if not isinstance(cluster, np.ndarray):
        cluster = np.fromiter(cluster, dtype=object)  # tuples stay labels, and 1 and "1" stay different
    cluster = column("cluster", cluster, size)
    if cluster.dtype.kind in "iu":
        return _whole_codes(cluster)
    seen: dict[Any, int] = {}
    found = np.fromiter((seen.setdefault(label, len(seen)) for label in cluster.tolist()), np.intp, size)
    if missing := [label for label in seen if label is None or label != label]:
        raise ValueError(f"cluster holds {missing[0]}: give a vote without a rater a label of its own")
    return found


def _whole_codes(cluster: NDArray[Any]) -> Ints:
    """By a table where the labels lie close together, as database ids do; else by sorting, which is slower."""
    low, high = (int(cluster.min()), int(cluster.max())) if cluster.size else (0, 0)
    if high - low > 4 * cluster.size + 1024 or high > np.iinfo(np.intp).max:
        return np.unique(cluster, return_inverse=True)[1]
    place = cluster.astype(np.intp, copy=False) - low
    seen = np.zeros(high - low + 1, dtype=bool)
    seen[place] = True
    return (np.cumsum(seen) - 1)[place]
