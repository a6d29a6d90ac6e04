"""Battles whose right answer is known or was given before: golds, traps, practice and repeats."""

from typing import Any

from arena.models import Battle, Rater, Study

from .models import Flag, Vote

MIRRORED = {"A": "B", "B": "A", "TIE": "TIE", "BOTH_BAD": "BOTH_BAD"}  # the same answer with the slots swapped


def passed(vote: Vote) -> bool | None:
    """Whether a vote on a check is right or, on a repeat, equals the first answer; None for other battles.

    None also for a repeat whose first answer was withdrawn.
    """
    battle = vote.battle
    if battle.expected:
        return vote.preference == battle.expected
    if battle.kind != Battle.Kind.REPEAT:
        return None
    first = Vote.objects.filter(battle=battle.repeats_id).exclude(flags__rule=Flag.WITHDRAWN).first()
    return MIRRORED[vote.preference] == first.preference if first else None


def check_json(vote: Vote) -> dict[str, Any] | None:
    """What a listener may be told of a check: {kind, expected, passed}. None for an ordinary battle."""
    battle = vote.battle
    if battle.kind in (Battle.Kind.RANKED, Battle.Kind.IMPORTED):
        return None
    return {"kind": battle.kind, "expected": battle.expected or None, "passed": passed(vote)}


def attention(rater: Rater, study: Study) -> tuple[int, int]:
    """(number passed, number answered) of the rater's golds and traps in the study, without withdrawn votes."""
    votes = (
        Vote.objects.filter(rater=rater, battle__study=study, battle__kind__in=[Battle.Kind.GOLD, Battle.Kind.TRAP])
        .exclude(flags__rule=Flag.WITHDRAWN)
        .values_list("preference", "battle__expected")
    )
    return sum(preference == expected for preference, expected in votes), len(votes)
