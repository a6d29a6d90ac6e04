"""Draw the next pair of systems, and give the probability with which it was drawn. Pure.

Every policy is a mixture: with probability epsilon any option, else one by the policy's weights. Options that may not
be drawn (`without`) are left out of both parts, and the stated probability is that of the mixture over the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Draw:
    """index: of the option drawn. probability: of that option. n_options: how many could have been drawn."""

    index: int
    probability: float
    n_options: int


class Wheel:
    """Options of unequal weight. A draw takes O(log n), as long as less than half of the weight is left out."""

    def __init__(self, weights: ArrayLike) -> None:
        """weights: float [n] >= 0, in any unit."""
        self.weights = np.asarray(weights, dtype=np.float64)
        if not (np.isfinite(self.weights).all() and (self.weights >= 0).all()):
            raise ValueError("weights are finite numbers of at least 0")
        self._cumulative = np.cumsum(self.weights)

    def draw(self, epsilon: float, rng: Random, without: ArrayLike = ()) -> Draw:
        """One of the options that are not in `without` (different indices, ascending). Where the others have no
        weight, they are equally likely."""
        without = np.asarray(without, dtype=np.intp)
        n = _count(self.weights.size, without)
        _check(epsilon)
        taken = float(self.weights[without].sum())
        total = float(self._cumulative[-1])
        cumulative = self._cumulative
        if 2 * taken > total:  # rejection would be slow, and the difference only rounding error
            remaining = self.weights.copy()
            remaining[without] = 0
            cumulative, taken = np.cumsum(remaining), 0.0
            total = float(cumulative[-1])
        left = total - taken
        if left <= 0:
            return draw_uniform(self.weights.size, rng, without)
        if rng.random() < epsilon:
            index = _any(self.weights.size, without, rng)
        else:
            index = _turn(cumulative, total, without, rng)
        return Draw(index, epsilon / n + (1 - epsilon) * float(self.weights[index]) / left, n)


def draw_least_voted(counts: Sequence[int], epsilon: float, rng: Random, without: ArrayLike = ()) -> Draw:
    """One of `len(counts)` options: with probability `epsilon` any, else one of those with the fewest votes.

    counts: votes of each option. without: indices of those that may not be drawn, ascending. epsilon: in [0.1, 1]; the
    uniform share keeps every option's probability at or above epsilon / n, so that inverse-probability weights stay
    bounded. The probability is that of the whole mixture, whichever branch drew the option.
    """
    counts, without = np.asarray(counts), np.asarray(without, dtype=np.intp)
    n = _count(counts.size, without)
    _check(epsilon)
    if without.size:
        counts = counts.astype(np.float64)
        counts[without] = np.inf
    fewest = counts.min()
    least = np.flatnonzero(counts == fewest)
    index = _any(counts.size, without, rng) if rng.random() < epsilon else int(least[rng.randrange(least.size)])
    probability = epsilon / n
    if counts[index] == fewest:
        probability += (1 - epsilon) / least.size
    return Draw(index, probability, n)


def draw_uniform(n: int, rng: Random, without: ArrayLike = ()) -> Draw:
    """One of `n` options that are not in `without` (different indices, ascending), all equally likely."""
    without = np.asarray(without, dtype=np.intp)
    left = _count(n, without)
    return Draw(_any(n, without, rng), 1 / left, left)


def _check(epsilon: float) -> None:
    if not 0.1 <= epsilon <= 1:
        raise ValueError(f"epsilon is {epsilon}; it lies between 0.1 and 1")


def _count(n: int, without: NDArray[np.intp]) -> int:
    if n - without.size < 1:
        raise ValueError("nothing to draw from")
    return n - without.size


def _any(n: int, without: NDArray[np.intp], rng: Random) -> int:
    if 2 * without.size > n:
        left = np.delete(np.arange(n), without)
        return int(left[rng.randrange(left.size)])
    while _has(without, index := rng.randrange(n)):
        pass
    return index


def _turn(cumulative: np.ndarray, total: float, without: NDArray[np.intp], rng: Random) -> int:
    while True:
        index = int(np.searchsorted(cumulative, rng.random() * total, side="right"))
        if index < cumulative.size and not _has(without, index):
            return index


def _has(without: NDArray[np.intp], index: int) -> bool:
    place = int(np.searchsorted(without, index))
    return place < without.size and bool(without[place] == index)
