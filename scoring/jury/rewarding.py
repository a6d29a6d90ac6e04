"""Rewards from stored embeddings: a new head needs neither audio nor networks to reward all clips."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import numpy as np
from django.db import transaction

from arena.models import Clip, Status
from scoring.models import RewardModel

from .claims import rewards_of
from .features import CHUNK, read_features
from .rewards import lock_rewards, store_rewards

if TYPE_CHECKING:
    from scoring.reward.scorer import Scorer


def reward_embedded(
    model: RewardModel, scorer: "Scorer", complain: Callable[[str], object], only: Collection[int] | None = None
) -> int:
    """Reward the ready clips that have embeddings by the model's encoders and no reward under it: all, or `only` those
    with these ids. Returns how many.

    Stops between chunks when the model is no longer the live one. `complain` is called with a sentence about clips that
    have embeddings but can have no reward.
    """
    clips = Clip.objects.filter(status=Status.READY)
    if only is not None:
        clips = clips.filter(pk__in=only)
    after = done = 0
    while after is not None and RewardModel.objects.filter(pk=model.pk, status=RewardModel.Status.LIVE).exists():
        stored, after = _reward_chunk(model, scorer, complain, clips.filter(pk__gt=after).order_by("pk"))
        done += stored
    return done


@transaction.atomic
def _reward_chunk(model, scorer, complain, ready):
    """(number of rewards stored, id of the last clip looked at, None at the end). Reads under the lock, so that several
    workers share the clips of a new head instead of each scoring all of them."""
    lock_rewards()
    ids = list(ready.values_list("pk", flat=True)[:CHUNK])
    stored = 0
    if unrewarded := _unrewarded(model, ids):
        stored = _reward(model, scorer, complain, unrewarded)
    return stored, ids[-1] if len(ids) == CHUNK else None


def _unrewarded(model, ids):
    """The ids without a reward, of these ascending ones. Two plain queries: PostgreSQL plans a single one, with an
    anti-join, by statistics that a new model's rewards outrun, and may then read all clips for each chunk."""
    if not ids:
        return []
    rewarded = set(rewards_of(model, clip__gte=ids[0], clip__lte=ids[-1]).values_list("clip_id", flat=True))
    return [clip for clip in ids if clip not in rewarded]


def _reward(model, scorer, complain, ids):
    clips, features = read_features(ids, model.encoders, complain)
    stored = 0
    if clips.size:
        rewards = scorer.score_embeddings(features)
        usable = np.isfinite(rewards)
        if not usable.all():
            complain(f"{model} gives no finite reward to clips {clips[~usable].tolist()}")
        stored = store_rewards(model, dict(zip(clips[usable], rewards[usable], strict=True)))
    return stored
