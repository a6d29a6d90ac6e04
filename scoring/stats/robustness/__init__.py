"""What a board would say to its doubters: how sure is the order, and what would change it?

    card              everything below as plain JSON, rounded to 6 decimals
    draw_ranks        P(rank), P(best)
    fewest_removals   the fewest votes, or raters, without whom somebody else leads; confirmed by refitting
    separations       votes needed to tell neighbours apart
    without_heaviest, flagged, slot_effect   the board in other circumstances
    agreement         of the reward model with the votes, system by system

Arrays in, no Django. The same votes, configuration and seed give the same card.
"""

from typing import Any

import numpy as np

from scoring.stats.bradley_terry import Fit, NoFiniteEstimate
from scoring.stats.rounding import rounded

from .agreement import agreement
from .ballots import Ballots, in_order, leading_group
from .ranks import DRAWS, Ranks, draw_ranks
from .removal import Removal, fewest_removals
from .separation import ASSUMPTION, Separation, separations
from .variations import flagged, moves, slot_effect, without_heaviest

METHOD_VERSION = 1

__all__ = [
    "DRAWS",
    "METHOD_VERSION",
    "Ballots",
    "NoFiniteEstimate",
    "Ranks",
    "Removal",
    "Separation",
    "agreement",
    "card",
    "draw_ranks",
    "fewest_removals",
    "flagged",
    "moves",
    "separations",
    "slot_effect",
    "without_heaviest",
]


def card(
    ballots: Ballots,
    *,
    seed: int,
    other: Ballots | None = None,
    counted: bool = True,
    judged: dict[str, Any] | None = None,
    draws: int = DRAWS,
) -> dict[str, Any]:
    """The robustness card of a board as plain JSON.

    seed: of the rank draws, the edition's number. other: the Ballots with (or without) flagged votes where the edition
    is without (or with: `counted`) them. judged: what `agreement` says, or None without a reward model.
    """
    if not len(ballots):
        return {"votes": 0, "leader": None}
    fit = ballots.fit()
    linear = ballots.linearise(fit)
    level = ballots.config["level"]
    groups = sorted(
        (in_order(fit, group, ballots.systems) for group in fit.groups if len(group) > 1),
        key=lambda group: (-len(group), ballots.systems[group[0]]),
    )
    leader = leading_group(fit, ballots.systems)[0]
    return {
        "votes": len(ballots),
        "leader": ballots.systems[leader],
        "ranks": {
            "draws": draws,
            "seed": seed,
            "distribution": "multivariate Student t of the clustered sandwich covariance",
            "degrees_of_freedom": rounded(max(fit.g_eff - 1, 1.0)),
            "groups": [_ranks(ballots, fit, group, seed, draws, level) for group in groups],
        },
        "removal": {
            "votes": _removal(ballots, fewest_removals(ballots, fit)),
            "raters": _removal(ballots, fewest_removals(ballots, fit, _raters(ballots.cluster))),
        },
        "separation": {
            "level": level,
            "assumption": ASSUMPTION,
            "pairs": [
                _separation(ballots, one) for group in groups for one in separations(ballots, fit, linear, group, level)
            ],
        },
        "heaviest_raters": without_heaviest(ballots, fit),
        "flagged": None if other is None else flagged(ballots, other, counted=counted),
        "slot": slot_effect(ballots),
        "reward_model": judged,
    }


def _ranks(ballots: Ballots, fit: Fit, group: list[int], seed: int, draws: int, level: float) -> dict[str, Any]:
    ranks = draw_ranks(fit.theta[group], fit.covariance[np.ix_(group, group)], fit.g_eff, seed=seed, draws=draws)
    best, worst = ranks.within(level)
    return {
        "systems": [ballots.systems[system] for system in group],
        "counts": ranks.counts.tolist(),
        "p_best": [rounded(p) for p in ranks.p_best],
        "best_rank": best.tolist(),
        "worst_rank": worst.tolist(),
    }


def _raters(cluster: np.ndarray) -> np.ndarray:
    """Codes of the known raters, from 0; -1 for a vote without rater."""
    known, code = np.unique(cluster, return_inverse=True)
    return code - int((known < 0).sum()) if len(known) else code


def _removal(ballots: Ballots, removal: Removal | None) -> dict[str, Any] | None:
    if removal is None:
        return None
    return {
        "fewest": removal.fewest,
        "more_than": removal.more_than,
        "approximation": None if removal.approximation is None else int(removal.approximation),
        "of": removal.of,
        "votes": removal.n_votes,
        "new_leader": None if removal.new_leader is None else ballots.systems[removal.new_leader],
    }


def _separation(ballots: Ballots, one: Separation) -> dict[str, Any]:
    return {
        "above": ballots.systems[one.above],
        "below": ballots.systems[one.below],
        "difference": rounded(one.difference),
        "low": rounded(one.low),
        "high": rounded(one.high),
        "votes": one.votes,
        "extra": one.extra,
    }
