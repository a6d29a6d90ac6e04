"""A reward model's biases by time: each part of the anchor pairs by itself, whether the newest part says something else
than those before it, and how many pairs the biases still want. Pure; the fits are those of `anchors`.

A change is fitted to the newest part on top of the biases of the parts before, with the ridge towards no change, so
that parts of different size, which a ridge towards no bias shrinks differently, are not taken for one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from scoring.stats.anchors import Anchors, fit_anchors
from scoring.stats.bradley_terry import NoFiniteEstimate

METHOD, METHOD_VERSION = "anchor fit", 1
MOST_PARTS = 6
FEWEST_PAIRS = 15  # per system and part, on average; fewer show nothing but noise
RIDGE = 1.0
LOOK_AFTER = MOST_PARTS / (MOST_PARTS - 1)  # times the pairs of the last look for a change: the newest part is new


@dataclass(frozen=True, eq=False)
class AnchorPairs:
    """Decided votes on scored clips, in ledger order. [V] each: rewards, systems' names, whether a won, raters, seq."""

    score_a: NDArray[np.float64]
    score_b: NDArray[np.float64]
    system_a: NDArray[np.str_]
    system_b: NDArray[np.str_]
    a_wins: NDArray[np.float64]
    cluster: NDArray[Any]
    seq: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.a_wins)

    def __getitem__(self, rows: np.ndarray) -> "AnchorPairs":
        return AnchorPairs(*(column[rows] for column in vars(self).values()))

    @property
    def systems(self) -> set[str]:
        return {*self.system_a.tolist(), *self.system_b.tolist()}

    def between(self, systems: set[str]) -> "AnchorPairs":
        """The pairs both of whose systems are among these."""
        named = sorted(systems)
        return self[np.isin(self.system_a, named) & np.isin(self.system_b, named)]


def fit(pairs: AnchorPairs, anchor_system: str | None = None) -> tuple[Anchors, float, bool]:
    """(Anchors, the ridge used, whether pinned). Pinned to `anchor_system` where some pair has it, without a ridge if
    the wins settle every bias; else centred, under the ridge of 1 (biases are expected to be N(0, 1/2))."""
    pinned = anchor_system in pairs.systems
    if pinned:
        try:
            return _fitted(pairs, anchor_system, 0.0), 0.0, True
        except NoFiniteEstimate:
            pass
    return _fitted(pairs, anchor_system if pinned else None, RIDGE), RIDGE, pinned


def _fitted(pairs: AnchorPairs, anchor_system: str | None, l2: float) -> Anchors:
    return fit_anchors(
        pairs.score_a, pairs.score_b, pairs.system_a.tolist(), pairs.system_b.tolist(), pairs.a_wins,
        l2=l2, anchor_system=anchor_system, cluster=pairs.cluster,
    )  # fmt: skip


def parts(pairs: AnchorPairs) -> list[AnchorPairs]:
    """The pairs by time, in parts of equal size, at most 6 and as many as have enough pairs; one where they do not."""
    n = min(MOST_PARTS, max(1, 2 * len(pairs) // (FEWEST_PAIRS * max(len(pairs.systems), 1))))
    return [pairs[rows] for rows in np.array_split(np.arange(len(pairs)), n)]


@dataclass(frozen=True)
class Change:
    """How much a system's bias of the newest part differs from that of the parts before, with an interval that holds
    for all systems at once (Bonferroni)."""

    system: str
    before: float
    change: float
    low: float
    high: float

    @property
    def moved(self) -> bool:
        return self.low > 0 or self.high < 0


def changes(of: list[AnchorPairs], anchor_system: str | None = None, level: float = 0.95) -> list[Change]:
    """Of the systems that both the newest part and those before it have, where their pairs connect them; none where
    there is one part. Raters in both parts make the intervals too wide, not too narrow: their tastes cancel.
    Where no system is pinned the sum of the biases is: what one gains, the others lose between them."""
    if len(of) < 2:
        return []
    newest, earlier = (
        of[-1],
        AnchorPairs(*(np.concatenate(column) for column in zip(*map(_columns, of[:-1]), strict=True))),
    )
    both = newest.systems & earlier.systems
    newest, earlier = newest.between(both), earlier.between(both)
    both = newest.systems & earlier.systems
    pin = anchor_system if anchor_system in both else None
    if len(both) < 2 or newest.systems != earlier.systems:
        return []
    before = _fitted(earlier, pin, RIDGE)
    after = _fitted(_corrected(newest, before.bias), pin, RIDGE)
    assert before.fit and after.fit, "they were fitted here"
    if max(len(before.fit.groups), len(after.fit.groups)) > 1:
        return []
    moving = [system for system in sorted(both) if system != pin]
    g_eff = min(before.fit.g_eff, after.fit.g_eff)
    quantile = stdtrit(max(g_eff - 1, 1.0), 1 - (1 - level) / (2 * len(moving)))
    found = []
    for system in moving:
        half = float(quantile * np.hypot(before.stderr[system], after.stderr[system]))
        change = after.bias[system]
        found.append(Change(system, before.bias[system], change, change - half, change + half))
    return found


def _columns(pairs: AnchorPairs) -> list[NDArray[Any]]:
    return list(vars(pairs).values())


def _corrected(pairs: AnchorPairs, bias: Mapping[str, float]) -> AnchorPairs:
    of_a, of_b = (np.array([bias[system] for system in column]) for column in (pairs.system_a, pairs.system_b))
    return AnchorPairs(pairs.score_a - of_a, pairs.score_b - of_b, *_columns(pairs)[2:])


def pairs_needed(anchors: Anchors, half_width: float, l2: float, level: float = 0.95) -> dict[str, int]:
    """Further pairs of each system until its interval reaches `half_width` logits to either side, about.

    What a pair tells stays the same on average: information, 1 / stderr^2 less what the ridge adds (2 l2), grows with
    the number of pairs, by raters who vote as often as those so far. 0 for a pinned system.
    """
    if not half_width > 0:
        raise ValueError(f"half_width is a number of logits above 0, not {half_width}")
    found = {}
    for system, (low, high) in anchors.interval(level).items():
        half, n, stderr = (high - low) / 2, anchors.n_pairs[system], anchors.stderr[system]
        if half <= half_width:
            found[system] = 0
            continue
        known = max(1 / stderr**2 - 2 * l2, 0.1 / stderr**2)
        wanted = (half / half_width / stderr) ** 2 - 2 * l2
        found[system] = max(0, ceil(n * (wanted / known - 1)))
    return found
