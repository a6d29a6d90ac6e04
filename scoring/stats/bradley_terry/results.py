"""What a fit answers, and what it says where there is no answer."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Labels = Iterable[Hashable]  # one per vote, of any kind: an array, or a list of tuples


class NoFiniteEstimate(ValueError):
    """The votes do not settle the ratings. `groups` cannot be placed relative to each other, for `reason`."""

    def __init__(self, groups: tuple[tuple[Any, ...], ...], reason: str) -> None:
        self.groups, self.reason = groups, reason
        named = ", ".join("{" + ", ".join(map(str, group)) + "}" for group in groups)
        super().__init__(f"{reason}: groups {named}. Collect votes that link them, or use a larger l2.")


class NotOffered(ValueError):
    """The model has a parameter that these votes say nothing about; the message says which answer is missing."""


class BadCovariate(ValueError):
    """The effect of the covariate `name` cannot be estimated from these votes, for `reason`."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"covariate {name!r} {reason}")


def reach(stderr: Floats, g_eff: float, level: float) -> Floats:
    """Half the width of an interval: Student t with g_eff - 1 degrees of freedom, but at least one.

    Below two effective raters the quantile would grow without bound, to infinity at one. The floor keeps it at 12.7
    for 95 %; such an interval speaks for those raters alone, so show `g_eff` beside it.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is a probability between 0 and 1, not {level}")
    return stdtrit(max(g_eff - 1, 1.0), (1 + level) / 2) * stderr


@dataclass(frozen=True, eq=False)
class Fit:
    """Ratings and how sure they are.

    theta: [n] logits. covariance: [n, n]. n_votes: votes of weight > 0. converged: the minimum was reached.
    g_eff: effective number of clusters (of votes, where no cluster was given).
    groups: the groups whose ratings can be compared, as indices.
    """

    theta: Floats
    covariance: Floats
    n_votes: int
    converged: bool
    g_eff: float
    groups: tuple[tuple[int, ...], ...]

    @property
    def stderr(self) -> Floats:
        """[n] standard errors, logits. Zero for the pinned system and for one that met no other."""
        return np.sqrt(np.diagonal(self.covariance))

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """(low [n], high [n]); see `reach`."""
        half = reach(self.stderr, self.g_eff, level)
        return self.theta - half, self.theta + half
