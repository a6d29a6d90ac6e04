"""Checks of attention and consistency: golds (a clip against its degraded copy) and repeats."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaln

from annotations.proportions import wilson

from .evidence import Evidence, Floats, answers, bernoulli, decisive, of_path, running

CAREFUL_GOLD = (19.0, 1.0)  # Beta of a careful listener's chance to pass a gold: mean 0.95, one in ten below 0.89
INCONSISTENT = (0.05, 0.2, 0.35)  # chances to prefer the same clip again, all below any listener's


@dataclass(frozen=True)
class Golds:
    """passed of n; accuracy and interval (Wilson, 95 %) are None without golds."""

    n: int
    passed: int
    accuracy: float | None
    interval: tuple[float, float] | None
    evidence: Evidence


@dataclass(frozen=True)
class Repeats:
    """same: the same clip preferred again, of the n repeats that were decisive both times; undecided: the others."""

    n: int
    same: int
    undecided: int
    consistency: float | None
    interval: tuple[float, float] | None
    evidence: Evidence


def gold(passed: ArrayLike) -> Golds:
    """Accuracy over golds, in the order answered. passed: bool [G]; False for no preference or the degraded clip.

    Null: a careful listener, whose chance to pass is a draw from Beta(19, 1). Alternative: guesses, 1/2 each. The
    e-value is the ratio of the two likelihoods of the whole sequence (a Beta-Bernoulli against a coin).
    """
    passed = _flags("passed", passed)
    n, right = passed.size, int(passed.sum())
    evidence = of_path(gold_log_e(*running(passed)), {"golds": n, "passed": right})
    return Golds(n, right, right / n if n else None, wilson(right, n), evidence)


def gold_log_e(n: ArrayLike, passed: ArrayLike) -> Floats:
    """[...] log e-value of `passed` out of `n` golds."""
    yes, no = CAREFUL_GOLD
    n, passed = np.asarray(n), np.asarray(passed)
    return n * np.log(0.5) - (betaln(yes + passed, no + n - passed) - betaln(yes, no))


def repeats(first: ArrayLike, second: ArrayLike) -> Repeats:
    """Consistency over pairs heard twice, the second time with the slots swapped.

    first, second: answers [K] as given, so "A" then "B" is the same clip. A pair left undecided either time is
    ignored. Null: the same clip again with a chance of at least 1/2, which holds for everybody who listens (and for a
    fair coin). Alternative: less than that, as for a rater who answers by slot; mean over INCONSISTENT.
    """
    same, undecided = repeated(first, second)
    n, n_same = same.size, int(same.sum())
    path = bernoulli(*running(same), 0.5, INCONSISTENT)
    evidence = of_path(path, {"repeats": n, "same": n_same, "undecided": undecided})
    return Repeats(n, n_same, undecided, n_same / n if n else None, wilson(n_same, n), evidence)


def repeated(first: ArrayLike, second: ArrayLike) -> tuple[np.ndarray, int]:
    """(bool [n] same clip preferred again, over pairs decided both times; the number of the others)."""
    first, second = answers("first", first), answers("second", second)
    if first.shape != second.shape:
        raise ValueError(f"{first.size} first answers, but {second.size} second ones: a repeat has one of each")
    both = decisive(first) & decisive(second)
    return (first != second)[both], int((~both).sum())


def _flags(name: str, values: ArrayLike) -> np.ndarray:
    values = np.asarray(values)
    if (values.size and values.dtype != bool) or values.ndim != 1:
        raise ValueError(f"{name} is one bool per check, not {values.dtype} of shape {values.shape}")
    return values.astype(bool)
