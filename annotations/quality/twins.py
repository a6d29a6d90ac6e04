"""Who came over a connection at about the same time, and which of them answered alike; for thousands of raters of one
connection without comparing each with each in Python.

An arrival is near a rater's where both are over one connection and at most `window` apart. Times are whole numbers in
any one unit; raters and connections are numbers from 0 up.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array

from .arrivals import TWIN_PAIRS, TWIN_SHARE

ANSWERS = 4
AT_ONCE = 256  # raters compared with all others in one matrix product
MOST_DENSE = 20_000_000  # numbers in a dense matrix of answers
DENSE_ADVANTAGE = 14  # clip pairs for each answer of a rater, up to which dense products are the faster ones


@dataclass(frozen=True)
class Appearances:
    """When raters were near a connection: from `start` to `end`, each [N], sorted by connection, then by start."""

    connection: np.ndarray
    rater: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, connection: np.ndarray, rater: np.ndarray, at: np.ndarray, window: int) -> Self:
        """From arrivals, each [A]: the times at which an arrival is at most `window` away, those of one rater merged
        where they overlap."""
        order = np.lexsort((at, rater, connection))
        connection, rater, at = connection[order], rater[order], at[order]
        is_other = (np.diff(connection) != 0) | (np.diff(rater) != 0) | (np.diff(at) > 2 * window)
        first = np.flatnonzero(np.concatenate([[True], is_other])) if len(at) else np.zeros(0, int)
        last = np.concatenate([first[1:], [len(at)]]) - 1 if len(at) else first
        start, end = at[first] - window, at[last] + window
        connection, rater = connection[first], rater[first]
        order = np.lexsort((start, connection))
        return cls(connection[order], rater[order], start[order], end[order])


def crowd(appearances: Appearances, connection: np.ndarray, at: np.ndarray) -> np.ndarray:
    """int [T]: how many raters came near each of T moments over its connection."""
    if not len(at) or not len(appearances.start):
        return np.zeros(len(at), int)
    earliest = min(appearances.start.min(), at.min())
    span = max(appearances.end.max(), at.max()) - earliest + 1  # a connection's times, behind those of the one before

    def placed(of_connection: np.ndarray, times: np.ndarray) -> np.ndarray:
        return of_connection * span + (times - earliest)

    began = np.sort(placed(appearances.connection, appearances.start))
    ended = np.sort(placed(appearances.connection, appearances.end))
    moment = placed(connection, at)
    return np.searchsorted(began, moment, "right") - np.searchsorted(ended, moment, "left")


def have_twins(
    appearances: Appearances,
    connection: np.ndarray,
    rater: np.ndarray,
    at: np.ndarray,
    answers: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> np.ndarray:
    """bool [T]: whether another rater who came near judged at least TWIN_PAIRS clip pairs that this one judged, too,
    and at least TWIN_SHARE of them alike.

    connection, rater, at: [T], how each of them came. answers: (rater, pair, answer), each int [V]: one answer of a
    rater to a clip pair, numbered from 0 up; answers from 0 to ANSWERS - 1.
    """
    alike = np.zeros(len(at), bool)
    n_raters = 1 + max(int(raters.max(initial=0)) for raters in (rater, appearances.rater, answers[0]))
    answered = _matrix(*answers, n_raters)
    has_enough = np.diff(answered.indptr) >= TWIN_PAIRS
    targets = np.flatnonzero(has_enough[rater])
    targets = targets[np.lexsort((at[targets], connection[targets]))]
    others = np.flatnonzero(has_enough[appearances.rater])
    on, sought = appearances.connection[others], connection[targets]
    first, last = np.searchsorted(on, sought, "left"), np.searchsorted(on, sought, "right")
    for begin, end in sorted(set(zip(first.tolist(), last.tolist(), strict=True))):
        if end - begin < 2:
            continue
        near, compared = others[begin:end], targets[first == begin]
        likeness = _Likeness(answered, rater[compared], appearances.rater[near])
        for start in range(0, len(compared), AT_ONCE):
            i, j = likeness.twins(start, start + AT_ONCE)
            i, j = compared[i], near[j]
            met = (appearances.start[j] <= at[i]) & (at[i] <= appearances.end[j]) & (appearances.rater[j] != rater[i])
            alike[i[met]] = True
    return alike


def _matrix(rater: np.ndarray, pair: np.ndarray, answer: np.ndarray, n_raters: int) -> csr_array:
    """csr [raters, pairs * ANSWERS]: 1 where the rater gave that answer to that pair."""
    column = pair * ANSWERS + answer
    shape = n_raters, (int(pair.max()) + 1 if len(pair) else 1) * ANSWERS
    return csr_array((np.ones(len(rater), np.float32), (rater, column)), shape=shape)


class _Likeness:
    """Counts of equal answers, and of clip pairs that both judged, between some raters and others, by products of
    matrices: dense ones where raters share many of few pairs, else sparse ones."""

    def __init__(self, answered: csr_array, compared: np.ndarray, near: np.ndarray) -> None:
        pairs = csr_array(
            (answered.data, answered.indices // ANSWERS, answered.indptr),
            shape=(answered.shape[0], answered.shape[1] // ANSWERS),
        )
        self._own, self._others = (answered[compared], pairs[compared]), (answered[near], pairs[near])
        n_used = len(np.unique(self._others[1].indices))
        is_dense = n_used * len(near) <= DENSE_ADVANTAGE * self._others[1].nnz
        self._is_dense = is_dense and len(near) * answered.shape[1] <= MOST_DENSE
        self._transposed: list[Any] = [
            matrix.toarray().T if self._is_dense else matrix.T.tocsr() for matrix in self._others
        ]

    def twins(self, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """(i, j): the places among `compared`, from `begin` to `end`, and among `near`, of those who answered alike."""
        own = [matrix[begin:end] for matrix in self._own]
        if self._is_dense:
            same, shared = (mine.toarray() @ theirs for mine, theirs in zip(own, self._transposed, strict=True))
            i, j = np.nonzero((shared >= TWIN_PAIRS) & (same >= (TWIN_SHARE - 0.01) * shared))
            same, shared = same[i, j], shared[i, j]
        else:
            product = (own[0] @ self._transposed[0]).tocoo()
            is_candidate = product.data >= TWIN_SHARE * TWIN_PAIRS
            (i, j), same = (places[is_candidate] for places in product.coords), product.data[is_candidate]
            shared = own[1][i].multiply(self._others[1][j]).sum(axis=1)
        is_twin = (shared >= TWIN_PAIRS) & (same.astype(float) / np.maximum(shared, 1) >= TWIN_SHARE)
        return begin + i[is_twin], j[is_twin]
