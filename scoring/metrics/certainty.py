"""Whether a board says enough to be more than preliminary. Pure: from an edition's result alone, so that it can be said
of every edition there is. The thresholds are conventions: below them the intervals of few raters are rough (see
docs/methods.md), and a plot shows little but their width."""

from collections.abc import Mapping
from statistics import median
from typing import Any

VOTES_PER_SYSTEM = 10  # votes on the board for each system that it rates
RATERS = 5  # of equal weight: `g_eff`
HALF_WIDTH = 3.0  # logits, of the interval of a typical system


def half_width(rating: Mapping[str, Any]) -> float:
    """Of the interval of a rating, in logits."""
    return (rating["high"] - rating["low"]) / 2


def is_vague(rating: Mapping[str, Any]) -> bool:
    """Whether the interval of a rating is too wide to be drawn beside others."""
    return half_width(rating) > HALF_WIDTH


def shortfalls(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the result of an edition lacks to be more than preliminary: [{"reason", "has", "needs"}], reason being
    `votes`, `raters` or `intervals`; empty where it lacks nothing."""
    ratings = [rating for group in result["groups"] for rating in group]
    typical = median(map(half_width, ratings)) if ratings else 0.0
    needed = VOTES_PER_SYSTEM * max(len(ratings), 2)
    lacks = []
    if result["n_votes"] < needed:
        lacks.append({"reason": "votes", "has": result["n_votes"], "needs": needed})
    if result["g_eff"] < RATERS:
        lacks.append({"reason": "raters", "has": round(result["g_eff"], 1), "needs": RATERS})
    if typical > HALF_WIDTH:
        lacks.append({"reason": "intervals", "has": round(typical, 2), "needs": HALF_WIDTH})
    return lacks
