"""A board as its readers see it: an edition's ratings, and the live model's rewards and biases beside them."""

from collections import defaultdict
from typing import Any

from django.db.models import Avg, Count, StdDev

from annotations.models import Vote
from arena.models import Study
from arena.refusals import NotFound
from scoring.metrics.certainty import shortfalls
from scoring.models import Edition, Reward, RewardModel
from scoring.stats.board_method import OVERALL
from scoring.stats.rounding import rounded

from . import categories, standings


def find_edition(study: Study, number: int | None = None, category: str = OVERALL) -> Edition | None:
    """The edition of that number, or the last one that has the category; None before the first edition."""
    editions = study.editions
    if category != OVERALL and number is None:
        last = editions.filter(categories__isnull=False).newest() or editions.newest()
        if not last:
            raise NotFound(f"There is no category {category!r}: {study.slug} has no edition yet.")
        return last
    if number is None:
        return editions.newest()
    edition = editions.filter(number=number).first()
    if not edition:
        raise NotFound(f"{study.slug} has no edition {number}.")
    return edition


def board_json(study: Study, edition: Any, category: str = OVERALL) -> dict[str, Any]:
    """What GET /api/leaderboard/ returns. Before the first edition, `edition` is null, with the number of votes so far.

    For a category: its pooled ratings, with `overall` and `own_share` beside each, and `pooling`; rewards and biases
    are those of the whole study. NotFound where the edition does not have the category.
    `preliminary`: what the edition lacks to be more than that, see `metrics.certainty`.
    Where votes have come since the last edition, `now` is each rating with those votes, and `since` says up to which
    ledger number; otherwise both are null.
    """
    model = RewardModel.live()
    jury = _jury(study, model)
    board = categories.find_board(edition, category) if category != OVERALL else edition and edition.result
    since = standings.since(edition) if edition and category == OVERALL else None
    now = since["ratings"] if since else {}
    rated = {rating["system"] for group in board["groups"] for rating in group} if edition else set()
    return {
        "study": study.slug,
        "simulated": study.is_simulated,
        "category": category,
        "categories": categories.list_of(edition),
        "edition": edition.number if edition else None,
        "preliminary": shortfalls(edition.result) if edition else [],
        "about": _about(edition, board, category) if edition else None,
        "since": since and {name: since[name] for name in ("ledger_seq", "n_votes", "at")},
        "n_votes": board["n_votes"] if edition else Vote.objects.filter(battle__study=study).count(),
        "pooling": {name: board[name] for name in ("kind", "name", "n_raters", "spread")}
        if category != OVERALL
        else None,
        "groups": [
            [{**rating, "now": now.get(rating["system"]), **jury[rating["system"]]} for rating in group]
            for group in board["groups"]
        ]
        if edition
        else [],
        "not_yet_rated": [
            {"system": name, **jury[name]}
            for name in study.systems.order_by("name").values_list("name", flat=True)
            if name not in rated
        ],
        "reward_model": model.name if model else None,
    }


def _about(edition, result, category):
    """How the board was computed, and from which data. result: of the edition, or of its category."""
    own = {"method": f"{edition.method} {edition.method_version}", "config": edition.config}
    return {
        "created_at": edition.created_at.isoformat(),
        **(own if category == OVERALL else {name: result[name] for name in own}),
        "ledger_seq": edition.ledger_seq,
        "input_hash": edition.input_hash,
        "excluded": edition.excluded,
        **{name: result[name] for name in ("n_raters", "n_without_rater", "g_eff", "heaviest_rater_share")},
        **{name: result[name] for name in ("eta", "zero", "effects", "influence") if name in result},
    }


def _jury(study, model):
    """{system name: {mean_reward, reward_stderr, n_clips, bias, bias_stderr, n_pairs}}, None where unknown."""
    nothing = {
        "mean_reward": None, "reward_stderr": None, "n_clips": 0, "bias": None, "bias_stderr": None, "n_pairs": 0,
    }  # fmt: skip
    jury: dict[str, dict[str, Any]] = defaultdict(lambda: dict(nothing))
    if not model:
        return jury
    means = (
        Reward.objects.filter(reward_model=model, protocol=Reward.PROMPT_TEXT, clip__system__studies=study)
        .values("clip__system__name")
        .annotate(mean=Avg("value"), deviation=StdDev("value", sample=True), n=Count("pk"))
        .order_by()
    )
    for row in means:
        stderr = None if row["deviation"] is None else rounded(row["deviation"] / row["n"] ** 0.5)
        jury[row["clip__system__name"]].update(mean_reward=rounded(row["mean"]), reward_stderr=stderr, n_clips=row["n"])
    fit = study.anchor_fits.newest_of(model)
    for bias in fit.biases.select_related("system") if fit else ():
        jury[bias.system.name].update(bias=rounded(bias.bias), bias_stderr=rounded(bias.stderr), n_pairs=bias.n_pairs)
    return jury
