"""Screen the raters of a study against its board: their votes are judged by `annotations.quality`, and its verdicts
become flags.

Nothing is deleted. A rule that has once fired on a rater also holds for their later answers, and keeps them out of the
board that others are judged by, unless a person has cleared them; a cleared rater is not judged again. A rule that
cannot be computed gives `unknown`, and excludes nobody.

One worker at a time screens a study. The verdicts are stored for some raters at a time, so that votes wait only for
moments; the report is stored last, and without one the study is due again.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID

import numpy as np
from django.db import transaction
from django.db.models import Exists, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from annotations import quality
from annotations.alarms import raise_alarm
from annotations.models import Flag, Ledger, Reliability, Screening, Vote
from annotations.services import flag_all
from arena.locks import Lock, held_over_transactions
from arena.models import Rater, Study
from scoring import inputs
from scoring.models import QualityReport
from scoring.stats import board_method, bradley_terry

from . import report as quality_report
from .answers import SILENT, Answers, is_over, is_through, rater_votes, standing, systems_of

logger = logging.getLogger(__name__)

VERSION = 1
SCREEN, AGREEMENT = "quality", "agreement"  # names of the alarms
EVERY = timedelta(seconds=60)
COST = 20  # a screening that takes a minute runs every 20 minutes
AFTER_OUTAGE = timedelta(minutes=10)
NOTICEABLE = 0.02  # a skill that changed by less is not stored again
MOVED = 0.1  # logits; unless a rating has moved by more, raters without new votes are not judged again
AT_ONCE = 500  # raters whose rows are locked together
IDENTITY = ["rater", "study", "screen", "version"]


def screening_is_due(study: Study, now: datetime | None = None) -> bool:
    """Whether there is something new to judge, and enough time has passed since the last report."""
    now = now or timezone.now()
    last = study.quality_reports.order_by("-pk").first()
    if last and now - last.created_at < _pause(last):
        return False
    judged = _last_judged(study)
    votes = Ledger.objects.filter(study=study, seq__isnull=False, vote__rater__isnull=False)
    return votes.filter(seq__gt=judged.ledger_seq if judged else 0).exists() or _to_judge_at_end(study, now).exists()


def due_studies(now: datetime | None = None) -> Iterable[int]:
    """Primary keys of the studies of which `screening_is_due` may say so."""
    now = now or timezone.now()
    newest = QualityReport.objects.filter(study=OuterRef("pk")).order_by("-pk")
    judged = newest.exclude(report__has_key="outage").values("ledger_seq")[:1]
    studies = Study.objects.order_by().annotate(last=Subquery(newest.values("pk")[:1]))
    reports = QualityReport.objects.filter(pk__in=studies.values("last"))
    columns = "study", "created_at", "report__outage", "report__seconds"
    resting = [
        study
        for study, created_at, outage, seconds in reports.values_list(*columns)
        if now - created_at < _pause_after(outage is not None, seconds or 0)
    ]
    newer = Ledger.objects.filter(study=OuterRef("pk"), vote__rater__isnull=False, seq__gt=OuterRef("judged"))
    waiting = Screening.objects.filter(
        study=OuterRef("pk"), screen=SCREEN, version=VERSION, result=Screening.Result.PASS, looked_at_end=False
    )
    studies = Study.objects.order_by().exclude(pk__in=resting).annotate(judged=Coalesce(Subquery(judged), 0))
    return studies.filter(Exists(newer) | Exists(waiting)).values_list("pk", flat=True)


def screen_study(study: Study, now: datetime | None = None, only_if_due: bool = False) -> QualityReport | None:
    """Judge the raters of the study on their votes so far. Returns the QualityReport; None before there are votes,
    while another worker screens the study, or, with `only_if_due`, where another has just done so."""
    with held_over_transactions(Lock.SCREENING, study) as alone:
        if not alone or (only_if_due and not screening_is_due(study, now)):
            return None
        return _screen(study, now or timezone.now())


def screen_if_due(study: Study) -> None:
    """`screen_study`, where `screening_is_due`: the lock is not asked for otherwise."""
    if screening_is_due(study):
        screen_study(study, only_if_due=True)


def _pause(report):
    return _pause_after("outage" in report.report, report.report.get("seconds", 0))


def _pause_after(is_outage, seconds):
    return AFTER_OUTAGE if is_outage else max(EVERY, COST * timedelta(seconds=seconds))


def _last_judged(study):
    """The last report that is not of an outage."""
    return study.quality_reports.exclude(report__has_key="outage").order_by("-pk").first()


def _to_judge_at_end(study, now):
    """The screenings of raters who have finished, which no new vote shows, and who were not yet judged at the end."""
    waiting = _screenings(study).filter(result=Screening.Result.PASS, looked_at_end=False)
    if not study.accepts_battles:
        return waiting
    lately = Vote.objects.filter(rater=OuterRef("rater"), battle__study=study, received_at__gte=now - SILENT)
    return waiting.filter(~Exists(lately))


def _screen(study, now):
    began = monotonic()
    seq = Ledger.objects.filter(study=study).exclude(seq=None).order_by("-seq").values_list("seq", flat=True).first()
    if seq is None:
        return None
    raters = standing(study, seq)
    try:
        board = _judge_and_write(study, seq, raters, now)
    except Exception as error:  # any failure: the study must not look as if its raters had passed
        logger.exception("the screen %s does not run", SCREEN)
        return _outage(study, seq, raters, error, now)
    report = {
        **quality_report.findings(study, raters, SCREEN, VERSION),
        **_agreement(study, raters, now),
        "board": board,
        "seconds": round(monotonic() - began, 1),
    }
    return _write_report(study, seq, report, now)


def _agreement(study, raters, now):
    try:
        return quality_report.agreement(raters)
    except Exception as error:  # any failure: the verdicts stand, and the report says what is missing
        logger.exception("the agreement of %s cannot be computed", study.slug)
        raise_alarm(study, AGREEMENT, f"The agreement of raters cannot be computed: {error}", {}, now)
        return quality_report.no_agreement(str(error))


def _outage(study, seq, raters, error, now):
    """The rules do not run: everybody's result becomes `unknown`, nobody is flagged, and an alarm is raised. The number
    of votes judged before, and whether a rater was judged at the end, are kept."""
    raise_alarm(study, SCREEN, f"The screen does not run: {error}", {}, now)
    unknown = [
        _Outcome(answers, _row(study, answers, Screening.Result.UNKNOWN, now, {"reason": str(error)}))
        for answers in raters
    ]
    _write(study, unknown, now, ["result", "detail", "at"])
    return _write_report(study, seq, {"outage": str(error)}, now)


# ---- judging ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Outcome:
    """A rater's new Screening, and the flags {(rule, version): detail} for all their votes."""

    answers: Answers
    row: Screening
    rules: dict | None = None


def _judge_and_write(study, seq, raters, now):
    """Judge the raters about whom something is new. Returns {system id: rating}, the board by which all have been
    judged; empty where there is none yet."""
    systems = systems_of(raters)
    evidence = [rater_votes(answers, systems) for answers in raters]
    if not any(preference in inputs.CREDIT_TO_A for votes in evidence for preference in np.asarray(votes.preference)):
        return {}
    rows = {row.rater_id: row for row in _screenings(study)}
    cleared, flags = _cleared(study), _standing_flags(study)
    last = _last_judged(study)
    last_board = last.report["board"] if last else {}
    flagged = np.array([answers.rater.pk in flags for answers in raters])
    is_cleared = np.array([answers.rater.pk in cleared for answers in raters])
    moved = _has_moved(last_board, systems, _board(evidence, len(systems), flagged))
    changed = [
        _is_new(rows.get(answers.rater.pk), answers, is_flagged, pardoned)
        for answers, is_flagged, pardoned in zip(raters, flagged, is_cleared, strict=True)
    ]
    finished = np.array(
        [_has_just_finished(rows, answers, study, new, now) for answers, new in zip(raters, changed, strict=True)]
    )
    judged = ~is_cleared & ~flagged & (np.array(changed) | finished | moved)
    screened = quality.screen(
        evidence, len(systems), _fit, l2=board_method.CONFIG["l2"], finished=finished, flagged=flagged, judged=judged
    )
    outcomes = [
        _outcome(study, answers, verdict, rows.get(answers.rater.pk), flags.get(answers.rater.pk, {}), done, now)
        for answers, verdict, done, new in zip(raters, screened.verdicts, finished, changed, strict=True)
        if new or (verdict and verdict is not quality.FLAGGED_BEFORE)
    ]
    _write(study, outcomes, now, ["result", "detail", "at", "n_votes", "looked_at_end"])
    _screenings(study).exclude(rater__in=[answers.rater.pk for answers in raters]).update(
        result=Screening.Result.UNKNOWN, at=now
    )
    _write_reliability(study, seq, raters, evidence, screened.own, now)
    ratings = dict(zip(map(str, systems), np.round(screened.theta, 3).tolist(), strict=True))
    return ratings if moved else last_board


def _screenings(study):
    return Screening.objects.filter(study=study, screen=SCREEN, version=VERSION)


def _cleared(study):
    flags = Flag.objects.filter(vote__battle__study=study, rule=Flag.CLEARED)
    return set(flags.values_list("vote__rater", flat=True))


def _standing_flags(study):
    """{rater: {(rule, version): detail}} of the raters whom a quality rule has flagged and nobody has cleared."""
    flags = Flag.objects.filter(vote__battle__study=study, rule__in=quality.QUALITY_RULES)
    one_each = flags.order_by("vote__rater", "rule", "rule_version", "pk").distinct(
        "vote__rater", "rule", "rule_version"
    )
    cleared = _cleared(study)
    standing_flags: dict[UUID, dict[tuple[str, int], Any]] = {}
    for rater, rule, version, detail in one_each.values_list("vote__rater", "rule", "rule_version", "detail"):
        if rater not in cleared:
            standing_flags.setdefault(rater, {})[rule, version] = detail
    return standing_flags


def _is_new(row, answers, flagged, cleared):
    """Whether the rater's votes, or what is known of the rater, have changed since the last screening."""
    if not row or row.n_votes != len(answers.votes) or row.result == Screening.Result.UNKNOWN:
        return True
    if cleared:
        return row.result != Screening.Result.PASS or not row.looked_at_end
    return bool(flagged and row.result != Screening.Result.FAIL)


def _has_just_finished(rows, answers, study, new, now):
    """Whether the rules that judge a rater once, at the end, may do so now. They judge only once, or they would err
    more often than they promise."""
    row = rows.get(answers.rater.pk)
    if row and row.looked_at_end:
        return False
    return is_over(answers, study, now) or (new and is_through(answers, study))


def _has_moved(last_board, systems, theta):
    """Whether the board has moved since everybody was last judged by it."""
    if last_board.keys() != set(map(str, systems)):
        return True
    return bool(np.abs(theta - [last_board[str(pk)] for pk in systems]).max() > MOVED)


def _board(evidence, n_systems, flagged):
    a, b, outcome, rater = quality.pooled(evidence, n_systems)
    used = ~flagged[rater]
    return quality.board(a[used], b[used], outcome[used], n_systems, _fit)


def _fit(a, b, outcome, n_systems):
    return bradley_terry.fit(a, b, outcome, n_systems, l2=board_method.CONFIG["l2"]).theta


def _outcome(study, answers, verdict, row, flags, finished, now):
    looked = bool(row and row.looked_at_end)
    if verdict is None:  # a person has cleared them: they are not judged again
        reason = {"reason": "cleared by a person"}
        return _Outcome(answers, _row(study, answers, Screening.Result.PASS, now, reason, looked=True))
    if verdict is quality.FLAGGED_BEFORE:
        detail = row.detail if row and row.result == Screening.Result.FAIL else {"reason": verdict.reason}
        return _Outcome(answers, _row(study, answers, verdict.result, now, detail, looked), flags)
    detail = {
        "reason": verdict.reason,
        "log_e": {rule: round(evidence.log_e, 3) for rule, evidence in verdict.evidence.items()},
    }
    rules = {
        (fired.rule, fired.version): {"e": round(fired.e, 3), "p": fired.p, **fired.detail} for fired in verdict.rules
    }
    looked = looked or bool(finished and verdict.result != Screening.Result.UNKNOWN)
    return _Outcome(answers, _row(study, answers, verdict.result, now, detail, looked), rules)


def _row(study, answers, result, now, detail, looked=False):
    return Screening(
        rater=answers.rater, study=study, screen=SCREEN, version=VERSION, result=result, detail=detail,
        n_votes=len(answers.votes), looked_at_end=looked, at=now,
    )  # fmt: skip


# ---- writing ------------------------------------------------------------------------------------------


def _write(study, outcomes, now, fields):
    """Store screenings and flags, some raters at a time."""
    for start in range(0, len(outcomes), AT_ONCE):
        _write_some(study, outcomes[start : start + AT_ONCE], now, fields)


@transaction.atomic
def _write_some(study, outcomes, now, fields):
    """The raters' rows are locked: a withdrawal, or a person's clearing, comes either before, and counts, or after."""
    raters = Rater.objects.select_for_update(no_key=True).filter(
        pk__in=[outcome.row.rater_id for outcome in outcomes], withdrawn_at__isnull=True
    )
    locked = set(raters.order_by("pk").values_list("pk", flat=True))
    cleared = _cleared(study)
    outcomes = [outcome for outcome in outcomes if outcome.row.rater_id in locked]
    Screening.objects.bulk_create(
        [outcome.row for outcome in outcomes], update_conflicts=True, unique_fields=IDENTITY, update_fields=fields
    )
    flag_all(
        [
            (vote.pk, rule, version, detail)
            for outcome in outcomes
            if outcome.rules and outcome.row.rater_id not in cleared
            for (rule, version), detail in outcome.rules.items()
            for vote in outcome.answers.votes
        ],
        now,
    )


def _write_reliability(study, seq, raters, evidence, own, now):
    """Store the skill of every rater, measured by the board without them, where it is new or has changed noticeably."""
    a, b, preference = (
        np.concatenate([getattr(votes, name) for votes in evidence]) for name in ("a", "b", "preference")
    )
    skills = quality.reliability(
        a,
        b,
        preference,
        np.repeat(np.arange(len(raters)), [len(votes.preference) for votes in evidence]),
        own,
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


def _write_report(study, seq, report, now):
    return QualityReport.objects.create(study=study, ledger_seq=seq, version=VERSION, created_at=now, report=report)
