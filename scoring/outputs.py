"""Results to rows, each in one transaction."""

from dataclasses import asdict

from django.db import transaction

from arena.models import System
from scoring.stats.anchor_drift import pairs_needed
from scoring.stats.rounding import rounded

from .models import AnchorBias, AnchorFit, Edition, Rating


@transaction.atomic
def write_edition(study, number, *, method, method_version, config, ledger_seq, input_hash, result, now):
    """An edition and its ratings."""
    edition = Edition.objects.create(
        study=study,
        number=number,
        method=method,
        method_version=method_version,
        config=config,
        ledger_seq=ledger_seq,
        input_hash=input_hash,
        n_votes=result["n_votes"],
        excluded=result["excluded"],
        result=result,
        created_at=now,
    )
    ids = _ids([rating["system"] for group in result["groups"] for rating in group])
    Rating.objects.bulk_create(
        Rating(
            edition=edition,
            system_id=ids[rating["system"]],
            group=group_number,
            value=rating["rating"],
            **{name: rating[name] for name in ("stderr", "low", "high", "n_votes", "wins", "losses", "ties")},
        )
        for group_number, group in enumerate(result["groups"], start=1)
        for rating in group
    )
    return edition


@transaction.atomic
def write_anchor_fit(study, model, *, ledger_seq, config, anchors, parts, changes, n_pairs, n_unscored, now):
    """An anchor fit and its biases; `anchors` is None where no decisive vote has both rewards yet.

    parts: [(AnchorPairs, Anchors)] by time. changes: [Change] of the newest part.
    """
    fit = AnchorFit.objects.create(
        study=study,
        reward_model=model,
        ledger_seq=ledger_seq,
        config=config,
        n_pairs=n_pairs,
        n_unscored=n_unscored,
        slices=[_slice(pairs, fitted, config["level"]) for pairs, fitted in parts],
        changes=[{**_rounded(asdict(change)), "moved": change.moved} for change in changes],
        created_at=now,
    )
    if anchors:
        intervals = anchors.interval(config["level"])
        needed = pairs_needed(anchors, config["half_width"], config["l2"], config["level"])
        ids = _ids(anchors.bias)
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
    return fit


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
                **_rounded({"bias": bias, "low": intervals[system][0], "high": intervals[system][1]}),
            }
            for system, bias in anchors.bias.items()
        ],
    }


def _rounded(figures):
    return {name: rounded(value) if isinstance(value, float) else value for name, value in figures.items()}


def _ids(names):
    return dict(System.objects.filter(name__in=list(names)).values_list("name", "pk"))
