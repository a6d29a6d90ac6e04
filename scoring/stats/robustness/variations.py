"""The same board without its heaviest raters, with and without flagged votes, and adjusted for the slot."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import binomtest

from annotations.proportions import wilson
from scoring.stats.board_method import HALF_TIE
from scoring.stats.bradley_terry import BOTH_BAD, BadCovariate, CovariateFit, Fit, NoFiniteEstimate, NotOffered
from scoring.stats.bradley_terry.pairs import SLOT
from scoring.stats.rounding import rounded

from .ballots import Ballots, leading_group

HEAVIEST = 5
NO_FIT = (NotOffered, BadCovariate, NoFiniteEstimate)


def moves(ballots: Ballots, before: Fit, after: Fit) -> dict[str, Any]:
    """How a board moves from one fit to another of the same systems: who leads, and by system how far its rating went.

    A system that no vote is left of, or that cannot be compared with the leader any more, has no rating to move.
    """
    first, then = leading_group(before, ballots.systems), leading_group(after, ballots.systems)
    names, both = ballots.systems, sorted(set(first) & set(then))
    shifts = {names[system]: rounded(after.theta[system] - before.theta[system]) for system in both}
    largest = max(shifts, key=lambda name: (abs(shifts[name]), name)) if shifts else None
    return {
        "leader": names[then[0]],
        "leader_changes": then[0] != first[0],
        "rank_changes": sum(first.index(system) != then.index(system) for system in both),
        "largest_shift": {"system": largest, "shift": shifts[largest]} if largest else None,
        "shifts": shifts,
    }


def without_heaviest(ballots: Ballots, fit: Fit, top: int = HEAVIEST) -> list[dict[str, Any]]:
    """The raters of most votes, each left out alone, heaviest first. Nobody is named: `votes` tells them apart."""
    rater = ballots.cluster
    known, n_votes = np.unique(rater[rater >= 0], return_counts=True)
    heaviest = known[np.argsort(-n_votes, kind="stable")][:top]
    return [_without(ballots, fit, rater == one) for one in heaviest]


def _without(ballots: Ballots, fit: Fit, theirs: np.ndarray) -> dict[str, Any]:
    rest = ballots.kept(~theirs)
    about = {"votes": int(theirs.sum()), "share": rounded(theirs.mean())}
    try:
        return about | moves(ballots, fit, rest.fit()) if len(rest) else about | {"unknown": "no vote is left"}
    except NO_FIT as reason:
        return about | {"unknown": str(reason)}


def flagged(edition: Ballots, other: Ballots, *, counted: bool) -> dict[str, Any]:
    """The board with flagged votes and without. edition, other: Ballots; counted: whether the edition counts them.

    Ratings in logits by system, None where a system has no vote; the difference is (without - with).
    """
    sides = {"with": edition, "without": other} if counted else {"with": other, "without": edition}
    n_flagged = len(sides["with"]) - len(sides["without"])
    about = {"edition_counts_them": counted, "votes": {name: len(side) for name, side in sides.items()}}
    if not n_flagged:
        return about | {"flagged": 0}
    try:
        ratings = {name: _ratings(side) for name, side in sides.items()}
    except NO_FIT as reason:
        return about | {"flagged": n_flagged, "unknown": str(reason)}
    systems = {
        name: {side: ratings[side].get(name) for side in ratings} for name in sorted(set().union(*ratings.values()))
    }
    for row in systems.values():
        sizes = row["with"], row["without"]
        row["shift"] = None if sizes[0] is None or sizes[1] is None else rounded(sizes[1] - sizes[0])
    return about | {
        "flagged": n_flagged,
        "leader": {side: next(iter(ratings[side]), None) for side in ratings},
        "systems": systems,
    }


def _ratings(ballots: Ballots) -> dict[str, float]:
    """{system: rating} of the leading group, highest first."""
    if not len(ballots):
        return {}
    fit = ballots.fit()
    return {ballots.systems[system]: rounded(fit.theta[system]) for system in leading_group(fit, ballots.systems)}


def slot_effect(ballots: Ballots) -> dict[str, Any] | None:
    """Does it matter where a clip stood? The share of decided votes that slot B won, with Wilson's interval and the
    exact two-sided p-value of there being no effect, votes taken as independent; and what adjusting for the slot
    does to the order, whose effect's interval is clustered by rater. Half-ties, whatever the board's treatment.
    """
    decided = (ballots.outcome == 0) | (ballots.outcome == 1)
    n, won = int(decided.sum()), int((ballots.outcome == 0).sum())
    if not n:
        return None
    low, high = wilson(won, n) or (0.0, 1.0)
    share = {
        "decided": n,
        "b_won": won,
        "share": rounded(won / n),
        "low": rounded(low),
        "high": rounded(high),
        "p_value": rounded(binomtest(won, n).pvalue),
    }
    return share | {"adjusted": _adjusted(ballots)}


def _adjusted(ballots: Ballots) -> dict[str, Any]:
    others = [name for name in ballots.config.get("covariates", ()) if name != SLOT]
    votes = ballots.kept(ballots.outcome != BOTH_BAD)
    half_ties = votes.config | {"treatment": HALF_TIE}
    columns = {name: votes.covariates[name] for name in others} | {SLOT: np.ones(len(votes))}
    plain = _with(votes, half_ties | {"covariates": others}, columns)
    slotted = _with(votes, half_ties | {"covariates": [*others, SLOT]}, columns)
    try:
        before, after = plain.fit(), slotted.fit()
    except NO_FIT as reason:
        return {"unknown": str(reason)}
    assert isinstance(after, CovariateFit), "it has the slot"
    low, high = after.beta_interval(votes.config["level"])
    effect = {"value": after.beta[-1], "stderr": after.beta_stderr[-1], "low": low[-1], "high": high[-1]}
    return {"effect": {name: rounded(value) for name, value in effect.items()}, **moves(votes, before, after)}


def _with(votes: Ballots, config: dict[str, Any], columns: Mapping[str, np.ndarray]) -> Ballots:
    return replace(votes, config=config, covariates={name: columns[name] for name in config["covariates"]})
