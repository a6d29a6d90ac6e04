"""What a system's makers ask of its votes: against whom, on what, how surely. Arrays in, frozen dataclasses out.

Intervals here take votes to be independent; those of a rating are clustered by rater and so the more careful ones.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from annotations.proportions import wilson
from scoring.stats.bradley_terry import BOTH_BAD

LEVEL = 0.95
Z = 1.959963984540054  # of a normal at LEVEL
PRIOR_VOTES = 10.0  # that went as expected, on every prompt, before anybody voted
MOST_BINS = 12


@dataclass(frozen=True)
class Tally:
    """Answers as one side sees them."""

    wins: int
    losses: int
    ties: int
    both_bad: int

    @classmethod
    def of(cls, credit: ArrayLike) -> "Tally":
        """credit: float [V]: 1 won, 0 lost, 0.5 tied, BOTH_BAD (-1) neither good enough."""
        credit = np.asarray(credit, dtype=float)
        wins, losses, ties, both_bad = (int((credit == value).sum()) for value in (1, 0, 0.5, BOTH_BAD))
        if wins + losses + ties + both_bad != credit.size:
            raise ValueError("a credit is not 1, 0, 0.5 or BOTH_BAD")
        return cls(wins, losses, ties, both_bad)

    @property
    def n(self) -> int:
        """Answers that say who was better, or that neither was."""
        return self.wins + self.losses + self.ties

    @property
    def share(self) -> float | None:
        """Of n, that were won; a tie is half a win."""
        return (self.wins + self.ties / 2) / self.n if self.n else None

    def interval(self) -> tuple[float, float] | None:
        """Wilson's (1927), 95 %: with ties a little too wide, since half a win varies less than a whole one."""
        return None if self.share is None else wilson(self.share * self.n, self.n)


def tallies(labels: ArrayLike, credit: ArrayLike) -> dict[Any, Tally]:
    """{label: Tally} of the votes with it, labels ascending. labels, credit: [V]."""
    labels, credit = np.asarray(labels), np.asarray(credit, dtype=float)
    known, of = np.unique(labels, return_inverse=True)
    order = np.argsort(of, kind="stable")
    parts = np.split(credit[order], np.cumsum(np.bincount(of, minlength=len(known)))[:-1]) if len(known) else []
    return {label: Tally.of(part) for label, part in zip(known.tolist(), parts, strict=True)}


@dataclass(frozen=True)
class Excess:
    """How much more than expected was won on something, per vote, drawn towards 0 where votes are few."""

    n: int
    expected: float
    value: float
    low: float
    high: float


def excess(labels: ArrayLike, credit: ArrayLike, expected: ArrayLike, prior: float = PRIOR_VOTES) -> dict[Any, Excess]:
    """{label: Excess}, labels ascending. labels [V]; credit float [V] in [0, 1]; expected float [V], P(win) +
    P(tie) / 2 against each vote's opponent.

    value = sum(credit - expected) / (n + prior): as if `prior` more votes had gone as expected. That is the posterior
    mean of an effect that adds to the probability and is N(0, v / prior), v the mean of expected (1 - expected); with
    10 votes, of standard deviation 0.16 between even systems. Its own standard deviation is sqrt(v / (n + prior)); the
    interval is that of LEVEL.
    """
    labels, credit, expected = np.asarray(labels), np.asarray(credit, dtype=float), np.asarray(expected, dtype=float)
    if prior <= 0:
        raise ValueError(f"prior is {prior}; it is a number of votes above 0")
    known, of = np.unique(labels, return_inverse=True)
    n, mean = np.bincount(of, minlength=len(known)), np.bincount(of, expected, len(known))
    value = np.bincount(of, credit - expected, len(known)) / (n + prior)
    half = Z * np.sqrt(np.bincount(of, expected * (1 - expected), len(known)) / n / (n + prior))
    columns = known, n, mean / n, value, value - half, value + half
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {label: Excess(*figures) for label, *figures in rows}


def votes_to_separate(difference: float, half: float, stderr: float) -> int | None:
    """Votes on these two alone until the interval of their difference is expected to exclude 0; 0 where it does, None
    where they are estimated to be equal.

    difference: of two ratings, logits. half: half the width of its interval now. stderr: its standard error now.
    One vote on the two adds the information p (1 - p), p = expit(difference), to 1 / stderr^2; so half shrinks with
    sqrt(1 + m p (1 - p) stderr^2) and reaches |difference| at m = ((half / difference)^2 - 1) / (p (1 - p) stderr^2),
    if the difference stays as it is and raters vote as independently as until now.
    """
    if not (np.isfinite([difference, half, stderr]).all() and half >= 0 and stderr >= 0):
        raise ValueError("the difference, its interval and its standard error are finite numbers")
    if abs(difference) > half:
        return 0
    if abs(difference) < 1e-6:
        return None
    p = float(expit(difference))
    return int(np.ceil(((half / difference) ** 2 - 1) / (p * (1 - p) * stderr**2)))


@dataclass(frozen=True, eq=False)
class Pooled:
    """Votes on the same two things, in one row each.

    pairs: int [P, 2], ascending, the lower first. low_won, high_won, ties: int [P]. of: int [V], each vote's row.
    first: int [P], a vote of each. swapped: bool [V], the vote's a is the higher.
    """

    pairs: np.ndarray
    low_won: np.ndarray
    high_won: np.ndarray
    ties: np.ndarray
    of: np.ndarray
    first: np.ndarray
    swapped: np.ndarray


def pool(a: ArrayLike, b: ArrayLike, outcome: ArrayLike) -> Pooled:
    """a, b: int [V], different; outcome: float [V], credit to a: 1, 0 or 0.5."""
    a, b, outcome = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64), np.asarray(outcome, dtype=float)
    swapped = a > b
    both = np.column_stack([np.minimum(a, b), np.maximum(a, b)])
    pairs, first, of = np.unique(both, axis=0, return_index=True, return_inverse=True)
    of, credit = of.reshape(-1), np.where(swapped, 1 - outcome, outcome)
    low_won, high_won, ties = (np.bincount(of[credit == value], minlength=len(pairs)) for value in (1, 0, 0.5))
    return Pooled(pairs, low_won, high_won, ties, of, first, swapped)


def surprise(n_winner: ArrayLike, n_loser: ArrayLike, margin: ArrayLike) -> np.ndarray:
    """float [P], nats: how much likelier the votes would be if the model had its odds the other way round.

    n_winner, n_loser: decisive votes [P]; margin: logit of the model's probability for the winner [P]. It is the log of
    the ratio of the two likelihoods, (n_winner - n_loser) * -margin; so single votes come in the order of the winner's
    probability, lowest first, votes that agree add up, and split ones cancel.
    """
    return (np.asarray(n_winner, dtype=float) - np.asarray(n_loser)) * -np.asarray(margin, dtype=float)


def histogram(values: ArrayLike) -> list[tuple[float, float, int]]:
    """[(low, high, count)] of equal bins (Rice's rule, at most 12) from the least to the greatest; the last takes both
    its ends. Empty for no value; one bin where all are the same."""
    values = np.asarray(values, dtype=float)
    if not values.size:
        return []
    if values.min() == values.max():
        return [(float(values[0]), float(values[0]), int(values.size))]
    counts, edges = np.histogram(values, min(MOST_BINS, int(np.ceil(2 * values.size ** (1 / 3)))))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True))
