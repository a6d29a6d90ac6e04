"""What all rules use: answers as arrays, and e-values.

An e-value is a number of expectation at most 1 if the rater is honest: a bet against the rater, at fair odds, by
someone who cannot see the future. Its running product over the votes may be checked after every vote: the
chance that it EVER reaches 1/alpha is at most alpha (Ville 1939; Ramdas et al. 2023, Statistical Science 38,
"Game-theoretic statistics and safe anytime-valid inference"). Everything here is in logarithms.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
ANSWERS = ("A", "B", "TIE", "BOTH_BAD")
LARGEST = 690.0  # of a log e-value: the exponential of a larger one is not a JSON number


@dataclass(frozen=True)
class Evidence:
    """One rule's evidence against a rater, so far.

    log_e: natural logarithm of the e-value after the last answer. n: number of answers. detail: plain numbers.
    """

    n: int
    log_e: float
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def e(self) -> float:
        return float(np.exp(np.clip(self.log_e, -LARGEST, LARGEST)))


def of_path(log_path: ArrayLike, detail: dict[str, Any]) -> Evidence:
    """The evidence at the end of a running log e-value with one entry per answer; 0 without answers."""
    path = np.asarray(log_path, dtype=float)
    return Evidence(path.size, float(path[-1]) if path.size else 0.0, detail)


def mixture(log_paths: Floats, weight: ArrayLike) -> Floats:
    """log sum_i weight_i exp(log_paths[i]) along the first axis. Weights sum to 1: a mean of e-values is one."""
    weight = np.asarray(weight, dtype=float)
    most = log_paths.max(axis=0)
    return np.log(np.tensordot(weight / weight.sum(), np.exp(log_paths - most), axes=1)) + most


def answers(name: str, preference: ArrayLike) -> NDArray[np.str_]:
    """The answers as an array of strings. Raises ValueError on one that is not in ANSWERS."""
    values = np.asarray(preference, dtype=str)
    if values.ndim != 1:
        raise ValueError(f"{name} is one answer per vote, not an array of shape {values.shape}")
    unknown = ~np.isin(values, ANSWERS)
    if unknown.any():
        at = int(np.argmax(unknown))
        raise ValueError(f"{name}[{at}] is {str(values[at])!r}, not one of {', '.join(ANSWERS)}")
    return values


def decisive(preference: NDArray[np.str_]) -> NDArray[np.bool_]:
    """bool [V]: one clip was preferred."""
    return (preference == "A") | (preference == "B")


def bernoulli(n: ArrayLike, hits: ArrayLike, null: float, alternatives: ArrayLike) -> Floats:
    """[...] log e-value of `hits` in `n` answers: the mean over `alternatives` of the likelihood ratio to `null`.

    Also valid for every null chance on the other side of `null` from all the alternatives.
    """
    n, hits = np.asarray(n, dtype=float), np.asarray(hits, dtype=float)
    alternatives = np.asarray(alternatives, dtype=float).reshape((-1,) + (1,) * hits.ndim)
    ratios = hits * np.log(alternatives / null) + (n - hits) * np.log((1 - alternatives) / (1 - null))
    return mixture(ratios, np.ones(len(alternatives)))


def running(hits: ArrayLike) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """([N] answers so far, [N] hits so far)."""
    hits = np.asarray(hits, dtype=bool)
    return np.arange(1, hits.size + 1), np.cumsum(hits)
