"""How many votes say what of each pair of systems: all that a point estimate needs of them, however many they are.

Counts of disjoint sets of votes add up, so new votes are added to those there are, and votes that are left out since
are taken away again. Pure.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import board_method
from .bradley_terry import BOTH_BAD

COUNTED = ("low_won", "high_won", "ties", "both_bad")
COUNTS = np.dtype([(name, "<i4") for name in ("low", "high", *COUNTED)])
CREDIT_TO_LOW = (1.0, 0.0, 0.5, BOTH_BAD)


def count(a: np.ndarray, b: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """COUNTS [P], a row for each pair that has votes, by the systems' numbers, the lower one first.

    a, b: int [V], numbers of systems. outcome: float [V], credit to a, or BOTH_BAD.
    """
    rows = np.zeros(len(a), COUNTS)
    rows["low"], rows["high"] = np.minimum(a, b), np.maximum(a, b)
    to_low = np.where((a > b) & (outcome != BOTH_BAD), 1 - outcome, outcome)
    for name, credit in zip(COUNTED, CREDIT_TO_LOW, strict=True):
        rows[name] = to_low == credit
    return added(rows)


def added(*parts: np.ndarray) -> np.ndarray:
    """The sum of some COUNTS. ValueError where a pair would have fewer than no votes."""
    rows = np.concatenate(parts)
    most = int(rows["high"].max(initial=0)) + 1
    pairs, of = np.unique(rows["low"].astype(np.int64) * most + rows["high"], return_inverse=True)
    total = np.zeros(len(pairs), COUNTS)
    total["low"], total["high"] = divmod(pairs, most)
    for name in COUNTED:
        total[name] = np.bincount(of, rows[name], len(pairs))
        if total[name].min(initial=0) < 0:
            raise ValueError(f"more votes would be taken away from {name} than it has")
    return total[sum(total[name] for name in COUNTED) > 0]


def taken_away(counts: np.ndarray) -> np.ndarray:
    """The COUNTS that, added to others, take these away."""
    less = counts.copy()
    for name in COUNTED:
        less[name] = -less[name]
    return less


def n_votes(counts: np.ndarray) -> int:
    return int(sum(counts[name].sum() for name in COUNTED))


def ratings(counts: np.ndarray, config: Mapping[str, Any]) -> dict[int, float]:
    """{system's number: rating}, those of the board of the same votes under an edition's configuration. Raises what
    `board_method.fit_votes` raises."""
    systems = np.union1d(counts["low"], counts["high"])
    if not systems.size:
        return {}
    low, high = np.searchsorted(systems, counts["low"]), np.searchsorted(systems, counts["high"])
    told = [(counts[name] > 0, name, credit) for name, credit in zip(COUNTED, CREDIT_TO_LOW, strict=True)]
    fit = board_method.FITS[config.get("treatment")](
        np.concatenate([low[some] for some, *_ in told]),
        np.concatenate([high[some] for some, *_ in told]),
        np.concatenate([np.full(some.sum(), credit) for some, _, credit in told]),
        len(systems),
        weight=np.concatenate([counts[name][some] for some, name, _ in told]),
        l2=config["l2"],
    )
    return dict(zip(systems.tolist(), fit.theta.tolist(), strict=True))
