"""Votes in, board out: a study's next edition, from the head of the ledger to the rows that are written."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max, OuterRef, Subquery, TextField
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone

from annotations import ledger
from annotations.models import Ledger, Reliability
from arena.locks import Lock, hold
from arena.models import Study, System
from arena.refusals import Conflict
from scoring import inputs
from scoring.inputs.covariates import LYRICS, in_order, known_of_systems
from scoring.models import BoardCheck, Edition, Rating
from scoring.stats import board_method
from scoring.stats.bradley_terry import BadCovariate, NotOffered

from . import pairing_tables, standings

SHORTEST_S = 60  # between two editions of a board; the votes meanwhile are in its standing
UNKNOWN = ("draw_unknown", "covariate_unknown")  # reasons for leaving out a vote that follow from what was chosen


@transaction.atomic
def refit_board(
    study: Study,
    now: datetime | None = None,
    only_if_due: bool = False,
    only_if_changed: bool = False,
    **chosen: Any,
) -> Any:
    """Compute the study's board at the head of the ledger and write it as the next edition.

    With `only_if_changed`, None where no vote counts, or the board would be as in the last edition. With `only_if_due`
    also where the last edition is too young, nothing is new, or another worker is computing it.
    chosen: `treatment`, `covariates` or `weighting`, from this edition on; see `board_method.config_for`. What is not
    chosen stays as in the last edition, or goes back to the default where the votes no longer support it. NotOffered,
    BadCovariate or Conflict where the votes do not support what was chosen.
    """
    now = now or timezone.now()
    if not hold(Lock.BOARD, study, wait=not only_if_due):
        return None
    if only_if_due and not board_is_due(study, now):
        return None
    head = ledger.head()
    last = study.editions.newest()
    config = asked = _configuration(study, _choice(last, chosen))
    try:
        votes = _votes(study, head, config)
        result = board_method.compute(votes, config)
    except (NotOffered, BadCovariate, Conflict):
        if chosen:
            raise
        config = _configuration(study, {})
        votes = _votes(study, head, config)
        result = board_method.compute(votes, config)
    if (only_if_due or only_if_changed) and not _is_news(result, config, last):
        checked = {"ledger_seq": head, "config": asked, "checked_at": now}
        BoardCheck.objects.update_or_create(study=study, defaults=checked)
        return None
    edition = Edition.objects.create(
        study=study,
        number=last.number + 1 if last else 1,
        method=board_method.METHOD,
        method_version=board_method.METHOD_VERSION,
        config=config,
        ledger_seq=head,
        input_hash=votes.input_hash,
        n_votes=result["n_votes"],
        excluded=result["excluded"],
        result=result,
        created_at=now,
    )
    BoardCheck.objects.filter(study=study).delete()
    _write_ratings(edition)
    standings.start(edition, votes)
    pairing_tables.write(edition, votes)
    return edition


def rebuild_edition(edition: Edition) -> str:
    """The edition's canonical JSON, computed again from the database."""
    return board_method.canonical_json(rebuilt(edition)["result"])


def rebuilt(edition: Edition) -> dict[str, Any]:
    """{"input_hash", "result"} of the edition, computed again from the database; CannotBeRebuilt where its method is
    not in this code."""
    board_method.require_known(edition)
    votes = inputs.board_votes(edition.study, edition.ledger_seq, edition.config)
    return {"input_hash": votes.input_hash, "result": board_method.compute(votes, edition.config)}


# ---- the steps, in their order ------------------------------------------------------------------------


def board_is_due(study: Study, now: datetime | None = None) -> bool:
    """Whether the ledger has enough entries that no edition or check of the study has considered, the study's settings
    have changed since, or votes are weighted by reliability and there are new reliabilities; never within SHORTEST_S of
    the last edition."""
    now = now or timezone.now()
    last = study.editions.newest()
    since_last_s = (now - last.created_at).total_seconds() if last else SHORTEST_S
    if since_last_s < SHORTEST_S:
        return False
    seq, seen = _considered(study, last)
    config = _configuration(study, _choice(last, {}))
    if seen and board_method.settings_of(config) != board_method.settings_of(seen):
        return True
    new = Ledger.objects.filter(study=study, seq__gt=seq).order_by("seq").select_related("vote", "flag")
    oldest, reweighed = new.first(), config != (seen or config)
    if not last:
        return bool(oldest) or reweighed
    if not oldest and not reweighed:
        return False
    came_at = now
    if oldest:
        came_at = oldest.vote.received_at if oldest.vote else oldest.flag.created_at  # type: ignore[union-attr]  # either
    n_counted = last.n_votes + sum(last.excluded.values())
    return is_worth_an_edition(
        n_counted=n_counted,
        n_new_entries=new.count() + reweighed,
        n_votes=n_counted + new.filter(vote__isnull=False).count(),
        oldest_wait_s=(now - came_at).total_seconds(),
        since_last_s=since_last_s,
    )


def due_studies(now: datetime | None = None) -> list[int]:
    """Primary keys of the studies of which `board_is_due` may say so: those with new entries in the ledger, and those
    whose next edition would have another configuration. Boards of one configuration are compared once."""
    now = now or timezone.now()
    head = Ledger.objects.filter(study=OuterRef("pk"), seq__isnull=False).order_by("-seq").values("seq")[:1]
    newest = Edition.objects.filter(study=OuterRef("pk")).order_by("-number")
    check = BoardCheck.objects.filter(study=OuterRef("pk"))
    studies = Study.objects.order_by().annotate(
        head=Subquery(head),
        published_at=Subquery(newest.values("created_at")[:1]),
        seen_to=Coalesce(Subquery(check.values("ledger_seq")[:1]), Subquery(newest.values("ledger_seq")[:1]), 0),
        seen_config=Coalesce(_config_text(check), _config_text(newest)),
    )
    weighted = Reliability.objects.filter(study__weight_by_reliability=True).order_by().values_list("study")
    last_reliability = dict(weighted.annotate(last=Max("pk")))
    compared, due = {}, []
    for study in studies.filter(head__isnull=False).only("exclude_flagged", "weight_by_reliability"):
        if study.published_at and (now - study.published_at).total_seconds() < SHORTEST_S:
            continue
        reliability = last_reliability.get(study.pk)
        key = study.seen_config, study.exclude_flagged, study.weight_by_reliability, reliability
        if study.seen_config is not None and key not in compared:
            compared[key] = _may_be_configured_anew(study, json.loads(study.seen_config), reliability)
        if study.head > study.seen_to or compared[key]:
            due.append(study.pk)
    return due


def _config_text(rows):
    return Subquery(rows.annotate(text=Cast("config", TextField())).values("text")[:1])


def _may_be_configured_anew(study, config, reliability):
    """Whether an edition of the study would differ in its configuration from the last one, whose config is given. What
    is known of systems may always differ."""
    choice = board_method.choice_of(config)
    if LYRICS in choice["covariates"]:
        return True
    return board_method.config_for(study, reliability, **choice) != config


def is_worth_an_edition(
    *, n_counted: int, n_new_entries: int, n_votes: int, oldest_wait_s: float, since_last_s: float
) -> bool:
    """Whether what is new justifies computing the board again.

    n_counted: votes in the ledger at the last edition; n_votes: now; n_new_entries: votes, flags and new weights since;
    oldest_wait_s: age of the oldest of these, in seconds; since_last_s: age of the last edition, in seconds.
    """
    if not n_new_entries:
        return False
    if n_votes < 1000 or since_last_s >= 3600:
        return True
    return oldest_wait_s >= 30 and n_votes - n_counted >= 0.01 * n_counted


def _considered(study, last):
    """(up to which entry of the ledger, under which configuration) an edition or a check has computed the board."""
    newest = BoardCheck.objects.filter(study=study).first() or last
    return (newest.ledger_seq, newest.config) if newest else (0, None)


def _is_news(result, config, last):
    """Whether a board is worth an edition: votes count, and something in it differs from the last one."""
    if not result["n_votes"]:
        return False
    return (
        not last
        or board_method.settings_of(config) != board_method.settings_of(last.config)
        or board_method.canonical_json(result) != board_method.canonical_json(last.result)
    )


def _choice(last, chosen):
    """How the board is computed: as chosen now, and otherwise as in the last edition."""
    if "covariates" in chosen:
        chosen = {**chosen, "covariates": in_order(chosen["covariates"])}
    return {**board_method.choice_of(last.config if last else {}), **chosen}


def _configuration(study, choice):
    last_reliability = study.reliabilities.order_by("-pk").values_list("pk", flat=True).first()
    known = known_of_systems(study, choice.get("covariates", ()))
    return board_method.config_for(study, last_reliability, **choice, known_of_systems=known)


def _votes(study, seq, config):
    """The votes that the board counts. Conflict where the configuration leaves out all of them."""
    votes = inputs.board_votes(study, seq, config)
    if not len(votes.outcome) and (unknown := [reason for reason in UNKNOWN if reason in votes.excluded]):
        raise Conflict(f"Every vote would be left out: {', '.join(unknown)}.", reasons=unknown)
    return votes


def ratings_of(result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """{system: its figures} from an edition's result, as they are copied to the rows of Rating."""
    return {
        rating["system"]: {
            "group": group_number,
            "value": rating["rating"],
            **{name: rating[name] for name in ("stderr", "low", "high", "n_votes", "wins", "losses", "ties")},
        }
        for group_number, group in enumerate(result["groups"], start=1)
        for rating in group
    }


def _write_ratings(edition):
    ratings = ratings_of(edition.result)
    ids = System.objects.ids_of(ratings)
    Rating.objects.bulk_create(
        Rating(edition=edition, system_id=ids[system], **figures) for system, figures in ratings.items()
    )
