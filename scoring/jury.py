"""What the gpu worker does: embed the clips that lack an embedding, and reward those that lack a reward.

Torch is imported only inside, when a head is first needed: the web process reads this module's names, never torch.
"""

import logging
import time
from functools import lru_cache

import numpy as np

from arena import audio
from arena.services import local_copy

from . import inputs, services
from .models import Embedding, Reward, RewardModel
from .reward.encoders import get_encoder

DEFAULT_ENCODERS = ("spectral",)
BATCH = 8
MACHINES_FAULT = (audio.AudioUnavailable, MemoryError, OSError)
logger = logging.getLogger(__name__)


def encoders_in_use(model):
    """[(key, revision)] of the live model, or of the default encoder while there is none."""
    if model:
        return [(block["key"], block["revision"]) for block in model.encoders]
    return [(key, get_encoder(key).revision) for key in DEFAULT_ENCODERS]


def score_pending(seconds=20):
    """Embed and reward what lacks it under the live model, for about `seconds`. Returns the number of rewards."""
    model = RewardModel.live()
    deadline = time.monotonic() + seconds
    for key, revision in encoders_in_use(model):
        while time.monotonic() < deadline and embed_batch(key, revision):
            pass
    return reward_pending(model) if model else 0


def embed_all(blocks):
    """Embed every clip by every block (key, revision), sharing the work with any running workers."""
    for key, revision in blocks:
        while services.unembedded(key, revision).exists():
            if not embed_batch(key, revision):
                time.sleep(0.2)  # another worker has claimed what is left


def embed_batch(key, revision, limit=BATCH):
    """Claim and embed up to `limit` clips. A clip that fails carries the reason; the others go on. Returns how many."""
    encoder = get_encoder(key, revision)
    done = 0
    while done < limit and (clip := services.claim_unembedded(key, revision)):
        done += 1
        try:
            vector = encoder.embed([_encoder_input(encoder, clip)])[0]
        except Exception as failure:  # whatever else an encoder raises is the clip's story, not that of its batch
            if isinstance(failure, MACHINES_FAULT) and not isinstance(failure, FileNotFoundError):
                raise  # the claim runs out, and the clip is tried again
            logger.exception("clip %s cannot be embedded by %s", clip.pk, key)
            services.store_embedding(clip, key, revision, error=f"{type(failure).__name__}: {failure}"[:500])
        else:
            services.store_embedding(clip, key, revision, vector=vector)
    return done


def _encoder_input(encoder, clip):
    if encoder.kind == "text":
        return clip.prompt.text
    with local_copy(clip.original) as path:
        return audio.decode(path, sample_rate=encoder.sample_rate, mono=True)


def reward_pending(model, limit=4096):
    """Reward every clip that the model's encoders have embedded and it has not rewarded. Returns how many."""
    blocks = encoders_in_use(model)
    done = 0
    while True:
        unrewarded = Embedding.objects.filter(
            encoder=blocks[0][0], revision=blocks[0][1], vector__isnull=False
        ).exclude(clip_id__in=Reward.objects.filter(reward_model=model, protocol=Reward.PROMPT_TEXT).values("clip_id"))
        vectors = inputs.embedded(unrewarded.values_list("clip_id", flat=True)[:limit], blocks)
        if not vectors:
            return done
        rewards = load_scorer(model.pk).score_embeddings(np.stack(list(vectors.values())))
        services.store_rewards(model, dict(zip(vectors, rewards, strict=True)))
        done += len(vectors)


@lru_cache(maxsize=2)
def load_scorer(model_id):
    """The model's scorer; a model's weights never change, so its id is enough to remember it by."""
    from .reward.scorer import Scorer

    model = RewardModel.objects.get(pk=model_id)
    with local_copy(model.weights) as path:
        return Scorer.load(path)
