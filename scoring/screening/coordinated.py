"""Judge the groups in which a study's raters came, by `annotations.quality.groups`, and flag who votes together.

Votes and group numbers are read as arrays, so that ten thousand raters of one connection take seconds. As everywhere
nothing is deleted, a rater whom a person has cleared is in no group, and who is in no known group is never flagged.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID

import numpy as np
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Coalesce
from django.utils import timezone

from annotations import group_numbers, quality
from annotations.alarms import raise_alarm
from annotations.models import Flag, GroupNumbers, Ledger, Vote
from annotations.quality import groups
from annotations.services import flag_all
from arena.models import Rater, Study
from scoring import inputs
from scoring.models import GroupScreening
from scoring.stats import board_method, bradley_terry

RULE, VERSION = quality.COORDINATED, quality.VERSION[quality.COORDINATED]
EVERY, COST = timedelta(seconds=20), 20  # a screening that takes a minute runs every 20 minutes
ANSWER = {1.0: "A", 0.0: "B", 0.5: "TIE"}
AT_ONCE = 500  # raters whose rows are locked together


def due_studies(now: datetime | None = None) -> Iterable[int]:
    """Primary keys of the studies with votes since their groups were last judged, enough time ago."""
    now = now or timezone.now()
    newer = Ledger.objects.filter(study=OuterRef("pk"), vote__rater__isnull=False, seq__gt=OuterRef("judged_to"))
    looks = GroupScreening.objects.values_list("study", "at", "seconds")
    resting = [study for study, at, seconds in looks if now - at < max(EVERY, COST * timedelta(seconds=seconds))]
    studies = Study.objects.order_by().annotate(judged_to=Coalesce(F("group_screening__ledger_seq"), 0))
    known = GroupNumbers.objects.filter(study=OuterRef("pk"))
    return studies.exclude(pk__in=resting).filter(Exists(newer), Exists(known)).values_list("pk", flat=True)


def screen_groups(study: Study, now: datetime | None = None) -> GroupScreening:
    """Judge the groups of the study on its votes so far, and flag all votes of those who vote together."""
    now, began = now or timezone.now(), monotonic()
    last = Ledger.objects.filter(study=study, seq__isnull=False).order_by("-seq").values_list("seq", flat=True).first()
    seq = last or 0
    votes = inputs.study_votes(study, seq)
    raters = _Raters(study, votes)
    found = _find(study, votes, raters)
    for start in range(0, len(flagged := _flags(votes, raters, found)), AT_ONCE):
        _flag(study, dict(list(flagged.items())[start : start + AT_ONCE]), now)
    findings = [_told(finding, votes.systems) for finding in found]
    _tell_staff(study, findings, now)
    screening, _ = GroupScreening.objects.update_or_create(
        study=study,
        defaults={"ledger_seq": seq, "findings": findings, "seconds": round(monotonic() - began, 2), "at": now},
    )
    return screening


class _Raters:
    """The raters of some votes, first those with group numbers in the order in which they came.

    ids: [R] bytes of UUIDs. of_vote: int [V], a rater's index; a vote without rater has one of its own. groups: {mark:
    int [R]}, -1 where it is unknown. place: int [R].
    """

    def __init__(self, study: Study, votes: Any) -> None:
        known = group_numbers.read(study)
        index = {raw: number for number, raw in enumerate(known["rater"].tolist())}
        _, first, of = np.unique(votes.cluster, return_index=True, return_inverse=True)
        has_rater = votes.cluster[first] >= 0
        self.ids: list[bytes | None] = [bytes(raw) for raw in index]
        numbers = []
        for raw, is_known in zip(votes.rater_id[first].tolist(), has_rater.tolist(), strict=True):
            number = index.get(raw) if is_known else None
            if number is None:
                number = len(self.ids)
                self.ids.append(bytes(raw) if is_known else None)
            numbers.append(number)
        self.of_vote = np.array(numbers, dtype=np.int64)[of] if len(of) else np.zeros(0, int)
        unknown = np.full(len(self.ids) - len(known), -1)
        self.groups = {mark: np.concatenate([known[mark].astype(int), unknown]) for mark in group_numbers.MARKS}
        self.place = np.concatenate([np.arange(len(known)), unknown])

    def marked(self, ids: Iterable[Any]) -> np.ndarray:
        """bool [R]: which of them have these UUIDs."""
        chosen = {rater.bytes for rater in ids}
        return np.array([raw in chosen for raw in self.ids], dtype=bool)


def _find(study: Study, votes: Any, raters: _Raters) -> list[groups.Finding]:
    flags = Flag.objects.filter(vote__battle__study=study, vote__rater__isnull=False)
    cleared = set(flags.filter(rule=Flag.CLEARED).values_list("vote__rater", flat=True))
    suspected = set(flags.filter(rule__in=quality.QUALITY_RULES).values_list("vote__rater", flat=True).distinct())
    preference = np.select([votes.outcome == credit for credit in ANSWER], list(ANSWER.values()), "")
    return groups.find(
        groups.StudyVotes(votes.a, votes.b, preference, raters.of_vote),
        groups.partitions(**raters.groups, place=raters.place),
        len(votes.systems),
        _fit,
        l2=board_method.CONFIG["l2"],
        left_out=raters.marked(cleared),
        distrusted=raters.marked(suspected - cleared),
    )


def _fit(a: np.ndarray, b: np.ndarray, outcome: np.ndarray, n_systems: int, weight: np.ndarray) -> np.ndarray:
    return bradley_terry.fit(a, b, outcome, n_systems, weight=weight, l2=board_method.CONFIG["l2"]).theta


def _told(finding: groups.Finding, systems: list[str]) -> dict[str, Any]:
    """A finding as plain JSON."""
    detail = {**finding.evidence.detail, "system": systems[finding.evidence.detail["system"]]}
    return {"kind": finding.kind, "group": finding.group, "flagged": len(finding.raters),
            "e": float(f"{finding.evidence.e:.4g}"), **detail}  # fmt: skip


def _flags(votes: Any, raters: _Raters, found: list[groups.Finding]) -> dict[bytes, dict[str, Any]]:
    """{rater: the detail of their flags}, of the surest finding about each."""
    flags: dict[bytes, dict[str, Any]] = {}
    for finding in sorted(found, key=lambda one: -one.evidence.log_e):
        told = _told(finding, votes.systems)
        for number in finding.raters.tolist():
            if raw := raters.ids[number]:
                flags.setdefault(raw, told)
    return flags


@transaction.atomic
def _flag(study: Study, flags: dict[bytes, dict[str, Any]], now: datetime) -> None:
    """The raters' rows are locked: a withdrawal, or a person's clearing, comes either before, and counts, or after."""

    details = {UUID(bytes=raw): detail for raw, detail in flags.items()}
    present = Rater.objects.select_for_update(no_key=True).filter(pk__in=list(details), withdrawn_at__isnull=True)
    locked = set(present.order_by("pk").values_list("pk", flat=True))
    cleared = Flag.objects.filter(vote__battle__study=study, vote__rater__in=locked, rule=Flag.CLEARED)
    locked -= set(cleared.values_list("vote__rater", flat=True))
    votes = Vote.objects.filter(battle__study=study, rater__in=locked).exclude(flags__rule=Flag.WITHDRAWN)
    flag_all([(pk, RULE, VERSION, details[rater]) for pk, rater in votes.values_list("pk", "rater_id") if rater], now)


def _tell_staff(study: Study, findings: list[dict[str, Any]], now: datetime) -> None:
    """An alarm when a group is found that was not known at the last look."""
    last = GroupScreening.objects.filter(study=study).values_list("findings", flat=True).first() or []
    known = {(one["kind"], one["group"]) for one in last}
    new = [one for one in findings if (one["kind"], one["group"]) not in known]
    if new:
        most = max(new, key=lambda one: one["flagged"])
        message = (
            f"{most['flagged']} raters who came together ({most['kind']} {most['group']}) vote {most['direction']} "
            f"{most['system']}: their votes are flagged."
        )
        raise_alarm(study, RULE, message, {"findings": new}, now)
