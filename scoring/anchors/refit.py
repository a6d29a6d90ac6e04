"""How a study's next anchor fit comes about: from the decisive votes on scored clips to the rows that are written."""

from dataclasses import asdict

from django.db import transaction
from django.utils import timezone

from annotations.alarms import raise_alarm
from arena.locks import Lock, hold
from arena.models import System
from scoring import inputs
from scoring.models import AnchorBias, AnchorFit
from scoring.stats import anchor_drift
from scoring.stats.rounding import rounded_floats

CONFIG = {
    "l2": anchor_drift.RIDGE,
    "level": 0.95,
    "ties": "excluded",
    "cluster": "rater",
    "anchor_system": None,
    "half_width": 0.25,  # logits, wanted of each bias: the probability of an even pair to 6 percentage points
}
CHOSEN = ("anchor_system", "half_width")


def anchors_are_due(study, model):
    """Whether the study's board or the model's rewards have moved since the last anchor fit."""
    edition = study.editions.newest()
    if not edition:
        return False
    last = study.anchor_fits.newest_of(model)
    if not last or last.ledger_seq < edition.ledger_seq:
        return True
    if last.config.get("excluded_flags") != edition.config["excluded_flags"] or "half_width" not in last.config:
        return True  # the second: a fit from before fits had intervals and parts
    return last.n_unscored > 0 and model.rewards.count() != last.config["n_rewards"]


@transaction.atomic
def refit_anchors(study, model, now=None, only_if_due=False, **chosen):
    """Fit the model's per-system bias to the study's decisive votes on scored clips, as a whole and by time, and raise
    an alarm where the newest part of them disagrees with those before it.

    With `only_if_due`, None where there is nothing new, or another worker is at it.
    chosen: `anchor_system`, a name or None, held at bias 0; `half_width`, logits, of the intervals that are wanted.
    What is not chosen stays as in the last fit.
    """
    if not hold(Lock.ANCHORS, study, wait=not only_if_due):
        return None
    if only_if_due and not anchors_are_due(study, model):
        return None
    now = now or timezone.now()
    n_rewards = model.rewards.count()  # before the rewards are read: one that comes meanwhile is seen as new
    edition = study.editions.newest()
    excluded_flags = edition.config["excluded_flags"]
    pairs, n_unscored = inputs.anchor_pairs(study, model, edition.ledger_seq, excluded_flags)
    of_any, of_model = study.anchor_fits.newest(), study.anchor_fits.newest_of(model)
    config = {**CONFIG, **_choice_of(of_any), **chosen}
    fit, parts, changes = None, [], []
    if len(pairs):
        fit, l2, pinned = anchor_drift.fit(pairs, config["anchor_system"])
        config |= {"l2": l2, "pinned": pinned}
        parts = anchor_drift.parts(pairs)
        changes = anchor_drift.changes(parts, config["anchor_system"], config["level"])
    looked_at = of_model.config.get("looked_at", 0) if of_model else 0
    looks = bool(changes) and len(pairs) >= anchor_drift.LOOK_AFTER * looked_at
    config |= {
        "n_rewards": n_rewards,
        "excluded_flags": excluded_flags,
        "looked_at": len(pairs) if looks else looked_at,
    }
    fitted_parts = [(part, anchor_drift.fit(part, config["anchor_system"])[0]) for part in parts]
    written = AnchorFit.objects.create(
        study=study,
        reward_model=model,
        ledger_seq=edition.ledger_seq,
        config=config,
        n_pairs=len(pairs),
        n_unscored=n_unscored,
        slices=[_slice(part, fitted, config["level"]) for part, fitted in fitted_parts],
        changes=[{**rounded_floats(asdict(change)), "moved": change.moved} for change in changes],
        created_at=now,
    )
    if fit:
        _write_biases(written, fit)
    moved = [change for change in changes if change.moved]
    if looks and moved:
        _raise_alarm_of_drift(study, model, moved, now)
    return written


# ---- the steps, in their order ------------------------------------------------------------------------


def _choice_of(last):
    return {name: last.config[name] for name in CHOSEN if name in last.config} if last else {}


def _slice(pairs, anchors, level):
    """One part of an anchor fit's pairs, as JSON: from which to which place of the ledger, and each system's bias."""
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


def _write_biases(fit, anchors):
    config = fit.config
    intervals = anchors.interval(config["level"])
    needed = anchor_drift.pairs_needed(anchors, config["half_width"], config["l2"], config["level"])
    ids = System.objects.ids_of(anchors.bias)
    AnchorBias.objects.bulk_create(
        AnchorBias(
            fit=fit,
            system_id=ids[name],
            bias=bias,
            stderr=anchors.stderr[name],
            low=intervals[name][0],
            high=intervals[name][1],
            n_pairs=anchors.n_pairs[name],
            n_needed=needed[name],
        )
        for name, bias in anchors.bias.items()
    )


def _raise_alarm_of_drift(study, model, moved, now):
    said = "; ".join(
        f"{change.system} by {change.change:+.2f} ({change.low:+.2f} to {change.high:+.2f}) from {change.before:+.2f}"
        for change in moved
    )
    detail = {"reward_model": model.name, "changes": [asdict(change) for change in moved]}
    raise_alarm(study, "bias", f"The bias of {model} has moved in the newest votes: {said}.", detail, now)
