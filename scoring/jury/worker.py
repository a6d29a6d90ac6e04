"""What the gpu worker does: embed the clips that lack an embedding, and reward those that lack a reward."""

import logging
import time
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from scoring.models import RewardModel
from scoring.reward.encoders import Encoder, UnknownEncoder, get_encoder
from scoring.reward.faults import DeviceFailed, of_the_machine
from scoring.reward.weights import WeightsError

from . import scorers
from .embedding import MACHINES_FAULT, embed_batches
from .rewarding import reward_embedded

if TYPE_CHECKING:
    from scoring.reward.scorer import Scorer

logger = logging.getLogger(__name__)


class Complaints:
    """What is wrong is logged when it begins, not again every few seconds for as long as it lasts."""

    def __init__(self) -> None:
        self._last_time: set[str] = set()
        self._this_time: set[str] = set()

    def say(self, text: str) -> None:
        if text not in self._last_time | self._this_time:
            logger.error("%s", text)
        self._this_time.add(text)

    def begin_sweep(self) -> None:
        self._last_time, self._this_time = self._this_time, set()


complaints = Complaints()


def score_pending(seconds: float = 20, others_wait: Callable[[], bool] = lambda: False) -> int:
    """Embed and reward what lacks it under the live model, for about `seconds`. Returns the number of rewards.

    When another model goes live meanwhile, goes on with that one. A machine in trouble (no memory, no disk, no
    weights) says so once and leaves the work to a later sweep; it blames no clip. Raises DeviceFailed where that sweep
    needs another process.

    others_wait: asked between batches. Where it says True, this ends after one batch and makes room.
    """
    deadline, rewarded = time.monotonic() + seconds, 0
    complaints.begin_sweep()
    while True:
        model = RewardModel.live()
        rewarded += _sweep(model, deadline, others_wait)
        if time.monotonic() >= deadline or RewardModel.live() == model:
            return rewarded


def _sweep(model, deadline, others_wait):
    """First what needs no audio, then batch after batch of clips that do. Ends early when `model` is not live, or,
    after one batch, when others wait: many of them slow the clips down, and never stop them.
    """
    scorer, rewarded, asked = None, 0, count()

    def go_on():
        may_wait = next(asked) > 0
        return time.monotonic() < deadline and RewardModel.live() == model and not (may_wait and others_wait())

    def reward(only=None):
        nonlocal rewarded
        if scorer:
            rewarded += reward_embedded(model, scorer, complaints.say, only)

    try:
        scorer = usable_scorer(model) if model else None
        reward()
        embed_batches(usable_encoders(model), go_on, model=model, scorer=scorer, after_batch=reward)
    except Exception as failure:  # of an encoder, already the machine's; of the head, perhaps
        fault = failure if isinstance(failure, MACHINES_FAULT) else of_the_machine(failure)
        if fault is None:
            raise
        complaints.say(f"scoring stops until a later sweep: {type(fault).__name__}: {fault}")
        if isinstance(fault, DeviceFailed):
            raise fault from failure
    return rewarded


def usable_encoders(model: RewardModel | None) -> list[Encoder]:
    """Those of the encoders in use that are here, at the revision the model wants; complains of the others."""
    usable = []
    for key, revision in scorers.encoders_in_use(model):
        try:
            usable.append(get_encoder(key, revision))
        except (UnknownEncoder, WeightsError) as error:
            complaints.say(f"{model}: clips are not embedded by {key} here: {error}")
    return usable


def usable_scorer(model: RewardModel) -> "Scorer | None":
    """The model's scorer; None, with a complaint, where it cannot score here."""
    try:
        return scorers.load_scorer(model.pk)
    except (ValueError, FileNotFoundError, WeightsError) as error:  # BadCheckpoint, UnknownEncoder
        complaints.say(f"{model} cannot score here: {error}")
        return None
