"""Results to rows, each in one transaction."""

from django.db import transaction

from arena.models import System

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
def write_anchor_fit(study, model, *, ledger_seq, config, anchors, n_pairs, n_unscored, now):
    """An anchor fit and its biases; `anchors` is None where no decisive vote has both rewards yet."""
    fit = AnchorFit.objects.create(
        study=study,
        reward_model=model,
        ledger_seq=ledger_seq,
        config=config,
        n_pairs=n_pairs,
        n_unscored=n_unscored,
        created_at=now,
    )
    if anchors:
        ids = _ids(anchors.bias)
        AnchorBias.objects.bulk_create(
            AnchorBias(
                fit=fit,
                system_id=ids[name],
                bias=bias,
                stderr=anchors.stderr[name],
                n_pairs=anchors.n_pairs[name],
            )
            for name, bias in anchors.bias.items()
        )
    return fit


def _ids(names):
    return dict(System.objects.filter(name__in=list(names)).values_list("name", "pk"))
