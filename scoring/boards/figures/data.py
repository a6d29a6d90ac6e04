"""What the figures of a study show, as data; and the sweep that draws them.

Every figure is a table first: rows of named values that the page prints, that can be downloaded, and that the drawing
is made from. `Figure` caches the data and drawings of the last edition. Where drawing fails, the row is stored without
a drawing and the page shows the table alone. The web process only reads rows; it never draws.
"""

import hashlib
import logging
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Count, Q
from django.db.models.functions import TruncDate
from django.utils import timezone
from scipy.stats import t as student

from annotations.models import Flag, Ledger
from annotations.proportions import wilson
from arena.models import Study
from scoring import inputs
from scoring.anchors.page import anchors_json
from scoring.metrics import preference
from scoring.models import AnchorFit, Edition, Figure, Rating, RewardModel
from scoring.stats import win_rates
from scoring.stats.rounding import rounded

from .. import categories
from ..page import board_json

logger = logging.getLogger(__name__)

VERSION = 3  # of data and drawings; raising it makes every figure be drawn again
PATIENCE = timedelta(seconds=60)  # between two drawings of a study
MOST_EDITIONS = 60  # shown in the history
NAMES = ("intervals", "history", "wins", "rewards", "reliability", "biases", "days")


# ---- the sweep ----------------------------------------------------------------------------------------


def figures_are_due(study: Study, now: datetime | None = None) -> bool:
    """Whether the study's edition, or the live model and its rewards, have changed since the last drawing; never within
    PATIENCE of it."""
    basis = _basis(study)
    last = study.figures.order_by("-drawn_at").first()
    if not basis or not last:
        return bool(basis)
    return last.basis != basis and (now or timezone.now()) - last.drawn_at >= PATIENCE


def due_studies(now: datetime | None = None) -> list[int]:
    """Primary keys of the studies of which `figures_are_due`."""
    now, model = now or timezone.now(), RewardModel.live()
    n_rewards = model and model.rewards.count()
    fits = dict(AnchorFit.objects.newest_of_each(model).values_list("study", "pk"))
    drawn = Figure.objects.order_by("study", "-drawn_at").distinct("study").values_list("study", "basis", "drawn_at")
    last = {study: (basis, drawn_at) for study, basis, drawn_at in drawn}

    def is_due(study, edition):
        if study not in last:
            return True
        basis, drawn_at = last[study]
        return now - drawn_at >= PATIENCE and basis != _hash_of(edition, model, n_rewards, fits.get(study))

    editions = Edition.objects.newest_of_each().values_list("study", "pk")
    return [study for study, edition in editions if is_due(study, edition)]


def draw_figures(study: Study, now: datetime | None = None) -> list[Figure]:
    """Gather and draw the figures of the study's last edition; they replace the earlier ones."""
    basis, edition = _basis(study), study.editions.newest()
    shared = {"study": study, "edition": edition, "basis": basis, "drawn_at": now or timezone.now()}
    rows = [
        Figure(**shared, name=name, data=data, **_drawn(name, data)) for name, data in gather(study, edition).items()
    ]
    with transaction.atomic():
        study.figures.all().delete()
        Figure.objects.bulk_create(rows)
    return rows


def _basis(study):
    edition, model = study.editions.newest(), RewardModel.live()
    if not edition:
        return None
    fit = study.anchor_fits.newest_of(model)
    return _hash_of(edition.pk, model, model and model.rewards.count(), fit and fit.pk)


def _hash_of(edition, model, n_rewards, fit):
    """A hash of what the figures of an edition show. edition, fit: primary keys."""
    parts = (VERSION, edition, model and model.pk, n_rewards, fit)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _drawn(name, data):
    """{narrow, wide}: SVG; {} where drawing fails, because the numbers must be shown all the same."""
    from . import drawing  # matplotlib: workers only

    try:
        return {size: drawing.draw(name, data, size) for size in drawing.WIDTHS}
    except Exception:
        logger.exception("the figure %s cannot be drawn", name)
        return {}


# ---- the data -----------------------------------------------------------------------------------------


def gather(study: Study, edition: Edition) -> dict[str, dict[str, Any]]:
    """{name: {"rows": [{...}], ...facts}} of every figure, at the edition."""
    votes = inputs.study_votes(
        study, edition.ledger_seq, edition.config["excluded_flags"], edition.config.get("reliability")
    )
    board = board_json(study, edition)
    rated = [{"group": n, **rating} for n, group in enumerate(board["groups"], start=1) for rating in group]
    order = {rating["system"]: place for place, rating in enumerate(rated)}
    return {
        "intervals": {"rows": [_only(r, "group", "system", "rating", "low", "high", "n_votes") for r in rated]},
        "history": {"rows": _history(study, edition)},
        "wins": {"systems": list(order), "rows": _wins(votes.systems, _counts(votes), order)},
        "rewards": _rewards(rated, board["reward_model"], edition.config["level"]),
        "reliability": _reliability(votes),
        "biases": _biases(study),
        "days": {"rows": _days(study, edition)},
    }


def of_category(edition: Any, category: str) -> dict[str, dict[str, Any]]:
    """{"intervals", "wins"} of a category, in the form of `gather`; the intervals also have the overall rating."""
    board = categories.find_board(edition, category)
    rated = [{"group": n, **rating} for n, group in enumerate(board["groups"], start=1) for rating in group]
    columns = "group", "system", "rating", "low", "high", "overall", "own_share", "n_votes", "wins", "losses", "ties"
    return {"intervals": {"rows": [_only(r, *columns) for r in rated]}, "wins": _wins_of(board)}


def _wins_of(board):
    """Systems in the order of the board; no rows where there are too many systems for a heat map."""
    if board["pairs"] is None:
        return {"systems": [], "rows": []}
    order = {rating["system"]: n for n, rating in enumerate(rating for group in board["groups"] for rating in group)}
    return {"systems": list(order), "rows": _wins(board["systems"], board["pairs"], order)}


def _only(row, *names):
    return {name: row[name] for name in names}


def _history(study, edition):
    """The ratings of up to MOST_EDITIONS editions, evenly spaced, including the first and the last."""
    numbers = list(
        study.editions.filter(number__lte=edition.number).order_by("number").values_list("number", flat=True)
    )
    places = np.linspace(0, len(numbers) - 1, min(len(numbers), MOST_EDITIONS)).round().astype(int)
    chosen = [numbers[place] for place in np.unique(places)]
    ratings = Rating.objects.filter(edition__study=study, edition__number__in=chosen).order_by(
        "edition__number", "group", "-value", "system__name"
    )
    return [
        {
            "edition": number, "at": at.isoformat(timespec="seconds"), "system": system, "rating": value, "low": low,
            "high": high, "n_votes": n,
        }
        for number, at, system, value, low, high, n in ratings.values_list(
            "edition__number", "edition__created_at", "system__name", "value", "low", "high", "n_votes"
        )
    ]  # fmt: skip


def _counts(votes):
    pairs = win_rates.pairs(votes.a, votes.b, votes.outcome, len(votes.systems), votes.cluster)
    return [(pair.a, pair.b, pair.wins, pair.losses, pair.ties, pair.n_eff) for pair in pairs]


def _wins(systems, counts, order):
    """A row per pair that met, the higher-ranked system first."""
    rows = []
    for a, b, wins, losses, ties, n_eff in counts:
        if order.get(systems[a], len(order)) > order.get(systems[b], len(order)):
            a, b, wins, losses = b, a, losses, wins
        pair = win_rates.Pair(a, b, wins, losses, ties, n_eff)
        low, high = pair.interval()
        rows.append(
            {
                "a": systems[a], "b": systems[b], "share": rounded(pair.share), "low": rounded(low),
                "high": rounded(high), "n": pair.n, "wins": wins, "losses": losses, "ties": ties,
            }
        )  # fmt: skip
    return sorted(rows, key=lambda row: (order.get(row["a"], len(order)), order.get(row["b"], len(order))))


def _rewards(rated, model, level):
    rows = []
    for rating in rated:
        if rating["mean_reward"] is None:
            continue
        reach = None
        if rating["reward_stderr"] is not None:
            reach = rating["reward_stderr"] * float(student.ppf((1 + level) / 2, rating["n_clips"] - 1))
        rows.append(
            {
                **_only(rating, "system", "rating", "low", "high"),
                "reward": rating["mean_reward"],
                "reward_low": None if reach is None else rounded(rating["mean_reward"] - reach),
                "reward_high": None if reach is None else rounded(rating["mean_reward"] + reach),
                "n_clips": rating["n_clips"],
            }
        )
    columns = [np.array([row[name] for row in rows], dtype=float) for name in ("rating", "reward")]
    correlation = preference.pearson(*columns) if len(rows) > 2 else None
    return {"rows": rows, "reward_model": model, "correlation": None if correlation is None else rounded(correlation)}


def _reliability(votes):
    """The live model's confidence against its accuracy, on the votes that it has not seen in training."""
    model = RewardModel.live()
    if not model:
        return {"rows": [], "reward_model": None}
    on_clips = votes.decisive & (votes.clip_a > 0)
    unseen = on_clips & (votes.seq > model.ledger_seq)
    rewards = inputs.clip_rewards(model, np.union1d(votes.clip_a[unseen], votes.clip_b[unseen]))
    of_a, of_b = inputs.in_columns(rewards, votes.clip_a, votes.clip_b)
    scored = np.isfinite(of_a - of_b)
    used = unseen & scored
    margin = (of_a - of_b)[used]
    bins = preference.reliability_bins(margin, votes.outcome[used])
    error = preference.expected_calibration_error(margin, votes.outcome[used])
    return {
        "rows": [_bin(reliability_bin) for reliability_bin in bins],
        "reward_model": model.name,
        "n": int(used.sum()),
        "n_seen": int((on_clips & ~unseen).sum()),
        "n_unscored": int((unseen & ~scored).sum()),
        "ece": None if error is None else rounded(error),
    }


def _bin(reliability_bin):
    low, high = wilson(reliability_bin.accuracy * reliability_bin.n, reliability_bin.n) or (0.0, 1.0)
    figures = {
        "confidence": reliability_bin.confidence, "accuracy": reliability_bin.accuracy, "low": low, "high": high,
        "margin_low": reliability_bin.margin_low, "margin_high": reliability_bin.margin_high,
    }  # fmt: skip
    return {**{name: rounded(value) for name, value in figures.items()}, "n": reliability_bin.n}


def _biases(study):
    """The live model's bias on each system by part of the votes, from its last fit; the largest bias first."""
    anchors = anchors_json(study)
    fit = anchors["fit"] or {"slices": [], "biases": []}
    order = {bias["system"]: place for place, bias in enumerate(fit["biases"])}
    rows = [
        {
            "part": number, "since": part["from"][:10], "until": part["to"][:10],
            **_only(bias, "system", "bias", "low", "high"), "n_pairs": bias["n_pairs"],
        }
        for number, part in enumerate(fit["slices"], start=1)
        for bias in sorted(part["biases"], key=lambda bias: order.get(bias["system"], len(order)))
    ]  # fmt: skip
    moved = [change["system"] for change in fit.get("changes", []) if change["moved"]]
    return {"rows": rows, "reward_model": anchors["reward_model"], "moved": moved}


def _days(study, edition):
    """The votes of each day, in UTC, up to the edition; `standing` leaves out those withdrawn since."""
    withdrawn = Q(vote__flags__rule=Flag.WITHDRAWN)
    entries = Ledger.objects.filter(study=study, seq__lte=edition.ledger_seq, vote__isnull=False)
    by_day = (
        entries.annotate(day=TruncDate("vote__received_at"))
        .values("day")
        .annotate(n=Count("vote", distinct=True), gone=Count("vote", distinct=True, filter=withdrawn))
        .order_by("day")
    )
    return [{"day": row["day"].isoformat(), "votes": row["n"], "standing": row["n"] - row["gone"]} for row in by_day]
