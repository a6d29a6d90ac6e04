"""A board as its readers see it: an edition's ratings, and beside them what the live model says of each system."""

from collections import defaultdict

from django.db.models import Avg, Count, StdDev

from annotations.models import Vote
from arena.refusals import NotFound

from .models import Reward, RewardModel

OVERALL = "overall"


def find_edition(study, number=None, category=OVERALL):
    """The numbered edition, or the last; None before the first."""
    if category != OVERALL:
        raise NotFound(f"There is no category {category!r} yet; there is {OVERALL!r}.")
    editions = study.editions.order_by("-number")
    if number is None:
        return editions.first()
    edition = editions.filter(number=number).first()
    if not edition:
        raise NotFound(f"{study.slug} has no edition {number}.")
    return edition


def board_json(study, edition):
    """What GET /api/leaderboard/ answers. Before the first edition: `edition` is null, with the votes so far."""
    model = RewardModel.live()
    jury = _jury(study, model)
    rated = {rating["system"] for group in edition.result["groups"] for rating in group} if edition else set()
    return {
        "study": study.slug,
        "simulated": study.is_simulated,
        "category": OVERALL,
        "edition": edition.number if edition else None,
        "about": _about(edition) if edition else None,
        "n_votes": edition.n_votes if edition else Vote.objects.filter(battle__study=study).count(),
        "groups": [[{**rating, **jury[rating["system"]]} for rating in group] for group in edition.result["groups"]]
        if edition
        else [],
        "not_yet_rated": [
            {"system": name, **jury[name]}
            for name in study.systems.order_by("name").values_list("name", flat=True)
            if name not in rated
        ],
        "reward_model": model.name if model else None,
    }


def _about(edition):
    """How the edition was computed, and from what."""
    result = edition.result
    return {
        "created_at": edition.created_at.isoformat(),
        "method": f"{edition.method} {edition.method_version}",
        "config": edition.config,
        "ledger_seq": edition.ledger_seq,
        "input_hash": edition.input_hash,
        "excluded": edition.excluded,
        **{name: result[name] for name in ("n_raters", "n_without_rater", "g_eff", "heaviest_rater_share")},
        **{name: result[name] for name in ("eta", "zero", "effects") if name in result},
    }


def _jury(study, model):
    """{system name: {mean_reward, reward_stderr, n_clips, bias, bias_stderr, n_pairs}}, None where not known."""
    nothing = {
        "mean_reward": None, "reward_stderr": None, "n_clips": 0, "bias": None, "bias_stderr": None, "n_pairs": 0,
    }  # fmt: skip
    jury = defaultdict(lambda: dict(nothing))
    if not model:
        return jury
    means = (
        Reward.objects.filter(reward_model=model, protocol=Reward.PROMPT_TEXT, clip__system__studies=study)
        .values("clip__system__name")
        .annotate(mean=Avg("value"), deviation=StdDev("value", sample=True), n=Count("pk"))
        .order_by()
    )
    for row in means:
        stderr = None if row["deviation"] is None else round(row["deviation"] / row["n"] ** 0.5, 6)
        jury[row["clip__system__name"]].update(
            mean_reward=round(row["mean"], 6), reward_stderr=stderr, n_clips=row["n"]
        )
    fit = study.anchor_fits.filter(reward_model=model).order_by("-created_at").first()
    for bias in fit.biases.select_related("system") if fit else ():
        jury[bias.system.name].update(bias=round(bias.bias, 6), bias_stderr=round(bias.stderr, 6), n_pairs=bias.n_pairs)
    return jury
