"""The public history of a board: every edition, what moved it, and how two editions differ."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from annotations.models import Flag, Ledger
from arena.refusals import NotFound
from scoring import inputs
from scoring.models import Edition, EditionChange, RobustnessCard
from scoring.stats import board_method, edition_difference
from scoring.stats.bradley_terry import BadCovariate, NoFiniteEstimate, NotOffered
from scoring.stats.pair_weights import NONE

PAGE = 50
PER_SWEEP = 20
FACTS = ("new_votes", "withdrawn", "flagged", "readmitted")


# ---- what moved an edition away from the one before it, once, in the worker ----------------------------------


def unexplained():
    """Editions that no EditionChange of this method explains, oldest first; the first of a board needs none."""
    explained = EditionChange.objects.filter(method_version=edition_difference.METHOD_VERSION).values("edition")
    return Edition.objects.filter(number__gt=1).exclude(pk__in=explained).order_by("pk").select_related("study")


def explain(edition, now=None):
    """Write what moved the edition. None where another worker has just done so."""
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


def rebuild_change(change):
    """Its canonical JSON, computed again from the database."""
    if change.method_version != edition_difference.METHOD_VERSION:
        raise NotFound(f"{change}: its method {change.method_version} is not in this code.")
    return board_method.canonical_json(compute_change(change.edition))


def compute_change(edition):
    """The result of an EditionChange. Votes are read only where an old one was excluded or cleared, or the method has
    changed: else the whole move is that of the new votes."""
    before = edition.study.editions.get(number=edition.number - 1)
    settings = edition_difference.changed_settings(before.config, edition.config)
    same_method = before.config == edition.config and _method(before) == _method(edition)
    if same_method and not _touched(before, edition):
        stages, facts = [before.result, *[edition.result] * 3], {"new_votes": edition.n_votes - before.n_votes}
    else:
        stages, facts = _stages(before, edition, same_method)
    return {
        "from": before.number,
        "to": edition.number,
        "facts": {name: facts.get(name, 0) for name in FACTS},
        "settings": settings,
        "method": [_method(before), _method(edition)],
        "reweighed": not settings and before.config != edition.config,
        "leader": [_leader(before), _leader(edition)],
        "systems": edition_difference.split(stages),
    }


def _method(edition):
    return f"{edition.method} {edition.method_version}"


def _leader(edition):
    groups = edition.result["groups"]
    return groups[0][0]["system"] if groups else None


def _touched(before, edition):
    """Whether anything was said between the editions of a vote that came before the first, that its board minds."""
    rules = [*before.config["excluded_flags"], Flag.WITHDRAWN, Flag.CLEARED]
    between = Ledger.objects.filter(study=edition.study, seq__gt=before.ledger_seq, seq__lte=edition.ledger_seq)
    return between.filter(flag__rule__in=rules, flag__vote__entry__seq__lte=before.ledger_seq).exists()


def _stages(before, edition, same_method):
    """(results of the path's four stages, the facts), by fitting what was never a board."""
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


# ---- as readers see it ---------------------------------------------------------------------------------


def changelog(study, before=None):
    """What GET /api/editions/ answers: the editions, newest first, PAGE at a time, each with what moved it (None while
    that is not computed yet, and for the first)."""
    editions = study.editions.order_by("-number").defer("result")
    if before:
        editions = editions.filter(number__lt=before)
    rows = list(editions[: PAGE + 1])
    shown = rows[:PAGE]
    moved = _changes(shown)
    with_card = set(RobustnessCard.objects.filter(edition__in=shown).values_list("edition_id", flat=True))
    return {
        "study": study.slug,
        "editions": [
            {
                "number": edition.number,
                "created_at": edition.created_at.isoformat(),
                "n_votes": edition.n_votes,
                "excluded": edition.excluded,
                "method": _method(edition),
                "treatment": edition.config.get("treatment", board_method.HALF_TIE),
                "covariates": edition.config.get("covariates", []),
                "weighting": edition.config.get("weighting", NONE),
                "ledger_seq": edition.ledger_seq,
                "input_hash": edition.input_hash,
                "changes": _in_short(moved.get(edition.pk)),
                "has_card": edition.pk in with_card,
            }
            for edition in shown
        ],
        "next_before": shown[-1].number if len(rows) > PAGE else None,
    }


def _changes(editions):
    changes_of = EditionChange.objects.filter(edition__in=editions, method_version=edition_difference.METHOD_VERSION)
    return {change.edition_id: change.result for change in changes_of}


def _in_short(result):
    """The facts of a change without its systems, and how many changed their rank."""
    if result is None:
        return None
    rows = result["systems"].values()
    moved = sum(bool(row["from"] and row["to"] and row["from"]["rank"] != row["to"]["rank"]) for row in rows)
    kept = {name: value for name, value in result.items() if name != "systems"}
    return {**kept, "rank_moves": moved, "arrived": sum(row["from"] is None for row in rows)}


def difference(study, first, last):
    """What GET /api/editions/compare/ answers: the moves between two editions, each shared out among its reasons.

    Parts are None while a step between them is not computed yet (`complete` is False), and where a system was not on
    every board between.
    """
    if first >= last:
        raise NotFound(f"The edition compared from must be the earlier one: {first} is not before {last}.")
    numbers = {edition.number: edition for edition in study.editions.filter(number__in=(first, last))}
    if missing := {first, last} - set(numbers):
        raise NotFound(f"{study.slug} has no edition {min(missing)}.")
    between = EditionChange.objects.filter(
        edition__study=study,
        edition__number__gt=first,
        edition__number__lte=last,
        method_version=edition_difference.METHOD_VERSION,
    )
    steps = list(between.order_by("edition__number").values_list("result", flat=True))
    complete = len(steps) == last - first
    ends = edition_difference.split([numbers[first].result, None, None, numbers[last].result])
    systems = edition_difference.chain([step["systems"] for step in steps]) if complete else ends
    return {
        "study": study.slug,
        "from": _end(numbers[first]),
        "to": _end(numbers[last]),
        "order": list(edition_difference.PARTS),
        "complete": complete,
        "facts": {name: sum(step["facts"][name] for step in steps) for name in FACTS} if complete else None,
        "settings": edition_difference.changed_settings(numbers[first].config, numbers[last].config),
        "systems": [
            {"system": name, **row, "move": _move(row)}
            for name, row in sorted(systems.items(), key=lambda item: _place(item[1]))
        ],
    }


def _end(edition):
    return {
        "number": edition.number,
        "created_at": edition.created_at.isoformat(),
        "n_votes": edition.n_votes,
        "method": _method(edition),
        "leader": _leader(edition),
    }


def _move(row):
    return edition_difference.difference(row["from"], row["to"]) if row["from"] and row["to"] else None


def _place(row):
    return (0, row["to"]["rank"], -row["to"]["rating"]) if row["to"] else (1, row["from"]["rank"], 0)
