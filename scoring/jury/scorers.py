"""The scorer of a reward model, and the encoders in use.

Torch is imported when a scorer is first loaded, not with this module: the web process imports it, and never torch.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

from arena.services import local_copy
from scoring.models import RewardModel
from scoring.reward.encoders import get_encoder

if TYPE_CHECKING:
    from scoring.reward.scorer import Scorer

DEFAULT_ENCODERS = ("spectral",)


def encoders_in_use(model: RewardModel | None) -> list[tuple[str, str]]:
    """[(key, revision)] of the live model, or of the default encoder while there is none."""
    if model:
        return [(block["key"], block["revision"]) for block in model.encoders]
    return [(key, get_encoder(key).revision) for key in DEFAULT_ENCODERS]


@lru_cache(maxsize=2)
def load_scorer(model_id: int) -> "Scorer":
    """The model's scorer, cached by the model's id: its weights never change."""
    from scoring.reward.scorer import Scorer

    model = RewardModel.objects.get(pk=model_id)
    with local_copy(model.weights) as path:
        return Scorer.load(path)
