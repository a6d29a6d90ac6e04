"""What moved a board from one edition to the next: new votes, votes newly left out, or another method.

Ratings are no sum over votes, so a move can only be shared out along a path: change one thing at a time, fit again,
and call each step's difference that thing's part. The parts then add up to the move, exactly; another order would
share it out a little differently. The order here is that of events, and is part of METHOD_VERSION:

    start       the edition before: its votes, its exclusions, its method
    new_votes   and the votes that came since and count in the new edition
    exclusions  without the old votes that were withdrawn or flagged since (and with those cleared since)
    method      by the method and settings of the new edition, its rules of exclusion and weights of raters among them

Between editions that are further apart each part is the sum of that of all the steps between them, so that what
3 to 7 says is what 3 to 5 and 5 to 7 say together. No database here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from .board_method import settings_of
from .clusters import clusters_of
from .rounding import rounded
from .votes import LedgerVotes

METHOD_VERSION = 1
PARTS = ("new_votes", "exclusions", "method")
FIGURES = ("rating", "rank")

Placement = dict[str, Any]  # {"rating": float, "rank": int}, a place on a board or the move from one to another
Votes = TypeVar("Votes", bound=LedgerVotes)


def placements(result: Mapping[str, Any]) -> dict[str, Placement]:
    """{system: {"rating", "rank"}} of an edition's result; ranks count from 1 within each group."""
    return {
        row["system"]: {"rating": row["rating"], "rank": rank}
        for group in result["groups"]
        for rank, row in enumerate(group, start=1)
    }


def split(stages: Sequence[Mapping[str, Any] | None]) -> dict[str, dict[str, Any]]:
    """{system: {"from", "to", "parts"}} of the results of the path's four stages, of which the middle two may be None:
    not known.

    from, to: {"rating", "rank"}, or None where the system was not on the board. parts: {part: {"rating", "rank"}},
    whose sum is to - from; None where a stage is not known or the system is not on it.
    """
    placed = [None if result is None else placements(result) for result in stages]
    start, end = placed[0], placed[-1]
    assert start is not None and end is not None, "both editions are known"
    return {
        name: {
            "from": start.get(name),
            "to": end.get(name),
            # A board without votes places nobody, which is not the same as a board that is not known.
            "parts": _parts([None if on_stage is None else on_stage.get(name) for on_stage in placed]),
        }
        for name in sorted({*start, *end})
    }


def _parts(path: Sequence[Placement | None]) -> dict[str, Placement] | None:
    known = [place for place in path if place is not None]
    if len(known) < len(path):
        return None
    return {part: difference(before, after) for part, before, after in zip(PARTS, known[:-1], known[1:], strict=True)}


def difference(before: Placement, after: Placement) -> Placement:
    """{"rating", "rank"} from one placement to another."""
    return {"rating": rounded(after["rating"] - before["rating"]), "rank": after["rank"] - before["rank"]}


def chain(steps: Sequence[Mapping[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """`split` over several steps, each the `split` of one edition to the next, first to last.

    A system has parts where it is on every board between, with its parts known.
    """
    first, last = steps[0], steps[-1]
    on_first = {name for name, row in first.items() if row["from"]}
    on_last = {name for name, row in last.items() if row["to"]}
    return {
        name: {
            "from": first[name]["from"] if name in on_first else None,
            "to": last[name]["to"] if name in on_last else None,
            "parts": _sum([step.get(name, {}).get("parts") for step in steps]),
        }
        for name in sorted(on_first | on_last)
    }


def _sum(parts: Sequence[dict[str, Placement] | None]) -> dict[str, Placement] | None:
    known = [step for step in parts if step is not None]
    if len(known) < len(parts):
        return None
    return {
        part: {
            "rating": rounded(sum(step[part]["rating"] for step in known)),
            "rank": sum(step[part]["rank"] for step in known),
        }
        for part in PARTS
    }


def changed_settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """{name: [before, after]} of what somebody has set differently; None where a configuration did not have it."""
    before, after = settings_of(before), settings_of(after)
    names = sorted({*before, *after})
    return {name: [before.get(name), after.get(name)] for name in names if before.get(name) != after.get(name)}


def joined(old: Votes, new: Votes, seq: int) -> Votes:
    """The StudyVotes of all `old`, and those of `new` that came after `seq`. For ratings: excluded and input_hash are
    those of `new`."""
    later = new.seq > seq
    systems = sorted({*old.systems, *new.systems})

    def index(votes: LedgerVotes, column: np.ndarray) -> np.ndarray:
        place = np.array([systems.index(name) for name in votes.systems], dtype=np.intp)
        return place[column] if len(column) else column

    columns = {
        name: np.concatenate([getattr(old, name), getattr(new, name)[later]])
        for name in ("outcome", "weight", "clip_a", "clip_b", "prompt", "rater_id", "seq", "connection", "network")
    }
    names = {*old.covariates, *new.covariates}
    covariates = {
        name: np.concatenate([one.covariates.get(name, np.empty(0)) for one in (old, new)])[
            np.concatenate([np.ones(len(old.seq), bool), later])
        ]
        for name in names
    }
    return replace(
        new,
        systems=systems,
        a=np.concatenate([index(old, old.a), index(new, new.a)[later]]),
        b=np.concatenate([index(old, old.b), index(new, new.b)[later]]),
        cluster=clusters_of(columns["rater_id"]),
        covariates=covariates,
        **columns,
    )
