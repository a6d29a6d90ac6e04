"""Judge the raters of a study against its board: rows to `annotations.quality`, and what it finds to flags.

Nothing is deleted. A rule that has once fired on a rater goes on holding for what they answer later, unless a person
has cleared them; a rule that cannot be computed finds `unknown`, and excludes nobody.
"""

import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
from django.db import transaction
from django.utils import timezone

from annotations import quality
from annotations.alarms import raise_alarm
from annotations.models import Flag, Ledger, Reliability, Screening, Vote
from annotations.services import flag_votes
from arena.models import Battle

from . import boards, bradley_terry, inputs
from .models import QualityReport

logger = logging.getLogger(__name__)

VERSION = 1
SCREEN = "quality"
SILENT = timedelta(days=1)  # who has answered nothing for so long has finished
EVERY = timedelta(seconds=60)
NOTICEABLE = 0.02  # a skill that moved by less is not written down again


@dataclass
class _Answers:
    """One rater's standing votes in a study, in the order of the ledger."""

    rater: object
    votes: list[Vote] = field(default_factory=list)

    def of(self, *kinds):
        return [vote for vote in self.votes if vote.battle.kind in kinds]

    @property
    def ranked(self):
        return self.of(Battle.Kind.RANKED)


def screening_is_due(study, now=None):
    """Whether votes have come since the last report, and enough time has gone by."""
    now = now or timezone.now()
    last = study.quality_reports.order_by("-pk").first()
    if last and now - last.created_at < EVERY:
        return False
    votes = Ledger.objects.filter(study=study, seq__isnull=False, vote__rater__isnull=False)
    return votes.filter(seq__gt=last.ledger_seq if last else 0).exists()


@transaction.atomic
def screen_study(study, now=None):
    """Judge every rater of the study on its votes so far. Returns the QualityReport, None before there is a
    board to judge by."""
    now = now or timezone.now()
    seq = Ledger.objects.filter(study=study).order_by("-seq").exclude(seq=None).values_list("seq", flat=True).first()
    raters = [answers for answers in _standing(study, seq or 0) if answers.ranked]
    if not any(vote.preference in inputs.CREDIT_TO_A for answers in raters for vote in answers.ranked):
        return None
    battles = [vote.battle for answers in raters for vote in answers.ranked]
    systems = sorted({pk for battle in battles for pk in (battle.system_a_id, battle.system_b_id)})
    index = {pk: position for position, pk in enumerate(systems)}
    evidence = [_rater_votes(answers, index) for answers in raters]
    looked = _looked_at_the_end(study)
    finished = [answers.rater.pk not in looked and _has_finished(answers, study, now) for answers in raters]
    try:
        screened = quality.screen(evidence, len(systems), _fit, l2=boards.CONFIG["l2"], finished=finished)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        return _outage(study, seq, raters, error, now)
    for answers, verdict, done in zip(raters, screened.verdicts, finished, strict=True):
        _write_verdict(study, answers, verdict, done or answers.rater.pk in looked, now)
    _write_reliability(study, seq, raters, evidence, screened.theta, now)
    return QualityReport.objects.create(
        study=study, ledger_seq=seq, version=VERSION, created_at=now, report=_report(raters, screened)
    )


def _outage(study, seq, raters, error, now):
    """The rules do not run: everybody's result is `unknown`, nobody is flagged, and an alarm rings."""
    logger.exception("the screen %s does not run", SCREEN)
    raise_alarm(study, SCREEN, f"The screen does not run: {error}", {}, now)
    for answers in raters:
        _note(study, answers, SCREEN, VERSION, Screening.Result.UNKNOWN, now, detail={"reason": str(error)})
    return QualityReport.objects.create(
        study=study, ledger_seq=seq, version=VERSION, created_at=now, report={"outage": str(error)}
    )


def _standing(study, seq):
    withdrawn = Flag.objects.filter(rule=Flag.WITHDRAWN).values("vote")
    votes = (
        Vote.objects.filter(battle__study=study, rater__isnull=False, entry__seq__lte=seq)
        .exclude(pk__in=withdrawn)
        .select_related("battle", "rater")
        .order_by("entry__seq")
    )
    by_rater = {}
    for vote in votes.iterator(chunk_size=5000):
        by_rater.setdefault(vote.rater_id, _Answers(vote.rater)).votes.append(vote)
    return list(by_rater.values())


def _rater_votes(answers, index):
    ranked, attention = answers.ranked, answers.of(Battle.Kind.GOLD, Battle.Kind.TRAP)
    first = {vote.battle_id: vote.preference for vote in ranked}
    repeats = [vote for vote in answers.of(Battle.Kind.REPEAT) if vote.battle.repeats_id in first]
    times = [
        np.nan if None in (vote.opened_ms, vote.decided_ms) else vote.decided_ms - vote.opened_ms for vote in ranked
    ]
    return quality.RaterVotes(
        a=np.array([index[vote.battle.system_a_id] for vote in ranked], dtype=int),
        b=np.array([index[vote.battle.system_b_id] for vote in ranked], dtype=int),
        preference=np.array([vote.preference for vote in ranked], dtype=str),
        gold_passed=np.array([vote.preference == vote.battle.expected for vote in attention]) if attention else None,
        repeat_first=np.array([first[vote.battle.repeats_id] for vote in repeats]) if repeats else None,
        repeat_second=np.array([vote.preference for vote in repeats]) if repeats else None,
        decision_ms=np.array(times, dtype=float) if np.isfinite(times).any() else None,
    )


def _has_finished(answers, study, now):
    """Whether the rater will answer no more: then the rules may take their one look at the end."""
    if not study.accepts_battles or answers.votes[-1].received_at < now - SILENT:
        return True
    n_ranked = len(answers.ranked)
    ends = [study.battles_per_rater, study.blocks and study.blocks * study.block_length]
    return any(end and n_ranked >= end for end in ends)


def _looked_at_the_end(study):
    """The raters for whom the look at the end has been taken: it is one look, or its chance of error is not one."""
    looked = Screening.objects.filter(
        study=study, screen=SCREEN, version=VERSION, detail__looked_at_the_end=True
    ).exclude(result=Screening.Result.UNKNOWN)
    return set(looked.values_list("rater_id", flat=True))


def _fit(a, b, outcome, n_systems):
    return bradley_terry.fit(a, b, outcome, n_systems, l2=boards.CONFIG["l2"]).theta


# ---- results to rows ----------------------------------------------------------------------------------


def _write_verdict(study, answers, verdict, looked, now):
    _note(study, answers, SCREEN, VERSION, verdict.result, now, detail={
        "reason": verdict.reason,
        "looked_at_the_end": looked,
        "log_e": {rule: round(found.log_e, 3) for rule, found in verdict.evidence.items()},
    })  # fmt: skip
    details = {
        (fired.rule, fired.version): {"e": round(fired.e, 3), "p": fired.p, **fired.detail} for fired in verdict.rules
    }
    _flag(study, answers, details, now)


def _flag(study, answers, details, now):
    """Flag all of a rater's votes under the rules that have fired, now or before; not of one whom a person cleared."""
    flags = Flag.objects.filter(vote__battle__study=study, vote__rater=answers.rater)
    if flags.filter(rule=Flag.CLEARED).exists():
        return
    for rule, version, detail in flags.filter(rule__in=boards.QUALITY_RULES).values_list(
        "rule", "rule_version", "detail"
    ):
        details.setdefault((rule, version), detail)
    for (rule, version), detail in details.items():
        flag_votes([vote.pk for vote in answers.votes], rule, version, detail, now)


def _note(study, answers, screen, version, result, now, score=None, detail=None):
    Screening.objects.update_or_create(
        rater=answers.rater,
        study=study,
        screen=screen,
        version=version,
        defaults={"result": result, "score": score, "detail": detail or {}, "n_votes": len(answers.votes), "at": now},
    )


def _write_reliability(study, seq, raters, evidence, theta, now):
    """Write down every rater's skill that is new or has moved noticeably."""
    skills = quality.reliability(
        *(np.concatenate([getattr(votes, name) for votes in evidence]) for name in ("a", "b", "preference")),
        np.repeat(np.arange(len(raters)), [len(votes.preference) for votes in evidence]),
        theta,
        len(raters),
    )
    last = dict(Reliability.objects.filter(study=study).order_by("pk").values_list("rater_id", "skill"))
    Reliability.objects.bulk_create(
        [
            Reliability(
                rater=answers.rater, study=study, ledger_seq=seq, version=VERSION, skill=skill, stderr=sd, n_votes=n,
                created_at=now,
            )
            for answers, skill, sd, n in zip(
                raters, skills.skill.tolist(), skills.sd.tolist(), skills.n.tolist(), strict=True
            )
            if n and abs(last.get(answers.rater.pk, 2) - skill) >= NOTICEABLE
        ],
        ignore_conflicts=True,
    )  # fmt: skip


def _report(raters, screened):
    """How many raters passed which rule, and how well they agree with each other and with themselves."""
    ranked = [(number, vote) for number, answers in enumerate(raters) for vote in answers.ranked]
    heard = (
        [vote.battle.clip_a_id for _, vote in ranked],
        [vote.battle.clip_b_id for _, vote in ranked],
        [vote.preference for _, vote in ranked],
        [number for number, _ in ranked],
    )
    first = {vote.battle_id: vote.preference for _, vote in ranked}
    repeats = [
        (first[vote.battle.repeats_id], vote.preference, number)
        for number, answers in enumerate(raters)
        for vote in answers.of(Battle.Kind.REPEAT)
        if vote.battle.repeats_id in first
    ]
    before, again, by = zip(*repeats, strict=True) if repeats else ([], [], [])
    rules = Counter(fired.rule for verdict in screened.verdicts for fired in verdict.rules)
    return {
        "raters": len(raters),
        "votes": sum(len(answers.votes) for answers in raters),
        "results": dict(sorted(Counter(verdict.result for verdict in screened.verdicts).items())),
        "rules": dict(sorted(rules.items())),
        "krippendorff_alpha": _consensus(quality.krippendorff(*heard)),
        "inter_rater": _consensus(quality.inter_rater(*heard)),
        "intra_rater": _consensus(quality.intra_rater(before, again, by)),
    }


def _consensus(found):
    low, high = found.interval or (None, None)
    figures = {"value": found.value, "low": low, "high": high}
    rounded = {name: None if figure is None else round(figure, 4) for name, figure in figures.items()}
    return {**rounded, "n": found.n, "n_raters": found.n_raters, "reason": found.reason}
