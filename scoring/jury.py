"""What the gpu worker does: embed the clips that lack an embedding, and reward those that lack a reward.

Torch is imported only inside, when a scorer or a network is first needed: the web process reads this module's names,
never torch.
"""

import logging
import time
from functools import lru_cache

from arena.services import local_copy

from . import claims
from .embedding import MACHINES_FAULT, embed_batches
from .models import RewardModel
from .rescoring import reward_embedded
from .reward.encoders import UnknownEncoder, get_encoder
from .reward.weights import WeightsError

DEFAULT_ENCODERS = ("spectral",)
logger = logging.getLogger(__name__)


class Complaints:
    """What is wrong is logged when it begins, not again every few seconds for as long as it lasts."""

    def __init__(self):
        self._last_time, self._this_time = set(), set()

    def say(self, text):
        if text not in self._last_time | self._this_time:
            logger.error("%s", text)
        self._this_time.add(text)

    def begin_sweep(self):
        self._last_time, self._this_time = self._this_time, set()


complaints = Complaints()


def score_pending(seconds=20):
    """Embed and reward what lacks it under the live model, for about `seconds`. Returns the number of rewards.

    When another model goes live meanwhile, goes on with that one. A machine in trouble (no memory, no disk, no
    weights) says so once and leaves the work to a later sweep; it blames no clip.
    """
    deadline, rewarded = time.monotonic() + seconds, 0
    complaints.begin_sweep()
    while True:
        model = RewardModel.live()
        rewarded += _sweep(model, deadline)
        if time.monotonic() >= deadline or RewardModel.live() == model:
            return rewarded


def _sweep(model, deadline):
    """First what needs no audio, then batch after batch of clips that do. Ends early when `model` is not live."""
    scorer, rewarded = None, 0

    def go_on():
        return time.monotonic() < deadline and RewardModel.live() == model

    def reward(only=None):
        nonlocal rewarded
        if scorer:
            rewarded += reward_embedded(model, scorer, complaints.say, only)

    try:
        scorer = usable_scorer(model) if model else None
        reward()
        embed_batches(usable_encoders(model), go_on, model=model, scorer=scorer, after_batch=reward)
    except MACHINES_FAULT as fault:
        complaints.say(f"scoring stops until a later sweep: {type(fault).__name__}: {fault}")
    return rewarded


def encoders_in_use(model):
    """[(key, revision)] of the live model, or of the default encoder while there is none."""
    if model:
        return [(block["key"], block["revision"]) for block in model.encoders]
    return [(key, get_encoder(key).revision) for key in DEFAULT_ENCODERS]


def usable_encoders(model):
    """Those of the encoders in use that are here, at the revision the model wants; complains of the others."""
    usable = []
    for key, revision in encoders_in_use(model):
        try:
            usable.append(get_encoder(key, revision))
        except (UnknownEncoder, WeightsError) as error:
            complaints.say(f"{model}: clips are not embedded by {key} here: {error}")
    return usable


def usable_scorer(model):
    """The model's scorer; None, with a complaint, where it cannot score here."""
    try:
        return load_scorer(model.pk)
    except (ValueError, FileNotFoundError, WeightsError) as error:  # BadCheckpoint, UnknownEncoder
        complaints.say(f"{model} cannot score here: {error}")
        return None


@lru_cache(maxsize=2)
def load_scorer(model_id):
    """The model's scorer; a model's weights never change, so its id is enough to remember it by."""
    from .reward.scorer import Scorer

    model = RewardModel.objects.get(pk=model_id)
    with local_copy(model.weights) as path:
        return Scorer.load(path)


def embed_all(blocks):
    """Embed every clip by every block (key, revision), sharing the work with any running workers."""
    encoders = [get_encoder(*block) for block in blocks]
    while claims.lacking(blocks).exists():
        if not embed_batches(encoders, go_on=lambda: True):
            time.sleep(0.5)  # another worker has claimed what is left
