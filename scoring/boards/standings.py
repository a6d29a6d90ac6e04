"""A board's ratings with the votes that came since its edition: a point estimate whose cost does not grow with the
total number of votes.

A `Standing` holds the vote counts of each pair up to a ledger number. To update it, only the entries since are read:
new votes are added, and older votes that a flag or a person's decision excluded or readmitted are subtracted or added.
Every edition counts all votes from scratch, checks the standing against them and writes the next one.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from annotations import ledger, vote_blocks
from annotations.alarms import raise_alarm
from annotations.models import Ledger
from arena.models import Study, System
from scoring.inputs import StudyVotes, credit_to_a, credits_of, flagged_votes, reasons_of
from scoring.models import Edition, Standing
from scoring.stats import influence, pair_counts
from scoring.stats.board_method import counts_both_bad, settings_of, weighs_votes
from scoring.stats.bradley_terry import NotOffered
from scoring.stats.rounding import rounded

SCREEN = "standing"  # the `screen` of its alarms


def is_kept(edition: Edition) -> bool:
    """Whether an edition's board has a standing: not with weighted votes or covariates, nor where a network is capped,
    because there counts are not enough."""
    config = edition.config
    is_capped = bool(edition.result.get("influence", {}).get("capped"))
    return not (config.get("covariates") or weighs_votes(config) or is_capped)


def is_behind(standing: Standing) -> bool:
    """Whether the ledger has entries of the study that the standing does not include yet."""
    return Ledger.objects.filter(study_id=standing.study_id, seq__gt=standing.ledger_seq).exists()


def due_studies() -> Iterable[int]:
    """Primary keys of the studies whose standing is behind the ledger."""
    newer = Ledger.objects.filter(study=OuterRef("study"), seq__gt=OuterRef("ledger_seq"))
    return Standing.objects.filter(Exists(newer)).values_list("study", flat=True)


@transaction.atomic
def move_on(study: Study, now: datetime | None = None) -> Standing | None:
    """Update the study's standing to the head of the ledger; None where it has none."""
    standing = Standing.objects.select_for_update().filter(study=study).first()
    if not standing:
        return None
    now, seq = now or timezone.now(), ledger.head()
    try:
        counts = _moved(study, standing.config, _counts(standing), standing.ledger_seq, seq)
    except ValueError as error:
        raise_alarm(study, SCREEN, f"The incremental vote counts are inconsistent: {error}.", {}, now)
        standing.delete()  # the next edition writes a new one
        return None
    ratings = {} if _may_be_capped(study, counts) else _ratings(counts, standing.config)
    return _write(standing, seq, counts, ratings, now)


@transaction.atomic
def start(edition: Edition, votes: StudyVotes) -> Standing | None:
    """Write the standing of an edition from its StudyVotes; None where its board has none. Raises an alarm where the
    previous standing, updated to the same ledger number, has different counts."""
    study = edition.study
    before = Standing.objects.select_for_update().filter(study=study).first()
    if not is_kept(edition):
        if before:
            before.delete()
        return None
    standing = before or Standing(study=study)
    counts, seq = _counted(votes), edition.ledger_seq
    ratings = {row["system"]: row["rating"] for group in edition.result["groups"] for row in group}
    if before and settings_of(before.config) == settings_of(edition.config):
        if before.ledger_seq > seq:  # a sweep came while the edition was computed
            counts, seq = _moved(study, edition.config, counts, seq, before.ledger_seq), before.ledger_seq
            ratings = {} if _may_be_capped(study, counts) else _ratings(counts, edition.config)
        _check(before, edition, counts, seq)
    standing.config = edition.config
    return _write(standing, seq, counts, ratings, edition.created_at)


def since(edition: Edition) -> dict[str, Any] | None:
    """The ratings with the votes that came after an edition, as JSON; None where it is not the study's last edition, no
    votes came, or its board has no standing."""
    standing = Standing.objects.filter(study=edition.study, ledger_seq__gt=edition.ledger_seq).first()
    if not standing or standing.config != edition.config or (standing.n_votes and not standing.ratings):
        return None
    if edition.study.editions.filter(number__gt=edition.number).exists():
        return None
    return {
        "ledger_seq": standing.ledger_seq,
        "n_votes": standing.n_votes,
        "ratings": standing.ratings,
        "at": standing.moved_at.isoformat(),
    }


def _may_be_capped(study, counts):
    """Whether the votes since the last edition are so many that the next one may cap a network, which counts cannot
    show. Then there are no ratings until it comes."""
    edition = study.editions.newest()
    if not edition or "influence" not in edition.result:
        return False
    new = Ledger.objects.filter(study=study, seq__gt=edition.ledger_seq, vote__rater__group_numbers__study=study)
    return influence.may_bind(edition.result, edition.config, pair_counts.n_votes(counts), new.count())


def _check(before, edition, counts, seq):
    """Raise an alarm if the standing lost or double-counted votes; the edition's counts, at `seq`, are kept."""
    try:
        same = np.array_equal(_moved(edition.study, before.config, _counts(before), before.ledger_seq, seq), counts)
    except ValueError:
        same = False
    if not same:
        message = f"The incremental vote counts differ from those of edition {edition.number}, which counted all votes."
        raise_alarm(edition.study, SCREEN, message, {"edition": edition.number}, edition.created_at)


def _moved(study, config, counts, after, up_to):
    """The counts at ledger number `after`, updated to `up_to` with the entries between. ValueError where a count would
    be impossible, so `counts` cannot have been right."""
    new = vote_blocks.read(study, up_to, after)
    flags = Ledger.objects.filter(study=study, seq__gt=after, seq__lte=up_to, flag__isnull=False)
    moved = sorted(set(flags.values_list("flag__vote_id", flat=True)))  # the flags of new votes are new, too
    old = vote_blocks.read_votes(study, moved)
    old = old[old["seq"] <= after]
    return pair_counts.added(
        counts,
        _used(np.concatenate([old, new]), flagged_votes(study, up_to, config["excluded_flags"], moved), config),
        pair_counts.taken_away(_used(old, flagged_votes(study, after, config["excluded_flags"], moved), config)),
    )


def _used(records, flagged, config):
    """The COUNTS of the votes that the board counts. records: vote_blocks.RECORD [V]."""
    credit = credit_to_a(counts_both_bad(config))
    used = records[reasons_of(records, flagged, credit)[0] == 0]
    system_a, system_b = (used[name].astype(np.int64) for name in ("system_a", "system_b"))
    return pair_counts.count(system_a, system_b, credits_of(used, credit))


def _counted(votes):
    """The COUNTS of a StudyVotes."""
    ids = System.objects.ids_of(votes.systems)
    number = np.array([ids[name] for name in votes.systems], dtype=np.int64)
    return pair_counts.count(number[votes.a], number[votes.b], votes.outcome)


def _ratings(counts, config):
    """{system's name: rating}."""
    try:
        ratings = pair_counts.ratings(counts, config)
    except NotOffered:  # the last vote that the treatment needs was withdrawn: the next edition reports it
        return {}
    names = dict(System.objects.filter(pk__in=list(ratings)).values_list("pk", "name"))
    return {names[pk]: rounded(rating) for pk, rating in ratings.items()}


def _counts(standing):
    return np.frombuffer(bytes(standing.counts), pair_counts.COUNTS)


def _write(standing, seq, counts, ratings, now):
    standing.ledger_seq, standing.ratings, standing.moved_at = seq, ratings, now
    standing.counts, standing.n_votes = counts.tobytes(), pair_counts.n_votes(counts)
    standing.save()
    return standing
