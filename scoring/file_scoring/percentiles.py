"""The percentile of a reward among those of the arena's clips under the same model."""

from dataclasses import dataclass

import numpy as np
from django.db.models import Count, Q

from arena.models import Study
from scoring.models import Reward, RewardModel


@dataclass(frozen=True)
class Position:
    """percentile: 100 times the share of n clips whose reward is smaller; None where no clip has one yet."""

    percentile: float | None
    n: int


def position(value: float, model: RewardModel, study: Study | None = None) -> Position:
    """The Position of a reward under `model` among the arena's clips, or those of the study's systems."""
    counts = _rewards(model, study).aggregate(n=Count("pk"), below=Count("pk", filter=Q(value__lt=value)))
    return Position(_percentile(**counts), counts["n"])


class Percentiles:
    """The rewards of the arena's clips under a model, read once, to look up many percentiles."""

    def __init__(self, model: RewardModel) -> None:
        self.values = np.sort(np.fromiter(_rewards(model).values_list("value", flat=True).iterator(), dtype=float))

    def of(self, value: float) -> float | None:
        """The percentile of a reward, as in Position."""
        return _percentile(int(np.searchsorted(self.values, value, side="left")), self.values.size)


def _percentile(below: int, n: int) -> float | None:
    return round(100 * below / n, 2) if n else None


def _rewards(model, study=None):
    rewards = Reward.objects.filter(reward_model=model, protocol=Reward.PROMPT_TEXT)
    if not study:
        return rewards
    systems = list(study.systems.values_list("pk", flat=True))  # one join less for a count over all of them
    return rewards.filter(clip__system__in=systems)
