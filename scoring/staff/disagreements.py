"""Where people and the live model disagree most, and what staff can do about it.

All decisive votes on the same two clips of a study make one row. The model's probability is calibrated: its rewards are
corrected by the biases of its last anchor fit in the study, and lapses are applied where the model has them; without
them, no temperature is applied. The votes are those of the last edition and those on clip pairs that were served again,
which are on no board.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone
from scipy.special import expit

from arena.locks import Lock, hold
from arena.models import Again, Battle, Clip, Study
from arena.refusals import NotFound, Refusal
from scoring import inputs
from scoring.boards.page import find_edition
from scoring.models import RewardModel, TrainingMark
from scoring.registry.calibration import calibration_of
from scoring.stats.head_to_head import Z, pool, surprise
from scoring.stats.rounding import rounded


def queue(studies: Iterable[Study], system: str | None = None) -> list[dict[str, Any]]:
    """[row], the most surprising first, of the clip pairs whose winner the live model gave less than an even chance;
    system: only pairs with the system of that name. Empty without a live model.

    The order is that of `head_to_head.surprise`: with one vote per pair, by the winner's probability, the lowest first.
    Votes that agree add up, opposite votes cancel, and a pair on which listeners are evenly split has no winner and no
    row.
    """
    model = RewardModel.live()
    rows = [row for study in studies for row in (_of_study(study, model) if model else [])]
    if system:
        rows = [row for row in rows if system in (row["winner"]["system"], row["loser"]["system"])]
    return sorted(rows, key=lambda row: (-row["surprise"], row["study"], row["clips"]))


def with_clips(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that are shown, each with its prompt, its requests to be served again and its mark."""
    prompts = Clip.objects.select_related("prompt").in_bulk({pk for row in rows for pk in row["clips"]})
    studies = {row["study"] for row in rows}
    clips = {pk for row in rows for pk in row["clips"]}
    marks = {
        (mark.study.slug, mark.clip_low_id, mark.clip_high_id): mark.weight
        for mark in TrainingMark.objects.filter(study__slug__in=studies, clip_low__in=clips)
        .order_by("pk")
        .select_related("study")
    }
    again = _again(studies, clips)
    return [
        {
            **row,
            "sides": [(row["winner"], True), (row["loser"], False)],
            "prompt": str(prompts[row["clips"][0]].prompt),
            "again": again.get((row["study"], *row["clips"])),
            "mark": None if (weight := marks.get((row["study"], *row["clips"]), 1.0)) == 1 else weight,
        }
        for row in rows
    ]


def _again(studies, clips):
    """{(study, low, high): {wanted, left, served, answered}}: the sums over all requests to serve these clips again."""
    sums: dict[tuple[str, int, int], Counter[str]] = {}
    for request in Again.objects.filter(study__slug__in=studies, clip_low__in=clips).select_related("study"):
        row = sums.setdefault((request.study.slug, request.clip_low_id, request.clip_high_id), Counter())
        row.update(wanted=request.wanted, left=request.left)
    battles = Battle.objects.filter(policy=Battle.AGAIN, study__slug__in=studies, clip_a__in=clips, clip_b__in=clips)
    counts = battles.order_by().values_list("study__slug", "clip_a", "clip_b")
    for study, a, b, served, answered in counts.annotate(n=Count("pk"), voted=Count("pk", Q(close_reason="voted"))):
        sums.setdefault((study, min(a, b), max(a, b)), Counter()).update(served=served, answered=answered)
    return {key: {name: row[name] for name in ("wanted", "left", "served", "answered")} for key, row in sums.items()}


def _of_study(study, model):
    edition = find_edition(study)
    if not edition:
        return []
    votes = inputs.study_votes(study, edition.ledger_seq, edition.config["excluded_flags"], again=True)
    rewards = inputs.clip_rewards(model, np.union1d(votes.clip_a, votes.clip_b))
    scored = np.fromiter(rewards, dtype=np.int64, count=len(rewards))
    usable = np.isin(votes.clip_a, scored) & np.isin(votes.clip_b, scored)
    pooled = pool(votes.clip_a[usable], votes.clip_b[usable], votes.outcome[usable])
    is_unseen = (votes.seq > model.ledger_seq) & votes.decisive
    unseen = np.bincount(pooled.of[is_unseen[usable]], minlength=len(pooled.pairs))
    systems = _systems(votes, usable, pooled)
    margin, half = _corrected(study, model, rewards, pooled.pairs, systems)
    log_odds = calibration_of(model).log_odds_of_corrected
    low_leads = pooled.low_won > pooled.high_won
    disagree = (pooled.low_won != pooled.high_won) & (np.where(low_leads, margin, -margin) < 0)
    rows = []
    for place in np.flatnonzero(disagree):
        won = int(pooled.low_won[place]), int(pooled.high_won[place])
        sides = [
            {"clip": clip, "system": system, "votes": n, "reward": rounded(rewards[clip])}
            for clip, system, n in zip(pooled.pairs[place].tolist(), systems[place].tolist(), won, strict=True)
        ]
        winner, loser = sides if low_leads[place] else sides[::-1]
        rows.append(
            {
                "study": study.slug,
                "clips": pooled.pairs[place].tolist(),
                "winner": winner,
                "loser": loser,
                "ties": int(pooled.ties[place]),
                "unseen": int(unseen[place]),
                **_probability(log_odds, -abs(margin[place]), None if half is None else half[place]),
                "surprise": rounded(surprise(max(won), min(won), log_odds(-abs(margin[place])))),
            }
        )
    return rows


def _systems(votes, usable, pooled):
    """str [P, 2]: the systems of each pair of clips."""
    systems = np.column_stack([votes.a, votes.b])[usable]
    systems = np.where(pooled.swapped[:, None], systems[:, ::-1], systems)[pooled.first]
    return np.array(votes.systems, dtype=str)[systems]


def _corrected(study, model, rewards, pairs, systems):
    """(float [P], margins of the first clips, corrected by the biases; [P], half the widths of their 95 % intervals,
    which come from the biases' standard errors; None without an anchor fit). systems: names [P, 2]."""
    fit = study.anchor_fits.newest_of(model)
    biases = list(fit.biases.select_related("system")) if fit else []

    def look_up(values):
        return np.array([[values.get(name, 0.0) for name in row] for row in systems.tolist()]).reshape(-1, 2)

    score = np.array([[rewards[clip] for clip in row] for row in pairs.tolist()]).reshape(-1, 2)
    score = score - look_up({bias.system.name: bias.bias for bias in biases})
    stderr = look_up({bias.system.name: bias.stderr for bias in biases})
    return score[:, 0] - score[:, 1], Z * np.hypot(stderr[:, 0], stderr[:, 1]) if fit else None


def _probability(log_odds, margin, half):
    """{probability, low, high}; log_odds: a function of the margin that rises with it, so that the ends of the interval
    stay its ends."""
    ends = (None, None) if half is None else (margin - half, margin + half)
    figures = zip(("probability", "low", "high"), (margin, *ends), strict=True)
    return {name: None if value is None else rounded(expit(log_odds(value))) for name, value in figures}


def find_pair(slug: str, clips: Sequence[int]) -> tuple[Study, tuple[int, int]]:
    """(study, (low, high)) named by a form; clips: two ids. NotFound unless they share a prompt and are of two systems
    of the study."""
    study = Study.objects.filter(slug=slug).first()
    rows = Clip.objects.filter(pk__in=clips, system__studies=study).values_list("pk", "prompt", "system")
    if not study or len({prompt for _, prompt, _ in rows}) != 1 or len({system for *_, system in rows}) != 2:
        raise NotFound(f"{slug} has no such pair of clips.")
    return study, (min(clips), max(clips))


@transaction.atomic
def mark(
    study: Study, clips: Iterable[int], by: str, weight: float = TrainingMark.WEIGHT, now: datetime | None = None
) -> TrainingMark:
    """Multiply the weight of votes on two clips by `weight` in every later training set; 1 takes a mark back."""
    if not 0 < weight <= 10:
        raise Refusal(f"weight is {weight}; it must be above 0 and at most 10.")
    hold(Lock.TRAINING_MARKS)  # so that ids become visible in their order: a training names the last it saw
    low, high = sorted(clips)
    return TrainingMark.objects.create(
        study=study, clip_low_id=low, clip_high_id=high, weight=weight, by=by, created_at=now or timezone.now()
    )
