"""The fewest votes, or raters, without whom somebody else would lead.

To find the fewest is to try all subsets. The approximate maximum influence perturbation takes the votes of largest
influence until their influences add up to the gap: Broderick, Giordano & Meager (2020), arXiv 2011.14999, section 2.
Here it only proposes. What is reported was confirmed by a fit without those votes: so it is an upper bound of the
fewest, and exact as far as it goes.
"""

from dataclasses import dataclass

import numpy as np

from scoring.stats.bradley_terry import BadCovariate, NoFiniteEstimate, NotOffered, sums
from scoring.stats.bradley_terry.results import Fit, Floats, Ints

from .ballots import Ballots, leading_group

LIMIT = 0.5  # share of the votes beyond which nobody would say "the same board, but for"
CANDIDATES, CONFIRMED = 8, 3  # rivals whose influences are looked at, and of these the nearest that are tried
ROUNDS = 60
EQUAL = 1e-9  # logits


@dataclass(frozen=True, eq=False)
class Removal:
    """fewest: how many, confirmed; None if more than `more_than`. approximation: what the influences alone promised,
    None where they never add up. new_leader: index. removed: bool [V], the votes. n_votes: how many those are."""

    fewest: int | None
    more_than: int | None
    approximation: int | None
    new_leader: int | None
    removed: np.ndarray
    of: int

    @property
    def n_votes(self) -> int:
        return int(self.removed.sum())


def fewest_removals(ballots: Ballots, fit: Fit, unit: np.ndarray | None = None) -> Removal | None:
    """A Removal, or None where nobody stands beside the leader.

    unit: int [V], what is removed at once (a rater's code, from 0); below 0 a vote that stays. Without it each vote.
    """
    order = leading_group(fit, ballots.systems)
    if len(order) < 2:
        return None
    unit = np.arange(len(ballots)) if unit is None else unit
    n_units = int(unit.max(initial=-1)) + 1
    if not n_units:
        return None
    search = _Search(ballots, unit, n_units, order[0])
    plans = sorted(search.plan(fit, rival) for rival in _nearest(fit, order))
    found = [search.flip(fit, rival) for _, rival in plans[:CONFIRMED]]
    flipped = [one for one in found if one is not None]
    approximation = int(plans[0][0]) if np.isfinite(plans[0][0]) else None
    if not flipped:
        return Removal(None, search.limit, approximation, None, np.zeros(len(ballots), bool), n_units)
    units, leader = min(flipped, key=lambda one: len(one[0]))
    return Removal(len(units), None, approximation, leader, np.isin(unit, units), n_units)


def _nearest(fit: Fit, order: list[int]) -> list[int]:
    """The rivals who need least luck: smallest difference by its standard error."""
    leader, variance = order[0], np.diagonal(fit.covariance)
    spread = np.maximum(variance + variance[leader] - 2 * fit.covariance[leader], 1e-300)
    return sorted(order[1:], key=lambda rival: (fit.theta[leader] - fit.theta[rival]) / np.sqrt(spread[rival]))[
        :CANDIDATES
    ]


@dataclass(frozen=True, eq=False)
class _Search:
    ballots: Ballots
    unit: np.ndarray
    n_units: int
    leader: int

    @property
    def limit(self) -> int:
        return max(1, int(LIMIT * self.n_units))

    def gains(self, ballots: Ballots, unit: np.ndarray, fit: Fit, rival: int) -> Floats:
        """float [n_units]: how much leaving the unit out brings the rival nearer, to first order."""
        linear = ballots.linearise(fit)
        moved = linear.without_each(linear.contrast(rival, self.leader))
        stays = unit < 0
        return sums.totals(unit[~stays], moved[~stays], self.n_units)

    def plan(self, fit: Fit, rival: int) -> tuple[float, int]:
        """(how many units it takes to first order, or inf; the rival)."""
        gains = self.gains(self.ballots, self.unit, fit, rival)
        return self.needed(np.sort(gains)[::-1], fit, rival), rival

    def needed(self, gains: Floats, fit: Fit, rival: int) -> float:
        """How many of the gains, descending, close the gap; inf if all the helpful ones do not."""
        reach = np.cumsum(np.maximum(gains, 0))
        gap = fit.theta[self.leader] - fit.theta[rival]
        enough = np.searchsorted(reach, gap, side="right") + 1
        return enough if enough <= (gains > 0).sum() else np.inf

    def flip(self, fit: Fit, rival: int) -> tuple[Ints, int] | None:
        """(units, the new leader), confirmed and cut short at the end; None if it takes more than the limit.

        Half of what seems needed is taken at a time, so that what is taken later is chosen by its influence then.
        """
        taken, held = np.empty(0, np.intp), 0
        for _ in range(ROUNDS):
            kept = ~np.isin(self.unit, taken)
            ballots = self.ballots.kept(kept)
            gains = self.gains(ballots, self.unit[kept], fit, rival)
            gains[taken] = -np.inf
            order = np.argsort(-gains, kind="stable")
            helpful = int((gains > 0).sum())
            needed = min(self.needed(gains[order], fit, rival), helpful)
            room = self.limit - len(taken)
            step = min(int(np.ceil(needed / 2)), room)
            if step < 1:
                return None
            held, taken = len(taken), np.append(taken, order[:step])
            fit, leader = self.without(taken)
            if fit is None or leader is None:
                return None
            if leader != self.leader:
                return self.shortest(taken, held, leader)
            if not self.comparable(fit, rival):
                return None
        return None

    def without(self, taken: Ints) -> tuple[Fit, int] | tuple[None, None]:
        """(fit, who leads the group of the old leader) without these units; (None, None) where there is no fit."""
        ballots = self.ballots.kept(~np.isin(self.unit, taken))
        if not len(ballots):
            return None, None
        try:
            fit = ballots.fit()
        except (NotOffered, BadCovariate, NoFiniteEstimate):
            return None, None
        group = next(group for group in fit.groups if self.leader in group)
        best = max(group, key=lambda system: (fit.theta[system], -system))
        return fit, best if fit.theta[best] > fit.theta[self.leader] + EQUAL else self.leader

    def comparable(self, fit: Fit, rival: int) -> bool:
        return any(self.leader in group and rival in group for group in fit.groups)

    def shortest(self, taken: Ints, held: int, leader: int) -> tuple[Ints, int]:
        """The shortest beginning of `taken` found to do, by bisection; the first `held` do not."""
        enough = len(taken)
        while enough - held > 1:
            middle = (enough + held) // 2
            _, there = self.without(taken[:middle])
            if there is not None and there != self.leader:
                enough, leader = middle, there
            else:
                held = middle
        return taken[:enough], leader
