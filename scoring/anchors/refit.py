"""A study's next anchor fit, from the decisive votes on scored clips to the rows that are written; and how an earlier
fit is computed again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from annotations.alarms import raise_alarm
from arena.locks import Lock, hold
from arena.models import Study, System
from scoring import inputs
from scoring.models import AnchorBias, AnchorFit, Edition, RewardModel
from scoring.stats import anchor_drift
from scoring.stats.board_method import canonical_json
from scoring.stats.rebuilding import CannotBeRebuilt, require_method
from scoring.stats.rounding import rounded_floats

CONFIG = {
    "method_version": anchor_drift.METHOD_VERSION,
    "l2": anchor_drift.RIDGE,
    "level": 0.95,
    "ties": "excluded",
    "cluster": "rater",
    "anchor_system": None,
    "half_width": 0.25,  # logits, wanted for each bias: about 6 percentage points for an even pair
}
CHOSEN = ("anchor_system", "half_width")


def anchors_are_due(study: Study, model: RewardModel) -> bool:
    """Whether the study's board or the model's rewards have moved since the last anchor fit."""
    edition = study.editions.newest()
    if not edition:
        return False
    last = study.anchor_fits.newest_of(model)
    if not last or last.ledger_seq < edition.ledger_seq:
        return True
    if last.config.get("excluded_flags") != edition.config["excluded_flags"] or not _has_intervals(last):
        return True
    return last.n_unscored > 0 and model.rewards.count() != last.config["n_rewards"]


def due_studies(model: RewardModel) -> list[int]:
    """Primary keys of the studies of which `anchors_are_due`."""
    columns = "study", "ledger_seq", "config__excluded_flags", "config__half_width", "n_unscored", "config__n_rewards"
    last = {study: state for study, *state in AnchorFit.objects.newest_of_each(model).values_list(*columns)}
    n_rewards = model.rewards.count()

    def is_due(study, seq, excluded_flags):
        if study not in last:
            return True
        fit_seq, fit_flags, half_width, n_unscored, n_rewards_then = last[study]
        if fit_seq < seq or fit_flags != excluded_flags or half_width is None:
            return True
        return n_unscored > 0 and n_rewards != n_rewards_then

    editions = Edition.objects.newest_of_each().values_list("study", "ledger_seq", "config__excluded_flags")
    return [study for study, seq, flags in editions if is_due(study, seq, flags)]


@transaction.atomic
def refit_anchors(
    study: Study, model: Any, now: datetime | None = None, only_if_due: bool = False, **chosen: Any
) -> Any:
    """Fit the model's per-system bias to the study's decisive votes on scored clips, as a whole and by time, and raise
    an alarm where the newest part of the votes disagrees with the parts before it.

    With `only_if_due`, None where there is nothing new, or another worker is at it.
    chosen: `anchor_system`, a name or None, held at bias 0; `half_width`, logits, of the intervals that are wanted.
    What is not chosen stays as in the last fit.
    """
    if not hold(Lock.ANCHORS, study, wait=not only_if_due):
        return None
    if only_if_due and not anchors_are_due(study, model):
        return None
    now = now or timezone.now()
    edition = study.editions.newest()
    config = {
        **CONFIG,
        **_choice_of(study.anchor_fits.newest()),
        **chosen,
        "excluded_flags": edition.config["excluded_flags"],
        "last_reward": inputs.last_reward(),
    }
    computed = compute(study, model, edition.ledger_seq, config, _looked_at(study.anchor_fits.newest_of(model)))
    fit = AnchorFit.objects.create(
        study=study,
        reward_model=model,
        ledger_seq=edition.ledger_seq,
        config=config | computed.config,
        n_pairs=computed.n_pairs,
        n_unscored=computed.n_unscored,
        slices=computed.slices,
        changes=[_change_json(change) for change in computed.changes],
        created_at=now,
    )
    ids = System.objects.ids_of(computed.biases)
    AnchorBias.objects.bulk_create(
        AnchorBias(fit=fit, system_id=ids[system], **figures) for system, figures in computed.biases.items()
    )
    moved = [change for change in computed.changes if change.moved]
    if computed.looks and moved:
        _raise_alarm_of_drift(study, model, moved, now)
    return fit


def rebuild_fit(fit: AnchorFit) -> str:
    """The fit's canonical JSON, computed again from the database; it must equal `stored(fit)`. CannotBeRebuilt where
    its method is not in this code, or it is unknown which rewards it was computed from."""
    version = fit.config.get("method_version", 1)
    require_method(fit, (anchor_drift.METHOD, version), {(anchor_drift.METHOD, anchor_drift.METHOD_VERSION)})
    if not _has_intervals(fit):
        raise CannotBeRebuilt(f"{fit}: it dates from before fits had intervals and parts. It stays as published.")
    is_noted = "last_reward" in fit.config
    last_reward = fit.config["last_reward"] if is_noted else _last_of_first_rewards(fit)
    config = {**fit.config, "last_reward": last_reward}
    before = fit.study.anchor_fits.filter(pk__lt=fit.pk).newest_of(fit.reward_model)
    computed = compute(fit.study, fit.reward_model, fit.ledger_seq, config, _looked_at(before))
    if not is_noted and computed.n_pairs != fit.n_pairs:
        raise CannotBeRebuilt(
            f"{fit}: it did not record which rewards it was computed from. The first {fit.config['n_rewards']} give"
            f" {computed.n_pairs} pairs, not {fit.n_pairs}: more rewards came while it was computed, or it was changed."
        )
    return canonical_json(
        {
            "config": fit.config | computed.config,
            "n_pairs": computed.n_pairs,
            "n_unscored": computed.n_unscored,
            "slices": computed.slices,
            "changes": [_change_json(change) for change in computed.changes],
            "biases": {system: rounded_floats(figures) for system, figures in computed.biases.items()},
        }
    )


def stored(fit: Any) -> str:
    """The canonical JSON of a fit with its biases, as it is in the database."""
    rows = fit.biases.values("system__name", "bias", "stderr", "low", "high", "n_pairs", "n_needed")
    biases = {row.pop("system__name"): rounded_floats(row) for row in rows}
    columns = {name: getattr(fit, name) for name in ("config", "n_pairs", "n_unscored", "slices", "changes")}
    return canonical_json({**columns, "biases": biases})


# ---- the steps, in their order ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Computed:
    """The result of an anchor fit. config: what the computation adds to the configuration. changes: list of
    `anchor_drift.Change`; looks: whether there are enough new pairs to raise an alarm about them. slices: the parts by
    time, as JSON. biases: {system: its figures, not rounded}."""

    config: dict
    n_pairs: int
    n_unscored: int
    looks: bool = False
    slices: list = field(default_factory=list)
    changes: list = field(default_factory=list)
    biases: dict = field(default_factory=dict)


def compute(study: Study, model: RewardModel, seq: int, config: Mapping[str, Any], looked_at: int) -> Computed:
    """The anchors of a model from a study's votes up to `seq`, as Computed: the same arguments always give the same
    result.

    config: of a fit; its `last_reward` is the id of the last reward that counts. looked_at: how many pairs there were
    when the model's fits were last checked for drift.
    """
    pairs, n_unscored = inputs.anchor_pairs(study, model, seq, config["excluded_flags"], config["last_reward"])
    n_rewards = model.rewards.filter(pk__lte=config["last_reward"]).count()
    if not len(pairs):
        return Computed({"n_rewards": n_rewards, "looked_at": looked_at}, 0, n_unscored)
    anchor_system, level = config["anchor_system"], config["level"]
    anchors, l2, pinned = anchor_drift.fit(pairs, anchor_system)
    parts = anchor_drift.parts(pairs)
    changes = anchor_drift.changes(parts, anchor_system, level)
    looks = bool(changes) and len(pairs) >= anchor_drift.LOOK_AFTER * looked_at
    return Computed(
        config={
            "n_rewards": n_rewards,
            "l2": l2,
            "pinned": pinned,
            "looked_at": len(pairs) if looks else looked_at,
        },
        n_pairs=len(pairs),
        n_unscored=n_unscored,
        looks=looks,
        slices=[_slice(part, anchor_drift.fit(part, anchor_system)[0], level) for part in parts],
        changes=changes,
        biases=_biases(anchors, l2, config),
    )


def _has_intervals(fit):
    return "half_width" in fit.config


def _choice_of(last):
    return {name: last.config[name] for name in CHOSEN if name in last.config} if last else {}


def _looked_at(last):
    return last.config.get("looked_at", 0) if last else 0


def _last_of_first_rewards(fit):
    """The id of the `n_rewards`-th reward of the model of a fit that did not record its last reward: those were there
    when it began to read. 0 where there was none."""
    first = fit.reward_model.rewards.order_by("pk").values_list("pk", flat=True)[: fit.config["n_rewards"]]
    return max(first, default=0)


def _slice(pairs, anchors, level):
    """One part of an anchor fit's pairs, as JSON: its first and last ledger number, and each system's bias."""
    intervals = anchors.interval(level)
    return {
        "from_seq": int(pairs.seq[0]),
        "to_seq": int(pairs.seq[-1]),
        "n_pairs": len(pairs),
        "biases": [
            {
                "system": system,
                "n_pairs": anchors.n_pairs[system],
                **rounded_floats({"bias": bias, "low": intervals[system][0], "high": intervals[system][1]}),
            }
            for system, bias in anchors.bias.items()
        ],
    }


def _change_json(change):
    return {**rounded_floats(asdict(change)), "moved": change.moved}


def _biases(anchors, l2, config):
    """{system: the figures of its AnchorBias}."""
    intervals = anchors.interval(config["level"])
    needed = anchor_drift.pairs_needed(anchors, config["half_width"], l2, config["level"])
    return {
        system: {
            "bias": bias,
            "stderr": anchors.stderr[system],
            "low": intervals[system][0],
            "high": intervals[system][1],
            "n_pairs": anchors.n_pairs[system],
            "n_needed": needed[system],
        }
        for system, bias in anchors.bias.items()
    }


def _raise_alarm_of_drift(study, model, moved, now):
    drift = "; ".join(
        f"{change.system} by {change.change:+.2f} ({change.low:+.2f} to {change.high:+.2f}) from {change.before:+.2f}"
        for change in moved
    )
    detail = {"reward_model": model.name, "changes": [asdict(change) for change in moved]}
    raise_alarm(study, "bias", f"The bias of {model} has moved in the newest votes: {drift}.", detail, now)
