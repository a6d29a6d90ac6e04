"""What each rater of a study has answered and not taken back, for the screen to judge."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np

from annotations import quality
from annotations.models import Flag, Vote
from arena.models import Battle, Rater, Study
from arena.serving import progress

SILENT = timedelta(days=1)  # who has answered nothing for so long has finished


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
    """The ids of the systems that these raters voted on, sorted."""
    battles = [vote.battle for answers in raters for vote in answers.ranked]
    return sorted({pk for battle in battles for pk in (battle.system_a_id, battle.system_b_id)})


def rater_votes(answers: Answers, systems: Sequence[int]) -> quality.RaterVotes:
    """The Answers as arrays; a system's index is its place in `systems`."""
    index = {pk: position for position, pk in enumerate(systems)}
    ranked, attention = answers.ranked, answers.of(Battle.Kind.GOLD, Battle.Kind.TRAP)
    repeats = repeats_of(answers)
    times = [
        np.nan if vote.opened_ms is None or vote.decided_ms is None else vote.decided_ms - vote.opened_ms
        for vote in ranked
    ]
    return quality.RaterVotes(
        a=np.array([index[vote.battle.system_a_id] for vote in ranked], dtype=int),
        b=np.array([index[vote.battle.system_b_id] for vote in ranked], dtype=int),
        preference=np.array([vote.preference for vote in ranked], dtype=str),
        gold_passed=np.array([vote.preference == vote.battle.expected for vote in attention]) if attention else None,
        repeat_first=np.array([before for before, _ in repeats]) if repeats else None,
        repeat_second=np.array([again for _, again in repeats]) if repeats else None,
        decision_ms=np.array(times, dtype=float) if np.isfinite(times).any() else None,
    )


def repeats_of(answers: Answers) -> list[tuple[str, str]]:
    """(first answer, second answer) of every repeat whose first hearing stands."""
    first = {vote.battle_id: vote.preference for vote in answers.ranked}
    return [
        (first[vote.battle.repeats_id], vote.preference)
        for vote in answers.of(Battle.Kind.REPEAT)
        if vote.battle.repeats_id in first
    ]


def is_over(answers: Answers, study: Study, now: datetime) -> bool:
    """The study has ended, or the rater has long been silent."""
    return not study.accepts_battles or answers.votes[-1].received_at < now - SILENT


def is_through(answers: Answers, study: Study) -> bool:
    """The rater has done all there is for them, checks included; `progress` is asked only near the end."""
    ends = [study.battles_per_rater, study.blocks and study.blocks * study.block_length]
    if not any(end and len(answers.ranked) >= end for end in ends):
        return False
    so_far = progress(answers.rater, study)
    return so_far["done"] >= so_far["total"]
