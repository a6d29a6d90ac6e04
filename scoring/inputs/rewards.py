"""What a model says of the clips that were voted on."""

import numpy as np

from ..anchor_history import AnchorPairs
from ..models import Reward
from .votes import study_votes


def clip_rewards(model, clip_ids, last_reward=None):
    """{clip id: reward} under the model, for those of the clips that have one (of id up to `last_reward`)."""
    rewards = Reward.objects.filter(
        reward_model=model, protocol=Reward.PROMPT_TEXT, clip_id__in={int(pk) for pk in clip_ids} - {0}
    )
    if last_reward is not None:
        rewards = rewards.filter(pk__lte=last_reward)
    return dict(rewards.values_list("clip_id", "value"))


def anchor_pairs(study, model, seq, excluded_flags):
    """(the decisive votes up to `seq` on clips that the model has scored, as AnchorPairs; how many it has not)."""
    votes = study_votes(study, seq, excluded_flags)
    rewards = clip_rewards(model, np.union1d(votes.clip_a, votes.clip_b))
    clips = np.array(sorted(rewards), dtype=np.int64)
    values = np.array([rewards[clip] for clip in clips.tolist()])
    on_clips, names = votes.decisive & (votes.clip_a > 0), np.array(votes.systems, dtype=str)
    used = on_clips & np.isin(votes.clip_a, clips) & np.isin(votes.clip_b, clips)
    pairs = AnchorPairs(
        score_a=values[np.searchsorted(clips, votes.clip_a[used])],
        score_b=values[np.searchsorted(clips, votes.clip_b[used])],
        system_a=names[votes.a[used]],
        system_b=names[votes.b[used]],
        a_wins=votes.outcome[used],
        cluster=votes.cluster[used],
        seq=votes.seq[used],
    )
    return pairs, int((on_clips & ~used).sum())
