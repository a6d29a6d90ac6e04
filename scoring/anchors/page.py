"""A reward model's biases as their readers see them: now, by time, and as they were fitted over time."""

from annotations.models import Ledger
from scoring.models import RewardModel
from scoring.stats.rounding import rounded

MOST_FITS = 60  # of a history; of more, evenly spread ones and the last


def anchors_json(study, model=None):
    """What GET /api/anchors/ answers, for the live model; "fit" is null where there is none."""
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
            "biases": [_bias(one) for one in sorted(fit.biases.all(), key=lambda one: (-one.bias, one.system.name))],
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
    """The parts with the times at which their first and last votes were received."""
    ends = {seq for one in slices for seq in (one["from_seq"], one["to_seq"])}
    times = dict(Ledger.objects.filter(seq__in=ends).values_list("seq", "vote__received_at"))
    return [
        {**one, "from": times[one["from_seq"]].isoformat(), "to": times[one["to_seq"]].isoformat()} for one in slices
    ]


def _history(fits):
    """[{created_at, ledger_seq, n_pairs, biases {system: bias}}], the oldest first."""
    keys = list(fits.filter(n_pairs__gt=0).values_list("pk", flat=True))
    step = max(1, -(-len(keys) // MOST_FITS))
    kept = fits.filter(pk__in=[*keys[::step], *keys[-1:]])
    return [
        {
            "created_at": one.created_at.isoformat(),
            "ledger_seq": one.ledger_seq,
            "n_pairs": one.n_pairs,
            "biases": {row.system.name: rounded(row.bias) for row in one.biases.all()},
        }
        for one in kept.prefetch_related("biases__system")
    ]
