"""From the votes in the ledger to a candidate reward model with its held-out metrics."""

import tempfile
from pathlib import Path

from django.core.files.base import File
from django.core.files.storage import default_storage

from annotations import ledger
from arena.refusals import Conflict

from . import inputs, jury
from .models import RewardModel
from .reward.encoders import get_encoder


def train_candidate(studies, *, encoder_keys=jury.DEFAULT_ENCODERS, seed=0, name=None, progress=None):
    """Train a head on the studies' votes up to the head of the ledger and store it as a candidate.

    Clips that lack an embedding get one first. Votes on clips that cannot be embedded are left out and counted.
    """
    from .reward.train import train

    if not studies:
        raise Conflict("There is no study yet: nothing to train on.")
    encoders = [get_encoder(key) for key in encoder_keys]
    blocks = [(encoder.key, encoder.revision) for encoder in encoders]
    jury.embed_all(blocks)
    ledger.catch_up()
    seq = ledger.head()
    data = inputs.training_set(studies, seq, blocks)
    if not len(data.target):
        slugs = ", ".join(study.slug for study in studies)
        raise Conflict(f"No usable votes on embedded clips in the studies ({slugs}): nothing to train on.")
    trained = train(data.features, data.a, data.b, data.target, data.prompt, seed=seed, progress=progress)

    return store_model(
        trained.head,
        encoders,
        name or _next_name(encoder_keys),
        ledger_seq=seq,
        config={
            "recipe": "RankNet, arXiv 2606.17006",
            "seed": seed,
            "studies": [study.slug for study in studies],
            "n_unembedded": data.n_unembedded,
            "split": trained.split,
            "best_epoch": trained.best_epoch,
        },
        metrics=trained.metrics,
        history=trained.history,
    )


def store_model(head, encoders, name, *, ledger_seq=0, config=None, metrics=None, history=None):
    """Keep a head, which reads the encoders' blocks in their order, as a candidate reward model with its file.

    ledger_seq: the place up to which votes may have been seen; 0 for a head that saw none of this arena's.
    """
    from .reward.head import save_head
    from .reward.scorer import encoder_metadata

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.safetensors"
        sha256 = save_head(head, path, encoder_metadata(encoders))
        with path.open("rb") as weights:
            stored = default_storage.save(f"weights/{sha256}.safetensors", File(weights))
    return RewardModel.objects.create(
        name=name,
        encoders=[{"key": e.key, "revision": e.revision, "dimension": e.dimension} for e in encoders],
        weights=stored,
        sha256=sha256,
        ledger_seq=ledger_seq,
        config=config or {},
        metrics=metrics or {},
        history=history or [],
    )


def _next_name(encoder_keys):
    return f"{'+'.join(encoder_keys)}-{RewardModel.objects.count() + 1}"
