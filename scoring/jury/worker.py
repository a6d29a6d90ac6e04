"""What the gpu worker does: embed the clips that lack an embedding, and reward those that lack a reward.

Torch is imported only inside, when a scorer or a network is first needed: the web process reads this module's names,
never torch.
"""

import logging
import time
from functools import lru_cache
from itertools import count

from arena.services import local_copy
from scoring.file_scoring import jobs as score_jobs
from scoring.models import RewardModel
from scoring.reward.encoders import UnknownEncoder, get_encoder
from scoring.reward.faults import DeviceFailed, of_the_machine
from scoring.reward.weights import WeightsError

from . import claims
from .embedding import MACHINES_FAULT, embed_batches
from .rewarding import reward_embedded

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
    weights) says so once and leaves the work to a later sweep; it blames no clip. Raises DeviceFailed where that sweep
    needs another process.
    """
    deadline, rewarded = time.monotonic() + seconds, 0
    complaints.begin_sweep()
    while True:
        model = RewardModel.live()
        rewarded += _sweep(model, deadline)
        if time.monotonic() >= deadline or RewardModel.live() == model:
            return rewarded


def _sweep(model, deadline):
    """First what needs no audio, then batch after batch of clips that do. Ends early when `model` is not live, or,
    after one batch, when files wait that researchers have sent: many of them slow the clips down, and never stop them.
    """
    scorer, rewarded, asked = None, 0, count()

    def go_on():
        may_wait = next(asked) > 0
        return (
            time.monotonic() < deadline and RewardModel.live() == model and not (may_wait and score_jobs.are_waiting())
        )

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
    from scoring.reward.scorer import Scorer

    model = RewardModel.objects.get(pk=model_id)
    with local_copy(model.weights) as path:
        return Scorer.load(path)


def embed_all(blocks):
    """Embed every clip by every block (key, revision), sharing the work with any running workers."""
    encoders = [get_encoder(*block) for block in blocks]
    while any(claims.lacking(blocks)):
        if not embed_batches(encoders, go_on=lambda: True):
            time.sleep(0.5)  # another worker has claimed what is left
