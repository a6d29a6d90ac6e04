"""Draw the next pair of systems, with the probability that it was drawn with."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Draw:
    index: int
    probability: float


def draw_least_voted(counts: Sequence[int], epsilon: float, rng: Random) -> Draw:
    """One of `len(counts)` options: with probability `epsilon` any, else one of those with the fewest votes.

    counts: votes of each option that may be drawn. epsilon: in [0.1, 1]; the uniform share keeps every
    option's probability at or above epsilon / n, so that inverse-probability weights stay bounded.
    Returns the option's index and its probability under the whole mixture, whichever branch drew it.
    """
    if not counts:
        raise ValueError("nothing to draw from")
    if not 0.1 <= epsilon <= 1:
        raise ValueError(f"epsilon is {epsilon}; it lies between 0.1 and 1")
    fewest = min(counts)
    least = [index for index, count in enumerate(counts) if count == fewest]
    index = rng.randrange(len(counts)) if rng.random() < epsilon else rng.choice(least)
    probability = epsilon / len(counts)
    if counts[index] == fewest:
        probability += (1 - epsilon) / len(least)
    return Draw(index, probability)


def draw_uniform(n: int, rng: Random) -> Draw:
    """One of `n` options, each with probability 1 / n."""
    if n < 1:
        raise ValueError("nothing to draw from")
    return Draw(rng.randrange(n), 1 / n)
