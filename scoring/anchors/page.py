"""A reward model's biases as readers see them: current, by part of the votes, and the history of the fits."""

from typing import Any

from annotations.models import Ledger
from arena.models import Study
from scoring.models import RewardModel
from scoring.stats.rounding import rounded

MOST_FITS = 60  # in the history; of more, evenly spaced ones and the last


def anchors_json(study: Study, model: RewardModel | None = None) -> dict[str, Any]:
    """What GET /api/anchors/ returns, by default for the live model; "fit" is null where there is none."""
    model = model or RewardModel.live()
    fits = study.anchor_fits.filter(reward_model=model).order_by("created_at", "pk") if model else None
    fit = fits.prefetch_related("biases__system").last() if fits is not None else None
    return {
        "study": study.slug,
        "reward_model": model.name if model else None,
        "fit": fit and {
            "created_at": fit.created_at.isoformat(),
            "ledger_seq": fit.ledger_seq,
            "config": fit.config,
            "n_pairs": fit.n_pairs,
            "n_unscored": fit.n_unscored,
            "biases": [_bias(row) for row in sorted(fit.biases.all(), key=lambda row: (-row.bias, row.system.name))],
            "slices": _with_times(fit.slices),
            "changes": fit.changes,
        },
        "history": _history(fits) if fit else [],
    }  # fmt: skip


def _bias(row):
    known = {name: None if (value := getattr(row, name)) is None else rounded(value) for name in
             ("bias", "stderr", "low", "high")}  # fmt: skip
    return {"system": row.system.name, **known, "n_pairs": row.n_pairs, "n_needed": row.n_needed}


def _with_times(slices):
    """The parts, each with the times at which its first and last vote were received."""
    ends = {seq for part in slices for seq in (part["from_seq"], part["to_seq"])}
    times = dict(Ledger.objects.filter(seq__in=ends).values_list("seq", "vote__received_at"))
    return [
        {**part, "from": times[part["from_seq"]].isoformat(), "to": times[part["to_seq"]].isoformat()}
        for part in slices
    ]


def _history(fits):
    """[{created_at, ledger_seq, n_pairs, biases {system: bias}}], oldest first."""
    keys = list(fits.filter(n_pairs__gt=0).values_list("pk", flat=True))
    step = max(1, -(-len(keys) // MOST_FITS))
    shown = fits.filter(pk__in=[*keys[::step], *keys[-1:]])
    return [
        {
            "created_at": fit.created_at.isoformat(),
            "ledger_seq": fit.ledger_seq,
            "n_pairs": fit.n_pairs,
            "biases": {row.system.name: rounded(row.bias) for row in fit.biases.all()},
        }
        for fit in shown.prefetch_related("biases__system")
    ]
