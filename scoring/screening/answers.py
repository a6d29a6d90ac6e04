"""The standing votes of each rater of a study, for the screening."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np

from annotations import quality
from annotations.models import Flag, Vote
from arena.models import Battle, Rater, Study
from arena.serving import progress

SILENT = timedelta(days=1)  # a rater who has not answered for so long counts as finished


@dataclass
class Answers:
    """One rater's standing votes in a study, in the order of the ledger."""

    rater: Rater
    votes: list[Vote] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Vote]:
        return [vote for vote in self.votes if vote.battle.kind in kinds]

    @property
    def ranked(self) -> list[Vote]:
        return self.of(Battle.Kind.RANKED)


def standing(study: Study, seq: int) -> list[Answers]:
    """The Answers of every rater with an ordinary vote in the ledger up to `seq`."""
    withdrawn = Flag.objects.filter(rule=Flag.WITHDRAWN).values("vote")
    votes = (
        Vote.objects.filter(battle__study=study, rater__isnull=False, entry__seq__lte=seq)
        .exclude(pk__in=withdrawn)
        .select_related("battle", "rater")
        .defer("heard", "axes", "tags")
        .order_by("entry__seq")
    )
    by_rater: dict[UUID | None, Answers] = {}
    for vote in votes.iterator(chunk_size=5000):
        assert vote.rater, "they were asked for"
        by_rater.setdefault(vote.rater_id, Answers(vote.rater)).votes.append(vote)
    return [answers for answers in by_rater.values() if answers.ranked]


def systems_of(raters: Iterable[Answers]) -> list[int]:
    """The sorted ids of the systems that these raters voted on."""
    battles = [vote.battle for answers in raters for vote in answers.ranked]
    return sorted({pk for battle in battles for pk in (battle.system_a_id, battle.system_b_id)})


def rater_votes(answers: Answers, systems: Sequence[int]) -> quality.RaterVotes:
    """The Answers as arrays; a system's index is its place in `systems`."""
    index = {pk: position for position, pk in enumerate(systems)}
    ranked, checks = answers.ranked, answers.of(Battle.Kind.GOLD, Battle.Kind.TRAP)
    repeats = repeats_of(answers)
    times = [
        np.nan if vote.opened_ms is None or vote.decided_ms is None else vote.decided_ms - vote.opened_ms
        for vote in ranked
    ]
    return quality.RaterVotes(
        a=np.array([index[vote.battle.system_a_id] for vote in ranked], dtype=int),
        b=np.array([index[vote.battle.system_b_id] for vote in ranked], dtype=int),
        preference=np.array([vote.preference for vote in ranked], dtype=str),
        gold_passed=np.array([vote.preference == vote.battle.expected for vote in checks]) if checks else None,
        repeat_first=np.array([first for first, _ in repeats]) if repeats else None,
        repeat_second=np.array([second for _, second in repeats]) if repeats else None,
        decision_ms=np.array(times, dtype=float) if np.isfinite(times).any() else None,
    )


def repeats_of(answers: Answers) -> list[tuple[str, str]]:
    """(first answer, second answer) of every repeat whose first answer still stands."""
    first = {vote.battle_id: vote.preference for vote in answers.ranked}
    return [
        (first[vote.battle.repeats_id], vote.preference)
        for vote in answers.of(Battle.Kind.REPEAT)
        if vote.battle.repeats_id in first
    ]


def is_over(answers: Answers, study: Study, now: datetime) -> bool:
    """Whether the study has ended, or the rater has not answered for SILENT."""
    return not study.accepts_battles or answers.votes[-1].received_at < now - SILENT


def is_through(answers: Answers, study: Study) -> bool:
    """Whether the rater has answered everything, checks included; `progress` is computed only near the end."""
    ends = [study.battles_per_rater, study.blocks and study.blocks * study.block_length]
    if not any(end and len(answers.ranked) >= end for end in ends):
        return False
    so_far = progress(answers.rater, study)
    return so_far["done"] >= so_far["total"]
