"""The battles whose right answer is known, or was given before: golds, traps, practice and repeats."""

from typing import Any

from arena.models import Battle, Rater, Study

from .models import Flag, Vote

MIRRORED = {"A": "B", "B": "A", "TIE": "TIE", "BOTH_BAD": "BOTH_BAD"}  # slots were swapped


def passed(vote: Vote) -> bool | None:
    """Whether the vote of a check is the right one, or that of a repeat the one given before; None for others.

    A withdrawn first answer is nothing to be consistent with: None.
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
    """(passed, given) over the rater's standing golds and traps in the study."""
    votes = (
        Vote.objects.filter(rater=rater, battle__study=study, battle__kind__in=[Battle.Kind.GOLD, Battle.Kind.TRAP])
        .exclude(flags__rule=Flag.WITHDRAWN)
        .values_list("preference", "battle__expected")
    )
    return sum(preference == expected for preference, expected in votes), len(votes)
