"""Prediction-powered ratings of an edition: which votes and unvoted pairs the live model may predict, the canonical
result, and what readers see. The statistics are in `scoring.stats.prediction_powered`.

The model predicts only on prompts that, by its recorded split, were in neither its training set nor the validation set
that stopped its training. A vote on any other prompt counts as it does on the board.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone
from scipy.special import expit

from arena.locks import Lock, hold
from arena.models import Study
from scoring import inputs
from scoring.models import Edition, PredictionPowered, Reward, RewardModel
from scoring.stats import influence
from scoring.stats.board_method import HALF_TIE, canonical_json, require_known
from scoring.stats.prediction_powered import fit_prediction_powered
from scoring.stats.rebuilding import require_method
from scoring.stats.rounding import rounded

METHOD, METHOD_VERSION = "prediction-powered", 1
FEWEST_VOTES = 50  # with a prediction; fewer are not worth a second board
MOST_UNVOTED = 2_000_000  # clip pairs; above that, prompts are left out at random, seeded by the edition's number
AGAIN = timedelta(minutes=2)  # between two computations where clips were scored meanwhile

# Why an edition has no such ratings.
TREATMENT, PROMPTS_UNKNOWN, FEW_VOTES = "treatment", "prompts_unknown", "few_votes"


# ---- when, and what is written ------------------------------------------------------------------------


def is_due(study: Study, model: RewardModel, now: datetime | None = None) -> bool:
    """Whether the study's last edition has no ratings by this model yet, or clips were scored since."""
    edition = study.editions.newest()
    if not edition:
        return False
    last = edition.prediction_powered.filter(reward_model=model).order_by("-pk").first()
    if not last or last.config["unseen"] != unseen(model):
        return True
    if (now or timezone.now()) - last.created_at < AGAIN:
        return False
    return last.config["n_rewards"] != model.rewards.count()


def due_studies(model: RewardModel, now: datetime | None = None) -> list[int]:
    """Primary keys of the studies of which `is_due`."""
    rows = PredictionPowered.objects.filter(reward_model=model, edition__in=Edition.objects.newest_of_each())
    columns = "edition", "created_at", "config__unseen", "config__n_rewards"
    last = {row[0]: row[1:] for row in rows.order_by("edition", "-pk").distinct("edition").values_list(*columns)}
    now, n_rewards, how_unseen = now or timezone.now(), model.rewards.count(), unseen(model)

    def edition_is_due(edition):
        if edition not in last or last[edition][1] != how_unseen:
            return True
        created_at, _, n_rewards_then = last[edition]
        return now - created_at >= AGAIN and n_rewards_then != n_rewards

    editions = Edition.objects.newest_of_each().values_list("pk", "study")
    return [study for edition, study in editions if edition_is_due(edition)]


@transaction.atomic
def compute(
    study: Study, model: RewardModel, now: datetime | None = None, only_if_due: bool = False
) -> PredictionPowered | None:
    """Write the ratings of the study's last edition from votes and rewards. The row; None where it is not due."""
    hold(Lock.POWERED, study)
    if only_if_due and not is_due(study, model, now):
        return None
    edition = study.editions.newest()
    last_reward = inputs.last_reward()
    prompts = sorted(study.prompts.values_list("pk", flat=True))
    config = {
        "credit": "sigmoid of the plain difference of rewards",
        "unseen": unseen(model),
        "prompts": prompts or None,  # None: all
        "last_reward": last_reward,
        "n_rewards": model.rewards.count(),
        "fewest_votes": FEWEST_VOTES,
        "most_unvoted": MOST_UNVOTED,
    }
    return PredictionPowered.objects.create(
        edition=edition,
        reward_model=model,
        method_version=METHOD_VERSION,
        config=config,
        result=result_of(edition, model, config),
        created_at=now or timezone.now(),
    )


def rebuild(row: PredictionPowered) -> str:
    """The row's canonical JSON, computed again from the database; CannotBeRebuilt where its method, or that of its
    edition, is not in this code."""
    require_method(row, (METHOD, row.method_version), {(METHOD, METHOD_VERSION)})
    require_known(row.edition)
    return canonical_json(result_of(row.edition, row.reward_model, row.config))


def unseen(model: RewardModel) -> str | None:
    """How we know which prompts the model was not trained on: "split", "stated", or None where we do not."""
    if model.config.get("unseen_prompts_stated_by"):
        return "stated"
    split = model.config.get("split") or {}
    # The prompts of an export may be those of another arena, where the same ids mean other prompts.
    return "split" if "prompts" in split and not model.config.get("export") else None


def state_unseen(model: RewardModel, by: str) -> None:
    """Record who states that no prompt of this arena trained the model: it may then predict on all of them."""
    model.config = {**model.config, "unseen_prompts_stated_by": by}
    model.save(update_fields=["config"])


# ---- the canonical result -----------------------------------------------------------------------------


def result_of(edition: Edition, model: RewardModel, config: Mapping[str, Any]) -> dict[str, Any]:
    """Plain JSON: ratings from votes and rewards with those from the votes alone beside each; or why there are none."""
    board = edition.config
    if board.get("treatment", HALF_TIE) != HALF_TIE or board.get("covariates"):
        return {"not_offered": TREATMENT}
    if config["unseen"] is None:
        return {"not_offered": PROMPTS_UNKNOWN}
    votes = inputs.study_votes(
        edition.study, edition.ledger_seq, board["excluded_flags"], board.get("reliability"), both_bad=True,
        groups="influence" in board,
    )  # fmt: skip
    votes = influence.limited(votes, board)
    seen = _trained_on(model) if config["unseen"] == "split" else set()
    predictions = _Predictions.of(votes, model, config, seen, edition.number)
    counts = {"n_predicted": int(predictions.has_prediction.sum()), "n_unvoted": len(predictions.unvoted_predicted)}
    if counts["n_predicted"] < config["fewest_votes"] or not counts["n_unvoted"]:
        return {"not_offered": FEW_VOTES, **counts}
    fit = fit_prediction_powered(
        votes.a, votes.b, votes.outcome, predictions.predicted,
        predictions.unvoted_a, predictions.unvoted_b, predictions.unvoted_predicted, len(votes.systems),
        l2=board["l2"], has_prediction=predictions.has_prediction, weight=votes.weight,
        cluster=votes.cluster, unvoted_cluster=predictions.unvoted_prompt,
    )  # fmt: skip
    if fit.n_predicted < config["fewest_votes"]:
        return {"not_offered": FEW_VOTES, **counts}
    return {
        "not_offered": None,
        "n_votes": fit.n_votes,
        "n_predicted": fit.n_predicted,
        "n_unvoted": fit.n_unvoted,
        "n_unvoted_prompts": len(np.unique(predictions.unvoted_prompt)),
        "power": rounded(fit.power),
        "correlation": None if fit.correlation is None else rounded(fit.correlation),
        "width_ratio": rounded(fit.width_ratio[fit.stderr > 0].mean()),
        "g_eff": rounded(fit.g_eff),
        "converged": bool(fit.converged),
        "groups": _groups(votes.systems, fit, board["level"]),
    }


def _groups(systems, fit, level):
    columns: dict[str, np.ndarray] = {}
    for prefix, estimate in (("", fit), ("votes_", fit.votes_only)):
        low, high = estimate.interval(level)
        values_of = {"rating": estimate.theta, "low": low, "high": high}
        columns |= {f"{prefix}{name}": values for name, values in values_of.items()}
    columns |= {"stderr": fit.stderr, "width_ratio": fit.width_ratio}
    groups = [
        [{"system": systems[i], **{name: rounded(values[i]) for name, values in columns.items()}} for i in group]
        for group in fit.groups
        if len(group) > 1
    ]
    for group in groups:
        group.sort(key=lambda rating: (-rating["rating"], rating["system"]))
    return sorted(groups, key=lambda group: (-len(group), group[0]["system"]))


def _trained_on(model):
    """Ids of the prompts that trained the model or stopped its training."""
    sides = model.config["split"]["prompts"]
    return {prompt for side in ("train", "validation") for prompt in sides.get(side, ())}


@dataclass(frozen=True)
class _Predictions:
    """The model's predictions. predicted, has_prediction: [V], for the votes. unvoted_*: [N], for the clip pairs of
    rated systems that nobody voted on; a, b: indices into the systems."""

    predicted: np.ndarray
    has_prediction: np.ndarray
    unvoted_a: np.ndarray
    unvoted_b: np.ndarray
    unvoted_predicted: np.ndarray
    unvoted_prompt: np.ndarray

    @classmethod
    def of(cls, votes, model, config, seen, seed):
        clips = _scored_clips(votes.systems, model, config, seen)
        reward = {clip: value for rows in clips.values() for clip, _, value in rows}
        of_a, of_b = inputs.in_columns(reward, votes.clip_a, votes.clip_b)
        known = np.isfinite(of_a - of_b)
        difference = np.where(known, of_a - of_b, 0.0)
        voted = np.sort([votes.clip_a, votes.clip_b], axis=0)
        return cls(expit(difference), known, *_unvoted(clips, votes.systems, voted, config["most_unvoted"], seed))


def _scored_clips(systems, model, config, seen):
    """{prompt: [(clip, system's name, reward)]} of the prompts on which the model may predict."""
    rewards = Reward.objects.filter(
        reward_model=model, protocol=Reward.PROMPT_TEXT, pk__lte=config["last_reward"], clip__system__name__in=systems
    )
    allowed = None if config["prompts"] is None else set(config["prompts"])
    clips: dict[int, list[tuple]] = {}
    for clip, prompt, system, value in rewards.order_by("clip_id").values_list(
        "clip_id", "clip__prompt_id", "clip__system__name", "value"
    ):
        if prompt not in seen and (allowed is None or prompt in allowed):
            clips.setdefault(prompt, []).append((clip, system, value))
    return clips


def _unvoted(clips, systems, voted, most, seed):
    """(a, b, predicted, prompt), each [N]. voted: int [2, V], clip ids, the lower first."""
    index = {name: i for i, name in enumerate(systems)}
    voted_pairs = set(zip(*voted.tolist(), strict=True))
    columns: list[list] = [[], [], [], []]
    n = 0
    for prompt in np.random.default_rng(seed).permutation(sorted(clips)).tolist():
        ids, names, values = zip(*clips[prompt], strict=True)
        system, value = np.array([index[name] for name in names]), np.array(values)
        first, second = np.triu_indices(len(ids), 1)
        keep = system[first] != system[second]
        keep &= np.array([(ids[i], ids[j]) not in voted_pairs for i, j in zip(first, second, strict=True)], bool)
        first, second = first[keep], second[keep]
        if n + first.size > most:
            break
        n += first.size
        for column, new_values in zip(
            columns,
            (system[first], system[second], expit(value[first] - value[second]), np.full(first.size, prompt)),
            strict=True,
        ):
            column.append(new_values)
    empty = (np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0), np.zeros(0, np.int64))
    return tuple(np.concatenate([none, *column]) for none, column in zip(empty, columns, strict=True))


# ---- what readers see ---------------------------------------------------------------------------------


def powered_json(study: Study, edition: Edition | None) -> dict[str, Any]:
    """What GET /api/leaderboard/prediction-powered/ returns: the newest ratings of that edition; null where none."""
    row = edition.prediction_powered.select_related("reward_model").first() if edition else None
    return {
        "study": study.slug,
        "edition": edition.number if edition else None,
        "computed": row
        and {
            "created_at": row.created_at.isoformat(),
            "method": f"{METHOD} {row.method_version}",
            "reward_model": row.reward_model.name,
            "config": row.config,
            **row.result,
        },
    }


def compute_due(study: Study, now: datetime | None = None) -> PredictionPowered | None:
    """`compute` for the live model, if there is one and it is due."""
    model = RewardModel.live()
    return compute(study, model, now, only_if_due=True) if model and is_due(study, model, now) else None
