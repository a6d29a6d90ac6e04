"""The scorer of a reward model, and which encoders it rests on.

Torch is imported only inside, when a scorer or a network is first needed: the web process reads this module's names,
never torch.
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
    """The model's scorer; a model's weights never change, so its id is enough to remember it by."""
    from scoring.reward.scorer import Scorer

    model = RewardModel.objects.get(pk=model_id)
    with local_copy(model.weights) as path:
        return Scorer.load(path)
