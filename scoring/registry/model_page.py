"""The page of a reward model: what it is, how good it was on votes it had not seen, and how it became live.

How much is stored of a model depends on when and how it was made: what is not known is None. No person is named: only
the admin shows who made a model live.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import Case, F, Value, When

from annotations.proportions import wilson
from scoring.models import Decision, RewardModel
from scoring.reward.encoders import get_encoder

from . import live as registry

SIDES = ("validation", "test")
TRAINED_ON = ("studies", "export", "recipe", "n_unembedded", "left_out")
STATUS_ORDER = (RewardModel.Status.LIVE, RewardModel.Status.CANDIDATE, RewardModel.Status.RETIRED)


def all_models() -> list[dict[str, Any]]:
    """[summary of every model]: the live one, then candidates and the retired, the newest first."""
    place = Case(*(When(status=status, then=Value(n)) for n, status in enumerate(STATUS_ORDER)))
    models = RewardModel.objects.order_by(place, F("activated_at").desc(nulls_last=True), "-pk")
    return [summary(model) for model in models.defer("history", "config")]


def summary(model: RewardModel) -> dict[str, Any]:
    """A model's entry in a list."""
    return {
        "name": model.name,
        "status": model.status,
        "encoders": [block["key"] for block in model.encoders],
        "ledger_seq": model.ledger_seq,
        "created_at": model.created_at,
        "activated_at": model.activated_at,
        "test": held_out(model, "test"),
    }


def held_out(model: RewardModel, side: str) -> dict[str, Any] | None:
    """{n, n_decided, accuracy, low, high, ece, log_loss, temperature, calibrated} on that side of its split; None
    without one. calibrated: as in `reward.train.Trained`; None where it was not measured."""
    metrics = model.metrics.get(side)
    if not metrics:
        return None
    accuracy, decided = metrics.get("accuracy"), metrics.get("n_decided", 0)
    low, high = (wilson(accuracy * decided, decided) if accuracy is not None else None) or (None, None)
    return {
        **{name: metrics.get(name) for name in ("n", "accuracy", "ece", "log_loss")},
        "calibrated": metrics.get("calibrated"),
        "temperature": metrics.get("temperature") or dict.fromkeys(("value", "low", "high")),
        "n_decided": decided,
        "low": low,
        "high": high,
    }


def page(model: RewardModel) -> dict[str, Any]:
    """The content of the model's own page."""
    test = model.metrics.get("test") or {}
    split = model.config.get("split") or {}
    return {
        **summary(model),
        "sha256": model.sha256,
        "blocks": [_block(block) for block in model.encoders],
        "width": sum(block.get("dimension") or 0 for block in model.encoders),
        "trained_on": {name: model.config[name] for name in TRAINED_ON if model.config.get(name) not in (None, "", [])},
        "split_by": split.get("by"),
        "pairs": [(side, split["pairs"][side]) for side in ("train", *SIDES) if side in split.get("pairs", {})],
        "sides": [(side, figures) for side in SIDES if (figures := held_out(model, side))],
        "over_seeds": _over_seeds(model),
        "reliability": [_with_interval(row) for row in test.get("reliability") or []],
        "groups": [
            (kind, sorted(test[f"by_{kind}"].items())) for kind in ("system", "source") if test.get(f"by_{kind}")
        ],
        "history": model.history,
        "n_rewards": model.rewards.count(),
        "decisions": decisions(registry.history().filter(model=model)),
    }


def _over_seeds(model: RewardModel):
    """{n: number of seeds, sides: [(side, {mean, sd} of their accuracies)]}; None for a single seed."""
    spread = model.metrics.get("over_seeds") or {}
    accuracies = [(side, spread[side]["accuracy"]) for side in SIDES if spread.get(side, {}).get("accuracy")]
    sides = [(side, accuracy) for side, accuracy in accuracies if accuracy.get("sd") is not None]
    return {"n": len(model.config.get("seeds") or []), "sides": sides} if sides else None


def data(model: RewardModel) -> dict[str, Any]:
    """The figures and the training history for programs."""
    return {
        "name": model.name,
        "status": model.status,
        "encoders": model.encoders,
        "sha256": model.sha256,
        "ledger_seq": model.ledger_seq,
        "created_at": model.created_at.isoformat(),
        "pairs": (model.config.get("split") or {}).get("pairs"),
        "metrics": model.metrics,
        "history": model.history,
    }


def decisions(history: Iterable[Any]) -> list[dict[str, Any]]:
    """Each decision with its reasons, without the name of a person."""
    return [
        {
            "act": decision.act,
            "model": decision.model.name,
            "replaced": decision.replaced.name if decision.replaced else None,
            "at": decision.created_at,
            "judged": decision.reasons if decision.act in (Decision.Act.PROMOTED, Decision.Act.KEPT) else None,
            "forced": "forced_over" in decision.reasons,
        }
        for decision in history
    ]


def _block(block):
    """An encoder block with what its encoder declares; None where this code has no such encoder."""
    try:
        encoder = get_encoder(block["key"])
    except (ValueError, OSError):  # not in this code
        return {**block, "licence": None, "windows": None, "kind": None}
    return {**block, "licence": encoder.licence, "windows": encoder.windows, "kind": encoder.kind}


def _with_interval(row):
    low, high = wilson(row["accuracy"] * row["n"], row["n"]) or (0.0, 1.0)
    return {**row, "low": low, "high": high}
