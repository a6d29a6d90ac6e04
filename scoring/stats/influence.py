"""What one connection or network may decide of a board, and what it does decide. Pure.

An edition's configuration says `influence`: {"most": the share of the board's weight that a network may have,
"from_connections": with how many known connections this begins}. With fewer connections there is nothing to weigh one
against, and the board says so instead.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from .bradley_terry import BadCovariate, Fit, NotOffered
from .caps import UNKNOWN, Capped, capped
from .rounding import rounded
from .votes import LedgerVotes

Votes = TypeVar("Votes", bound=LedgerVotes)


def limited(votes: Votes, config: Mapping[str, Any]) -> Votes:
    """The votes with the weights that they have on the board."""
    weight = _capped(votes, config).weight
    return votes if weight is votes.weight else replace(votes, weight=weight)


def told(
    cast: LedgerVotes,
    counted: LedgerVotes,
    config: Mapping[str, Any],
    fit: Fit,
    fit_votes: Callable[[Any, Mapping[str, Any]], Fit],
) -> dict[str, Any]:
    """{"influence": what an edition says of it}. cast: the votes as they came; counted: with their weights on the
    board; fit: of these. With enough connections: how the board would look without the busiest one."""
    known = cast.connection != UNKNOWN
    numbers, first, n_votes = np.unique(cast.connection[known], return_index=True, return_counts=True)
    limit = _capped(cast, config)
    about: dict[str, Any] = {
        "connections": int(numbers.size),
        "networks": int(np.unique(cast.network[cast.network != UNKNOWN]).size),
        "unknown": int((~known).sum()),
        "capped": [_share(cast, counted, cast.network == network, network=int(network)) for network in limit.cut],
        "largest_network": rounded(_largest(cast.network, cast.weight)),
        "busiest": None,
        "without_busiest": None,
    }
    if numbers.size:
        busiest = int(numbers[np.lexsort((first, -n_votes))[0]])
        about["busiest"] = _share(cast, counted, cast.connection == busiest, connection=busiest)
        if numbers.size >= config["influence"]["from_connections"]:
            about["without_busiest"] = _without(counted, cast.connection != busiest, config, fit, fit_votes)
    return {"influence": about}


def may_bind(result: Mapping[str, Any], config: Mapping[str, Any], n_votes: int, n_new: int) -> bool:
    """Whether some network may by now weigh more than its share of `n_votes` votes. result: of the edition before;
    n_new: votes since then that may all have come over one network, or each over a new connection."""
    about, rule = result["influence"], config["influence"]
    if about["capped"]:
        return True
    if about["connections"] + n_new < rule["from_connections"]:
        return False
    return bool(about["largest_network"] * result["n_votes"] + n_new > rule["most"] * n_votes)


def _capped(votes: LedgerVotes, config: Mapping[str, Any]) -> Capped:
    rule = config.get("influence")
    if not rule or np.unique(votes.connection[votes.connection != UNKNOWN]).size < rule["from_connections"]:
        return Capped(votes.weight, np.empty(0, int), np.inf)
    return capped(votes.weight, votes.network, rule["most"])


def _share(cast: LedgerVotes, counted: LedgerVotes, which: np.ndarray, **names: int) -> dict[str, Any]:
    return {
        **names,
        "votes": int(which.sum()),
        "raters": int(np.unique(cast.cluster[which]).size),
        "share": rounded(cast.weight[which].sum() / cast.weight.sum()),
        "counts_as": rounded(counted.weight[which].sum() / counted.weight.sum()),
    }


def _largest(group: np.ndarray, weight: np.ndarray) -> float:
    """The largest share of the weight that one group has."""
    known = group != UNKNOWN
    _, of = np.unique(group[known], return_inverse=True)
    return float(np.bincount(of, weight[known]).max(initial=0.0) / weight.sum())


def _without(
    votes: LedgerVotes,
    kept: np.ndarray,
    config: Mapping[str, Any],
    fit: Fit,
    fit_votes: Callable[[Any, Mapping[str, Any]], Fit],
) -> dict[str, Any] | None:
    """The leader, and which system's rank moves most; None where the votes that are left have no board of this kind."""
    if not kept.any():
        return None
    columns = {name: getattr(votes, name)[kept] for name in ("a", "b", "outcome", "weight", "cluster")}
    covariates = {name: values[kept] for name, values in votes.covariates.items()}
    try:
        ranks = _ranks(fit_votes(replace(votes, **columns, covariates=covariates), config), votes)
    except (BadCovariate, NotOffered):
        return None
    before = _ranks(fit, votes)
    moves = {name: ranks[name] - place for name, place in before.items() if name in ranks}
    most = max(moves, key=lambda name: (abs(moves[name]), -before[name]))
    return {"leader": min(ranks, key=lambda name: ranks[name]), "largest_rank_move": abs(moves[most]), "system": most}


def _ranks(fit: Fit, votes: LedgerVotes) -> dict[str, int]:
    """{system: its place in the largest group, from 1 up}; equal ratings by name, as on the board."""
    names = votes.systems
    groups = [sorted(group, key=lambda system: (-rounded(fit.theta[system]), names[system])) for group in fit.groups]
    largest = min(groups, key=lambda group: (-len(group), names[group[0]]))
    return {names[system]: place for place, system in enumerate(largest, start=1)}
