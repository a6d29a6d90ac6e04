"""A model's rewards of the clips that were voted on."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from django.db import transaction
from django.db.models import Max

from arena.locks import Lock, hold
from arena.models import Study
from scoring.models import Reward, RewardModel
from scoring.stats.anchor_drift import AnchorPairs

from .votes import study_votes


def clip_rewards(model: RewardModel, clip_ids: Iterable[int], last_reward: int | None = None) -> dict[int, float]:
    """{clip id: reward} under the model, for the clips that have one (with an id up to `last_reward`)."""
    rewards = Reward.objects.filter(
        reward_model=model, protocol=Reward.PROMPT_TEXT, clip_id__in={int(pk) for pk in clip_ids} - {0}
    )
    if last_reward is not None:
        rewards = rewards.filter(pk__lte=last_reward)
    return dict(rewards.values_list("clip_id", "value"))


@transaction.atomic
def last_reward() -> int:
    """The id up to which no further reward can appear; 0 before the first. Waits until writes in progress have
    committed."""
    hold(Lock.REWARDS)
    return Reward.objects.aggregate(last=Max("pk"))["last"] or 0


def in_columns(rewards: Mapping[int, float], *clips: np.ndarray) -> list[np.ndarray]:
    """[float [V]]: the reward of every clip, NaN where it has none. rewards: {clip id: reward}; clips: ids, int [V]."""
    ids = np.array(sorted(rewards), dtype=np.int64)
    values = np.append([rewards[clip] for clip in ids.tolist()], np.nan)  # the last is for clips without a reward
    return [values[np.where(np.isin(column, ids), np.searchsorted(ids, column), len(ids))] for column in clips]


def anchor_pairs(
    study: Study, model: RewardModel, seq: int, excluded_flags: Sequence[str], last_reward: int | None
) -> tuple[AnchorPairs, int]:
    """(the decisive votes up to `seq` on clips that the model has scored, as AnchorPairs; the number on other clips).

    last_reward: the id of the last reward that counts.
    """
    votes = study_votes(study, seq, excluded_flags)
    rewards = clip_rewards(model, np.union1d(votes.clip_a, votes.clip_b), last_reward)
    of_a, of_b = in_columns(rewards, votes.clip_a, votes.clip_b)
    on_clips, names = votes.decisive & (votes.clip_a > 0), np.array(votes.systems, dtype=str)
    used = on_clips & np.isfinite(of_a - of_b)
    pairs = AnchorPairs(
        score_a=of_a[used],
        score_b=of_b[used],
        system_a=names[votes.a[used]],
        system_b=names[votes.b[used]],
        a_wins=votes.outcome[used],
        cluster=votes.cluster[used],
        seq=votes.seq[used],
    )
    return pairs, int((on_clips & ~used).sum())
