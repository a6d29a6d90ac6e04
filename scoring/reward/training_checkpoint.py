"""The checkpoint of a training: written after every epoch, so that a killed training ends with the same head."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scoring.reward.archives import check_stored
from scoring.reward.whole_file import written_whole


class BadTrainingCheckpoint(ValueError):
    """A file that this training cannot go on from; the message names the file and what is wrong with it."""


def fingerprint_of(arrays: list[np.ndarray], settings: list[Any]) -> str:
    """One hash over all that the head depends on."""
    digest = hashlib.sha256(json.dumps([settings, torch.__version__]).encode())
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(memoryview(np.ascontiguousarray(array).data).cast("B"))
    return digest.hexdigest()


def noted_in(checkpoint: str | os.PathLike[str] | None) -> dict[str, Any] | None:
    """The note that the training of this checkpoint was called with; None where there is no such file (yet)."""
    if checkpoint is None or not Path(checkpoint).exists():
        return None
    return _load(checkpoint)["note"]


def write(
    path: str | os.PathLike[str],
    fingerprint: str,
    note: dict[str, Any] | None,
    runs: list[dict[str, Any]],
    winner: dict[str, Any] | None,
    at: dict[str, Any] | None,
) -> None:
    """All or nothing: a process killed while it writes leaves the checkpoint of the epoch before.

    runs: of the seeds that are done; winner: the best of them; at: the seed in the middle of its epochs, if any.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as unfinished:
        torch.save({"fingerprint": fingerprint, "note": note, "runs": runs, "winner": winner, "at": at}, unfinished)


def read(
    path: str | os.PathLike[str], fingerprint: str
) -> tuple[list[dict[str, Any]], dict[str, Any] | None, dict[str, Any] | None]:
    """(runs, winner, at), as `write` had them. Raises BadTrainingCheckpoint for a file that is none, or another's."""
    saved = _load(path)
    if saved["fingerprint"] != fingerprint:
        raise BadTrainingCheckpoint(
            f"{path}: of a training on other votes, features or settings; start with the same ones, or delete it"
        )
    return saved["runs"], saved["winner"], saved["at"]


def _load(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        check_stored(Path(path))
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or hostile pickle provokes, the file is what is wrong
        raise BadTrainingCheckpoint(f"{path}: not a checkpoint of a training ({type(error).__name__})") from error
    if not isinstance(saved, dict) or saved.keys() != {"fingerprint", "note", "runs", "winner", "at"}:
        raise BadTrainingCheckpoint(f"{path}: not a checkpoint of a training")
    return saved
