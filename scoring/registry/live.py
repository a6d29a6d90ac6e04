"""The live model: which reward model is live, how one becomes live, and how to go back. Every decision is stored with
its reasons. Workers notice a change at their next sweep; rewards under the earlier model are kept.
"""

from collections.abc import Mapping
from typing import Any

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from arena.locks import Lock, hold
from arena.refusals import Conflict, NotFound
from scoring.models import Decision, RewardModel
from scoring.reward.encoders import get_encoder

ANY = object()


class LiveChanged(Conflict):
    """Another decision came first: the live model is no longer the one that was to be replaced."""


def find_model(name: str | None = None) -> RewardModel:
    """The reward model of that name, or the live one. Raises NotFound, which lists the existing names."""
    model = RewardModel.objects.filter(name=name).first() if name else RewardModel.live()
    if model:
        return model
    known = ", ".join(RewardModel.objects.order_by("pk").values_list("name", flat=True)) or "none yet"
    if name:
        raise NotFound(f"There is no reward model {name!r}. There are: {known}.")
    raise NotFound(
        f"No reward model is live. There are: {known}. Make one live with `manage.py activate_model NAME`, or train "
        "one with `manage.py train_reward --activate`."
    )


@transaction.atomic
def activate(
    model: RewardModel,
    by: str,
    act: str = Decision.Act.ACTIVATED,
    reasons: Mapping[str, Any] | None = None,
    *,
    over: Any = ANY,
    force: bool = False,
) -> Decision | None:
    """Make a reward model the live one; the earlier one is retired. Returns the Decision, None where it was live
    already.

    by: a user's name, a command, or the gate. reasons: JSON, its "reasons" sentences for people.
    over: the model that must be live until now, or None for no model; LiveChanged where another one is.
    force: go live although `problems(model)` finds some, which the Decision then records; Conflict otherwise.
    """
    hold(Lock.LIVE_MODEL)
    live = RewardModel.live()
    if live == model:
        return None
    if over is not ANY and live != over:
        raise LiveChanged(f"The live model is {live or 'none'}, no longer {over or 'none'}.")
    return _go_live(model, live, by, act, reasons, force)


@transaction.atomic
def roll_back(by: str, *, force: bool = False) -> Decision:
    """Make the model live again that the live one replaced; another roll back goes one model further back. Returns the
    Decision. Conflict where there is no earlier model, or where it has `problems` and is not forced.
    """
    hold(Lock.LIVE_MODEL)
    live = RewardModel.live()
    if not live:
        raise Conflict("No reward model is live: there is nothing to roll back. Make one live with activate_model.")
    trail = _trail()
    if len(trail) < 2 or trail[-1] != live.pk:
        raise Conflict(f"{live} replaced no other model: there is nothing to roll back to. activate_model names one.")
    return _go_live(RewardModel.objects.get(pk=trail[-2]), live, by, Decision.Act.ROLLED_BACK, None, force)


def keep(candidate: RewardModel, live: RewardModel | None, by: str, reasons: Mapping[str, Any]) -> Decision:
    """Record that a candidate was judged and does not replace the live model. Returns the Decision."""
    return Decision.objects.create(
        model=candidate, act=Decision.Act.KEPT, replaced=live, by=by, reasons=reasons, created_at=timezone.now()
    )


def history() -> QuerySet[Decision]:
    """Every Decision, newest first, with its models."""
    return Decision.objects.select_related("model", "replaced")


def problems(model: RewardModel) -> list[str]:
    """Why workers could not score with the model, as sentences; none where they can. Loads no weights and no torch."""
    sentences = []
    if not model.weights.name or not default_storage.exists(model.weights.name):
        sentences.append(f"Its file of weights, {model.weights.name or 'without a name'}, is not in the storage.")
    if not model.encoders:
        sentences.append("It names no encoder blocks.")
    for block in model.encoders:
        try:
            get_encoder(block["key"], block["revision"])
        except (ValueError, OSError) as error:  # no such encoder or revision here; no weights for it, or bad ones
            sentences.append(f"{str(error)[:1].upper()}{str(error)[1:]}.")
    return sentences


def _go_live(model, live, by, act, reasons, force):
    """Make the model live, under the lock."""
    reasons = dict(reasons or {})
    if sentences := problems(model):
        if not force:
            raise Conflict(
                f"{model} cannot go live here: {' '.join(sentences)} Where only the gpu workers have what is missing, "
                "--force makes it live all the same.",
                problems=sentences,
            )
        reasons["forced_over"] = sentences
    now = timezone.now()
    if live:
        live.status = RewardModel.Status.RETIRED
        live.save(update_fields=["status"])
    model.status, model.activated_at = RewardModel.Status.LIVE, now
    model.save(update_fields=["status", "activated_at"])
    return Decision.objects.create(model=model, act=act, replaced=live, by=by[:150], reasons=reasons, created_at=now)


def _trail():
    """Ids of the models from the first to the live one, each replaced by the next; a roll back removes the last one."""
    trail: list[int] = []
    for act, model, replaced in (
        Decision.objects.exclude(act=Decision.Act.KEPT).order_by("pk").values_list("act", "model_id", "replaced_id")
    ):
        if act == Decision.Act.ROLLED_BACK:
            trail.pop()
        else:
            if replaced and trail[-1:] != [replaced]:  # it became live before decisions were stored
                trail.append(replaced)
            trail.append(model)
    return trail
