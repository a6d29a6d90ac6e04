"""From the votes of a study, and which of them are in which category, to the canonical result of all its categories.
No database; the same input, the same JSON.

A tie is half a win and "both bad" is left out, whatever the edition's own treatment: one way for all categories, and
the overall board beside them is computed so too.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from . import bradley_terry, pooling, win_rates
from .rounding import rounded
from .votes import LedgerVotes

METHOD, METHOD_VERSION = "pooled-bradley-terry", 2
Members = Mapping[str, Mapping[str, np.ndarray]]  # {kind: {name: bool [V]}}
TAG, LANGUAGE, GROUP = "tag", "language", "group"
OF_LISTENERS = (LANGUAGE, GROUP)  # what these rest on is erased by a withdrawal
CONFIG: dict[str, Any] = {
    "treatment": "half_tie",
    "tie": "half a win each way",
    "both_bad": "excluded",
    "min_raters": {TAG: 0, LANGUAGE: 20, GROUP: 20},  # below it a board would be of persons
    "pairs_up_to": 50,  # systems; more make no heat map that anybody can read
}


def compute(votes: LedgerVotes, members: Members, config: Mapping[str, Any]) -> dict[str, Any]:
    """The boards of the categories of a StudyVotes, as plain JSON.

    members: {kind: {name: bool [V]}}. Of each category of enough raters, but not of all votes: the pooled ratings,
    beside each the overall one and how far the rating follows the category's own votes; and how often who won against
    whom, as [a, b, wins, losses, ties, effective votes] with a, b indices into `systems`.
    """
    if not len(votes.outcome):
        return {"systems": [], "overall": None, "categories": {}, **_about(votes, members, {}, {})}
    arguments = votes.a, votes.b, votes.outcome, len(votes.systems)
    settings = {"weight": votes.weight, "cluster": votes.cluster, "l2": config["l2"]}
    overall = bradley_terry.fit(*arguments, **settings)
    counted = pooling.Votes.of(*arguments, **settings)
    shown, spreads = {}, {}
    for kind, named in members.items():
        found = {name: inside for name, inside in sorted(named.items()) if _is_shown(votes, inside, kind, config)}
        if found:
            spreads[kind] = pooling.estimate_spread(counted, list(found.values()))
        for place, (name, inside) in enumerate(found.items()):
            spread, df = spreads[kind].from_others[place], spreads[kind].df
            fit = pooling.fit_pooled(counted, inside, spread=spread, spread_df=df)
            board = _board(votes, inside, fit, overall.theta, config)
            shown[key_of(kind, name)] = {"kind": kind, "name": name, **board}
    return {
        "systems": votes.systems,
        "overall": {"pairs": _pairs(votes, slice(None))},
        "categories": shown,
        **_about(votes, members, spreads, config["min_raters"]),
    }


def key_of(kind: str, name: str) -> str:
    """How addresses name a category."""
    return f"{kind}:{name}"


def without(result: dict[str, Any], kinds: Iterable[str]) -> dict[str, Any]:
    """A result without what it says of these kinds of category."""
    said = {
        name: {kind: one for kind, one in result[name].items() if kind not in kinds}
        for name in ("spread", "unknown", "too_small", "members")
    }
    kept = {key: board for key, board in result["categories"].items() if board["kind"] not in kinds}
    return {**result, "categories": kept, **said}


def _is_shown(votes: LedgerVotes, inside: np.ndarray, kind: str, config: Mapping[str, Any]) -> bool:
    return bool(inside.any()) and not inside.all() and _raters(votes, inside) >= config["min_raters"][kind]


def _raters(votes: LedgerVotes, inside: np.ndarray) -> int:
    """Known ones; a vote without rater has a negative cluster."""
    return int((np.bincount(votes.cluster[inside & (votes.cluster >= 0)]) > 0).sum())


def _about(
    votes: LedgerVotes, members: Members, spreads: Mapping[str, pooling.Spread], min_raters: Mapping[str, int]
) -> dict[str, Any]:
    """spread: how far categories of a kind differ. unknown: votes in none of the kind. too_small: how many categories
    have too few raters; not which. members: of what is known of listeners, a hash that says whether it still is."""
    listeners = {kind: members[kind] for kind in OF_LISTENERS if kind in members}
    return {
        "spread": {
            kind: {"value": rounded(one.value), "df": rounded(one.df), "n_categories": one.n_categories}
            for kind, one in spreads.items()
        },
        "unknown": {
            kind: int(len(votes.outcome) - np.any(list(named.values()), axis=0).sum()) if named else len(votes.outcome)
            for kind, named in members.items()
        },
        "too_small": {
            kind: sum(_raters(votes, inside) < min_raters.get(kind, 0) for inside in named.values())
            for kind, named in listeners.items()
        },
        "members": {kind: _digest(votes, named) for kind, named in listeners.items()},
    }


def _digest(votes: LedgerVotes, named: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, inside in sorted(named.items()):
        digest.update(f"{name}:{','.join(map(str, votes.seq[inside].tolist()))}\n".encode())
    return digest.hexdigest()


def _board(
    votes: LedgerVotes, inside: np.ndarray, fit: pooling.Pooled, overall: np.ndarray, config: Mapping[str, Any]
) -> dict[str, Any]:
    low, high = fit.interval(config["level"])
    columns = {
        "rating": fit.theta, "stderr": fit.stderr, "low": low, "high": high, "overall": overall,
        "own_share": fit.own_share,
    }  # fmt: skip
    counts = _counts(votes, inside)
    groups = [
        sorted(
            (_rating(votes.systems[system], system, columns, counts) for system in group),
            key=lambda rating: (-rating["rating"], rating["system"]),
        )
        for group in fit.groups
    ]
    few = len(votes.systems) <= config["pairs_up_to"]
    return {
        "n_votes": fit.n_votes,
        "n_raters": _raters(votes, inside),
        "n_without_rater": int((votes.cluster[inside] < 0).sum()),
        **_heaviest(votes, inside),
        "converged": bool(fit.converged),
        "groups": sorted(groups, key=lambda group: (-len(group), group[0]["system"])),
        "pairs": _pairs(votes, inside) if few else None,
    }


def _heaviest(votes: LedgerVotes, inside: np.ndarray) -> dict[str, float]:
    """How many raters the votes inside weigh as much as, and the share of the one who cast most."""
    cluster, weight = votes.cluster[inside], votes.weight[inside]
    known = cluster >= 0
    size = np.concatenate([np.bincount(cluster[known], weight[known]), weight[~known]])
    total = float(size.sum())
    if not total:
        return {"g_eff": 0.0, "heaviest_rater_share": 0.0}
    return {
        "g_eff": rounded(total**2 / (size @ size)),
        "heaviest_rater_share": rounded(size.max() / total),
    }


def _counts(votes: LedgerVotes, inside: np.ndarray) -> dict[str, np.ndarray]:
    """{what: int [n]} of each system."""
    system = np.concatenate([votes.a[inside], votes.b[inside]])
    credit = np.concatenate([votes.outcome[inside], 1 - votes.outcome[inside]])
    count = {"wins": credit == 1, "losses": credit == 0, "ties": credit == 0.5}
    n = len(votes.systems)
    return {
        "n_votes": np.bincount(system, minlength=n),
        **{what: np.bincount(system[those], minlength=n) for what, those in count.items()},
    }


def _rating(
    name: str, system: int, columns: Mapping[str, np.ndarray], counts: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    return {
        "system": name,
        **{column: rounded(values[system]) for column, values in columns.items()},
        **{what: int(number[system]) for what, number in counts.items()},
    }


def _pairs(votes: LedgerVotes, inside: np.ndarray | slice) -> list[list[Any]]:
    found = win_rates.pairs(
        votes.a[inside], votes.b[inside], votes.outcome[inside], len(votes.systems), votes.cluster[inside]
    )
    return [[one.a, one.b, one.wins, one.losses, one.ties, rounded(one.n_eff)] for one in found]
