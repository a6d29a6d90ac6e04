"""The work of the gpu worker: embed the clips that lack an embedding, and reward those that lack a reward."""

import logging
import time
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from scoring.models import RewardModel
from scoring.reward.encoders import Encoder, UnknownEncoder, get_encoder
from scoring.reward.faults import DeviceFailed, described, of_the_machine
from scoring.reward.weights import WeightsError

from . import scorers
from .embedding import embed_batches
from .rewarding import reward_embedded

if TYPE_CHECKING:
    from scoring.reward.scorer import Scorer

logger = logging.getLogger(__name__)


class Complaints:
    """Logs a problem when it begins, and not again every few seconds as long as it lasts."""

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
    """Embed and reward clips that lack it under the live model, for about `seconds`. Returns the number of rewards.

    When another model goes live meanwhile, continues with that one. A fault of the machine (no memory, no disk, no
    weights) is logged once, blamed on no clip, and leaves the work to a later sweep. Raises DeviceFailed where that
    sweep needs another process.

    others_wait: called between batches. Where it returns True, this ends after one batch.
    """
    deadline, rewarded = time.monotonic() + seconds, 0
    complaints.begin_sweep()
    while True:
        model = RewardModel.live()
        rewarded += _sweep(model, deadline, others_wait)
        if time.monotonic() >= deadline or RewardModel.live() == model:
            return rewarded


def _sweep(model, deadline, others_wait):
    """First the clips with embeddings, then batches of clips without. Ends early when `model` is no longer live, or
    when others wait, but not before one batch: however many others there are, clips are slowed down, never stopped.
    """
    scorer, rewarded, calls = None, 0, count()

    def go_on():
        is_after_a_batch = next(calls) > 0
        if time.monotonic() >= deadline or RewardModel.live() != model:
            return False
        return not (is_after_a_batch and others_wait())

    def reward(only=None):
        nonlocal rewarded
        if scorer:
            rewarded += reward_embedded(model, scorer, complaints.say, only)

    try:
        scorer = usable_scorer(model) if model else None
        reward()
        embed_batches(usable_encoders(model), go_on, model=model, scorer=scorer, after_batch=reward)
    except Exception as failure:  # an encoder raises only the machine's faults; the head may raise others
        fault = of_the_machine(failure)
        if fault is None:
            raise
        complaints.say(f"scoring stops until a later sweep: {described(fault)}")
        if isinstance(fault, DeviceFailed):
            raise fault from failure
    return rewarded


def usable_encoders(model: RewardModel | None) -> list[Encoder]:
    """The encoders in use that are installed here at the revision that the model needs; the others are logged."""
    usable = []
    for key, revision in scorers.encoders_in_use(model):
        try:
            usable.append(get_encoder(key, revision))
        except (UnknownEncoder, WeightsError) as error:
            complaints.say(f"{model}: clips are not embedded by {key} here: {error}")
    return usable


def usable_scorer(model: RewardModel) -> "Scorer | None":
    """The model's scorer; None, and a log line, where it cannot score here."""
    try:
        return scorers.load_scorer(model.pk)
    except (ValueError, FileNotFoundError, WeightsError) as error:  # BadCheckpoint, UnknownEncoder
        complaints.say(f"{model} cannot score here: {error}")
        return None
