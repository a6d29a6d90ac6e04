"""Importing a published head as a candidate reward model."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from scoring.models import RewardModel
from scoring.reward import weights
from scoring.reward.weights import sha256_of

from .candidates import store_model

UNKNOWN_LICENCE = "not known; see who published it"


def import_model(
    path: str | PathLike[str], *, encoder_keys: Sequence[str] = (), name: str | None = None
) -> RewardModel:
    """Store the head in `path` (.safetensors, or a .pt of weights only) as a candidate over the encoders it reads.

    Blocks and their order: see reward.head_inputs.find_encoders. The encoders' weights must be installed: their
    revisions are part of the model. It has seen none of this arena's votes and is not measured on them: it has no
    metrics.

    Raises reward.checkpoints.BadCheckpoint, UnknownEncoder (both ValueError), FileNotFoundError, weights.WeightsError.
    """
    from scoring.reward.head import load_head
    from scoring.reward.head_inputs import find_encoders

    path = Path(path)
    head = load_head(path)
    encoders = find_encoders(path, head.input_width, encoder_keys)
    return store_model(
        head,
        encoders,
        name or _free_name(path.stem[:90]),
        config={"imported": {"file": path.name, "sha256": sha256_of(path), **_origin(path)}},
    )


def _origin(path):
    """Where the file is from and its licence, if it belongs to a fetched set of weights, whose manifest says so."""
    for name in weights.SETS:
        try:
            installed = weights.installed(name)
        except weights.WeightsError:
            continue
        file = installed.files.get(path.name)
        if file and path.resolve() == (installed.path / path.name).resolve():
            origin = {key: file[key] for key in ("repository", "commit", "from") if key in file}
            return {"weights": name, **origin, "licence": file["licence"]}
    return {"from": str(path.resolve()), "licence": UNKNOWN_LICENCE}


def _free_name(stem):
    in_use = set(RewardModel.objects.filter(name__startswith=stem).values_list("name", flat=True))
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(in_use) + 2))
    return next(name for name in names if name not in in_use)
