"""What changed between an edition and the one before it: computed once, in the worker."""

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from annotations.models import Flag, Ledger
from scoring import inputs
from scoring.models import Edition, EditionChange
from scoring.stats import board_method, edition_difference
from scoring.stats.bradley_terry import BadCovariate, NoFiniteEstimate, NotOffered
from scoring.stats.rebuilding import require_method

METHOD = "explanation"
FACTS = ("new_votes", "withdrawn", "flagged", "readmitted")


def unexplained() -> QuerySet[Edition]:
    """Editions without an EditionChange of this method, oldest first; a board's first edition needs none."""
    explained = EditionChange.objects.filter(edition=OuterRef("pk"), method_version=edition_difference.METHOD_VERSION)
    return Edition.objects.filter(~Exists(explained), number__gt=1).order_by("pk").select_related("study")


def due_editions() -> dict[int, int]:
    """{primary key of an unexplained edition: its study's}."""
    return dict(unexplained().values_list("pk", "study"))


def explain(edition: Edition, now: datetime | None = None) -> EditionChange | None:
    """Write what moved the edition; None where another worker has just done so."""
    result = compute_change(edition)
    try:
        with transaction.atomic():
            return EditionChange.objects.create(
                edition=edition,
                method_version=edition_difference.METHOD_VERSION,
                result=result,
                created_at=now or timezone.now(),
            )
    except IntegrityError:
        return None


def explain_by_key(edition: int) -> None:
    """`explain` of the edition with this primary key, unless it has been explained meanwhile."""
    if due := unexplained().filter(pk=edition).first():
        explain(due)


def rebuild_change(change: EditionChange) -> str:
    """The change's canonical JSON, computed again from the database; CannotBeRebuilt where its method, or that of
    one of its two editions, is not in this code."""
    edition = change.edition
    require_method(change, (METHOD, change.method_version), {(METHOD, edition_difference.METHOD_VERSION)})
    for compared in (_before(edition), edition):
        board_method.require_known(compared)
    return board_method.canonical_json(compute_change(edition))


def compute_change(edition: Edition) -> dict[str, Any]:
    """The result of an EditionChange. Votes are read only where an old vote was excluded or cleared, or the method has
    changed: otherwise the new votes account for the whole move."""
    before = _before(edition)
    settings = edition_difference.changed_settings(before.config, edition.config)
    same_method = before.config == edition.config and method_of(before) == method_of(edition)
    if same_method and not _touched(before, edition):
        stages, facts = [before.result, *[edition.result] * 3], {"new_votes": edition.n_votes - before.n_votes}
    else:
        stages, facts = _stages(before, edition, same_method)
    return {
        "from": before.number,
        "to": edition.number,
        "facts": {name: facts.get(name, 0) for name in FACTS},
        "settings": settings,
        "method": [method_of(before), method_of(edition)],
        "reweighed": not settings and before.config != edition.config,
        "leader": [leader_of(before), leader_of(edition)],
        "systems": edition_difference.split(stages),
    }


def _before(edition):
    return edition.study.editions.get(number=edition.number - 1)


def method_of(edition: Edition) -> str:
    return f"{edition.method} {edition.method_version}"


def leader_of(edition: Edition) -> str | None:
    groups = edition.result["groups"]
    return groups[0][0]["system"] if groups else None


def _touched(before, edition):
    """Whether a vote from before the first edition was flagged or cleared between the two, by a rule the board uses."""
    rules = [*before.config["excluded_flags"], Flag.WITHDRAWN, Flag.CLEARED]
    between = Ledger.objects.filter(study=edition.study, seq__gt=before.ledger_seq, seq__lte=edition.ledger_seq)
    return between.filter(flag__rule__in=rules, flag__vote__entry__seq__lte=before.ledger_seq).exists()


def _stages(before, edition, same_method):
    """(results of the four stages between the editions, the facts); boards that were never published are fitted."""
    study, config = edition.study, before.config
    old = inputs.board_votes(study, before.ledger_seq, config)
    now = inputs.board_votes(study, edition.ledger_seq, config)
    with_new = _board(edition_difference.joined(old, now, before.ledger_seq), config)
    without_excluded = edition.result if same_method else _board(now, config)
    gone = set(old.seq.tolist()) - set(now.seq.tolist())
    withdrawn = Ledger.objects.filter(
        seq__in=gone, vote__flags__rule=Flag.WITHDRAWN, vote__flags__entry__seq__lte=edition.ledger_seq
    )
    n_withdrawn = withdrawn.values("seq").distinct().count()
    facts = {
        "new_votes": int((now.seq > before.ledger_seq).sum()),
        "withdrawn": n_withdrawn,
        "flagged": len(gone) - n_withdrawn,
        "readmitted": len(set(now.seq[now.seq <= before.ledger_seq].tolist()) - set(old.seq.tolist())),
    }
    return [before.result, with_new, without_excluded, edition.result], facts


def _board(votes, config):
    try:
        return board_method.compute(votes, config)
    except (NotOffered, BadCovariate, NoFiniteEstimate):
        return None
