"""Storing rewards: one for each (clip, reward model), visible in the order of their ids."""

from collections.abc import Mapping

from django.db import connection, transaction
from django.utils import timezone

from arena.locks import Lock, hold
from scoring.models import Reward, RewardModel


@transaction.atomic
def store_rewards(model: RewardModel, values: Mapping[int, float]) -> int:
    """Store {clip id: reward}; a clip that has a reward under the model keeps it. Returns how many are new."""
    lock_rewards()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO scoring_reward (clip_id, reward_model_id, protocol, value, created_at)
            SELECT clip_id, %(model)s, %(protocol)s, value, %(now)s
            FROM unnest(%(clips)s::bigint[], %(values)s::float8[]) AS scored (clip_id, value)
            ON CONFLICT DO NOTHING
            """,
            {
                "model": model.pk,
                "protocol": Reward.PROMPT_TEXT,
                "now": timezone.now(),
                "clips": [int(clip) for clip in values],
                "values": [float(value) for value in values.values()],
            },
        )
        return cursor.rowcount


def lock_rewards() -> None:
    """Until the transaction ends nobody else stores rewards. Ids thus become visible in their order, on which
    `inputs.last_reward` relies, and no two workers score the same clips."""
    hold(Lock.REWARDS)
