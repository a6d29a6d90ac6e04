"""The robustness card of an edition: from the database to `scoring.stats.robustness` and back. Runs in the worker."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone

from annotations.models import Ledger
from annotations.quality import QUALITY_RULES
from arena.locks import Lock, hold
from arena.models import Study
from scoring import inputs
from scoring.metrics.certainty import shortfalls
from scoring.models import AnchorFit, Edition, RewardModel, RobustnessCard
from scoring.stats import board_method, robustness
from scoring.stats.rebuilding import require_method

METHOD = "robustness card"
SETTLED = timedelta(minutes=10)  # how long a card is kept before newer anchors lead to another


def card_is_due(study: Study, now: datetime | None = None) -> bool:
    """Whether the study's last edition has no card of this method, or one older than SETTLED whose reward model or
    anchors are no longer the current ones."""
    edition = study.editions.newest()
    if not edition:
        return False
    card = last_card(edition)
    if not card or card.method_version != robustness.METHOD_VERSION:
        return True
    return judges(study) != _judges_of(card) and (now or timezone.now()) - card.created_at >= SETTLED


def due_studies(now: datetime | None = None) -> list[int]:
    """Primary keys of the studies of which `card_is_due`."""
    model = RewardModel.live()
    fits = dict(AnchorFit.objects.newest_of_each(model).values_list("study", "pk"))
    cards = RobustnessCard.objects.filter(edition__in=Edition.objects.newest_of_each())
    latest = cards.order_by("edition", "-pk").distinct("edition")
    columns = "edition", "method_version", "created_at", "config__reward_model", "config__anchor_fit"
    card_of = {edition: card for edition, *card in latest.values_list(*columns)}
    now = now or timezone.now()

    def is_due(study, edition):
        if edition not in card_of:
            return True
        version, created_at, model_then, fit_then = card_of[edition]
        has_other_judges = (model_then, fit_then) != (model and model.pk, fits.get(study))
        return version != robustness.METHOD_VERSION or (has_other_judges and now - created_at >= SETTLED)

    editions = Edition.objects.newest_of_each().values_list("study", "pk")
    return [study for study, edition in editions if is_due(study, edition)]


def last_card(edition: Edition) -> RobustnessCard | None:
    return edition.cards.order_by("-pk").first()


def judges(study: Study) -> tuple[Any, Any]:
    """(the live model's id, the id of its last anchor fit in the study), each None where there is none."""
    model = RewardModel.live()
    fit = study.anchor_fits.newest_of(model)
    return model and model.pk, fit and fit.pk


def _judges_of(card):
    return card.config["reward_model"], card.config["anchor_fit"]


@transaction.atomic
def write_card(
    study: Study, edition: Edition | None = None, now: datetime | None = None, only_if_due: bool = False
) -> RobustnessCard | None:
    """Write the card of an edition (by default the study's last) from current data. None where it is not due."""
    hold(Lock.CARD, study)
    if only_if_due and not card_is_due(study, now):
        return None
    edition = edition or study.editions.newest()
    model, fit = judges(study)
    config = {
        "draws": robustness.DRAWS,
        "reward_model": model,
        "anchor_fit": fit,
        "last_reward": inputs.last_reward() if model else None,
    }
    return RobustnessCard.objects.create(
        edition=edition,
        method_version=robustness.METHOD_VERSION,
        config=config,
        result=compute(edition, config),
        created_at=now or timezone.now(),
    )


def rebuild_card(card: RobustnessCard) -> str:
    """The card's canonical JSON, computed again from the database; CannotBeRebuilt where its method, or that of its
    edition, is not in this code."""
    require_method(card, (METHOD, card.method_version), {(METHOD, robustness.METHOD_VERSION)})
    board_method.require_known(card.edition)
    return board_method.canonical_json(compute(card.edition, card.config))


def compute(edition: Edition, config: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a card."""
    votes = inputs.board_votes(edition.study, edition.ledger_seq, edition.config)
    ballots = robustness.Ballots.of(votes, edition.config)
    counted = not set(QUALITY_RULES) & set(edition.config["excluded_flags"])
    return robustness.card(
        ballots,
        seed=edition.number,
        other=_other_side(edition, ballots, counted),
        counted=counted,
        judged=_judged(votes, config),
        draws=config["draws"],
    )


def _other_side(edition, ballots, counted):
    """The board's votes with flagged ones treated the other way: without them where the board counts them, with them
    where it does not."""
    flags = Ledger.objects.filter(study=edition.study, seq__lte=edition.ledger_seq, flag__rule__in=QUALITY_RULES)
    if not flags.exists():
        return ballots
    rules = ["withdrawn", *QUALITY_RULES] if counted else ["withdrawn"]
    config = {**edition.config, "excluded_flags": rules}
    return robustness.Ballots.of(inputs.board_votes(edition.study, edition.ledger_seq, config), config)


def _judged(votes, config):
    if not config["reward_model"]:
        return None
    model = RewardModel.objects.get(pk=config["reward_model"])
    fit = AnchorFit.objects.filter(pk=config["anchor_fit"]).first()
    bias = dict(fit.biases.values_list("system__name", "bias")) if fit else {}
    rewards = inputs.clip_rewards(model, np.union1d(votes.clip_a, votes.clip_b), config["last_reward"])
    score_a, score_b = inputs.in_columns(rewards, votes.clip_a, votes.clip_b)
    agreement = robustness.agreement(votes.a, votes.b, votes.outcome, votes.systems, score_a, score_b, bias)
    return agreement and {"name": model.name, "anchored": fit is not None, **agreement}


def card_json(study: Study, edition: Edition | None) -> dict[str, Any]:
    """What GET /api/robustness/ returns: the edition's last card. None until it is computed (`pending`), and where the
    next edition came before the card was computed."""
    card = last_card(edition) if edition else None
    is_last = edition and not study.editions.filter(number__gt=edition.number).exists()
    preliminary = shortfalls(edition.result) if edition else []
    return {
        "study": study.slug,
        "edition": edition.number if edition else None,
        "pending": bool(is_last and not card),
        "method_version": card.method_version if card else None,
        "created_at": card.created_at.isoformat() if card else None,
        "preliminary": preliminary,
        "card": card.result if card and not preliminary else None,
    }
