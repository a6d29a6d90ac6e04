"""The weight of a vote that makes a board what it would be, had every pair been as likely as any other.

A pair drawn with probability p among m that this rater could have been given weighs (1/m) / p: what it was drawn too
often, it weighs too little (Horvitz & Thompson 1952, J. Am. Stat. Assoc. 47). The board then tends to that of uniform
pairing whether or not the ratings explain the votes; the price are wider intervals. Unweighted, it tends to the ratings
that explain best what was drawn: the same, where Bradley-Terry holds, and else not.
"""

import numpy as np

NONE, UNIFORM_PAIRS = "none", "uniform_pairs"
WEIGHTINGS = (NONE, UNIFORM_PAIRS)


def uniform_pair_weights(pair_probability: np.ndarray, eligible_pairs: np.ndarray) -> np.ndarray:
    """float [V]: the weight of each vote, NaN where it is not known how its pair was drawn.

    pair_probability: float [V], NaN where unknown. eligible_pairs: int [V], 0 where unknown.
    """
    chance = pair_probability.astype(float) * eligible_pairs
    return np.divide(1.0, chance, out=np.full(chance.shape, np.nan), where=chance > 0)
