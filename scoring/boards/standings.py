"""A board's ratings with the votes that came since its edition: a point estimate whose cost does not grow with the
votes there are.

A `Standing` keeps how many votes say what of each pair, up to a place of the ledger. To move it on, only what the
ledger holds since is read: new votes are counted in, and older ones that a flag or a person's word has moved are
counted out, or in again. Every edition counts all votes anew, checks the standing by that and writes the next one.
"""

import numpy as np
from django.db import transaction
from django.utils import timezone

from annotations import ledger, vote_blocks
from annotations.alarms import raise_alarm
from annotations.models import Ledger
from arena.models import System
from scoring.inputs import credit_to_a, credits_of, flagged_votes, reasons_of
from scoring.models import Standing
from scoring.stats import pair_counts
from scoring.stats.board_method import counts_both_bad, settings_of, weighs
from scoring.stats.bradley_terry import NotOffered
from scoring.stats.rounding import rounded

SCREEN = "standing"  # under which an alarm rings


def is_kept(config):
    """Whether a board of this configuration has a standing: not where votes weigh differently or have covariates, for
    then it is not enough to count them."""
    return not (config.get("covariates") or weighs(config))


def is_behind(standing):
    """Whether the ledger holds something of the study that the standing does not."""
    return Ledger.objects.filter(study_id=standing.study_id, seq__gt=standing.ledger_seq).exists()


@transaction.atomic
def move_on(study, now=None):
    """Bring the study's standing to the head of the ledger; None where it has none."""
    standing = Standing.objects.select_for_update().filter(study=study).first()
    if not standing:
        return None
    now, seq = now or timezone.now(), ledger.head()
    try:
        counts = _moved(study, standing.config, _counts(standing), standing.ledger_seq, seq)
    except ValueError as astray:
        raise_alarm(study, SCREEN, f"The votes counted one by one have gone astray: {astray}.", {}, now)
        standing.delete()  # the next edition writes another
        return None
    return _write(standing, seq, counts, _ratings(counts, standing.config), now)


@transaction.atomic
def start(edition, votes):
    """The standing of an edition and its StudyVotes; None where its board has none. An alarm rings where the one
    before, brought to the same place of the ledger, has not come to the same counts."""
    study = edition.study
    before = Standing.objects.select_for_update().filter(study=study).first()
    if not is_kept(edition.config):
        if before:
            before.delete()
        return None
    standing = before or Standing(study=study)
    counts, seq = _counted(votes), edition.ledger_seq
    ratings = {row["system"]: row["rating"] for group in edition.result["groups"] for row in group}
    if before and settings_of(before.config) == settings_of(edition.config):
        if before.ledger_seq > seq:  # a sweep came while the edition was computed
            counts, seq = _moved(study, edition.config, counts, seq, before.ledger_seq), before.ledger_seq
            ratings = _ratings(counts, edition.config)
        _check(before, edition, counts, seq)
    standing.config = edition.config
    return _write(standing, seq, counts, ratings, edition.created_at)


def since(edition):
    """What there is to say of the votes that came after an edition, as JSON; None where it is not the study's last, or
    there are none, or its board has no standing."""
    standing = Standing.objects.filter(study=edition.study, ledger_seq__gt=edition.ledger_seq).first()
    if not standing or standing.config != edition.config or not standing.ratings:
        return None
    if edition.study.editions.filter(number__gt=edition.number).exists():
        return None
    return {
        "ledger_seq": standing.ledger_seq,
        "n_votes": standing.n_votes,
        "ratings": standing.ratings,
        "at": standing.moved_at.isoformat(),
    }


def _check(before, edition, counts, seq):
    """Ring if the standing has lost or doubled something; the edition's counts, at `seq`, are those that stay."""
    try:
        same = np.array_equal(_moved(edition.study, before.config, _counts(before), before.ledger_seq, seq), counts)
    except ValueError:
        same = False
    if not same:
        message = f"The votes counted one by one were not those of edition {edition.number}, which counts them anew."
        raise_alarm(edition.study, SCREEN, message, {"edition": edition.number}, edition.created_at)


def _moved(study, config, counts, after, up_to):
    """The counts at `after` brought to `up_to` by what the ledger holds between. ValueError where they were not those
    at `after`, and it shows."""
    new = vote_blocks.read(study, up_to, after)
    flags = Ledger.objects.filter(study=study, seq__gt=after, seq__lte=up_to, flag__isnull=False)
    moved = sorted(set(flags.values_list("flag__vote_id", flat=True)))  # flags of new votes are new, too
    old = vote_blocks.read_votes(study, moved)
    old = old[old["seq"] <= after]
    return pair_counts.added(
        counts,
        _used(np.concatenate([old, new]), flagged_votes(study, up_to, config["excluded_flags"], moved), config),
        pair_counts.taken_away(_used(old, flagged_votes(study, after, config["excluded_flags"], moved), config)),
    )


def _used(records, flagged, config):
    """The COUNTS of those of some blocks.RECORD that the board counts."""
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
    except NotOffered:  # the last vote that the treatment needs was withdrawn: the next edition will say so
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
