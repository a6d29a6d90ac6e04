"""Rewards from embeddings that are there: all that a new head needs of the clips, without audio or networks."""

import numpy as np
from django.db import transaction
from django.db.models import Exists, OuterRef

from arena.models import Clip, Status

from . import services
from .claims import rewards_of
from .features import CHUNK, read_features
from .models import RewardModel


def reward_embedded(model, scorer, complain, only=None):
    """Reward the ready clips that the model's encoders have embedded and it has not rewarded: all, or `only` those of
    these ids. Returns how many.

    Stops between chunks when the model is no longer the live one. `complain` is told of clips that have embeddings but
    can have no reward.
    """
    clips = Clip.objects.filter(~Exists(rewards_of(model, clip=OuterRef("pk"))), status=Status.READY)
    if only is not None:
        clips = clips.filter(pk__in=only)
    after = done = 0
    while after is not None and RewardModel.objects.filter(pk=model.pk, status=RewardModel.Status.LIVE).exists():
        stored, after = _reward_chunk(model, scorer, complain, clips.filter(pk__gt=after).order_by("pk"))
        done += stored
    return done


@transaction.atomic
def _reward_chunk(model, scorer, complain, unrewarded):
    """(rewards stored, the last clip looked at, or None at the end). Reads under the lock, so that several workers
    share the clips of a new head instead of each scoring them all."""
    services.lock_rewards()
    ids = list(unrewarded.values_list("pk", flat=True)[:CHUNK])
    clips, features = read_features(ids, model.encoders, complain)
    stored = 0
    if clips.size:
        rewards = scorer.score_embeddings(features)
        usable = np.isfinite(rewards)
        if not usable.all():
            complain(f"{model} gives no finite reward to clips {clips[~usable].tolist()}")
        stored = services.store_rewards(model, dict(zip(clips[usable], rewards[usable], strict=True)))
    return stored, ids[-1] if len(ids) == CHUNK else None
