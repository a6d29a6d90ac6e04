"""Encoders: frozen maps from a clip or its prompt to a vector, each one named and versioned.

An embedding is stored by (clip, encoder key, encoder revision): whatever changes a number an encoder gives
must change its revision. Importing this package loads neither torch nor weights, and neither does asking an encoder
what it declares; an encoder that needs weights loads them when it first embeds.
"""

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Literal, Protocol

import numpy as np

from scoring.reward.encoders.waveforms import resample, to_mono

__all__ = ["KEYS", "Encoder", "UnknownEncoder", "get_encoder", "resample", "to_mono"]


class Encoder(Protocol):
    """What the scorer needs of an encoder block.

    `kind` says what `embed` takes: "audio" float32 [n] mono waveforms at `sample_rate` Hz, full scale +-1, as
    many as the batch holds and of any length; "text" strings. It returns float32 [B, dimension], finite, each
    row independent of the other rows. Raises ValueError that names the place in the batch for an input it
    cannot embed.

    `revision` names the numbers it gives: its arithmetic and, where it has weights, their content. Reading it
    loads no network; where the weights are not here it raises weights.WeightsMissing, which says what to do.

    A differentiable one also has `forward`: a torch tensor of waveforms [B, n] to one of embeddings [B, dimension], of
    the values that `embed` gives, with gradients to the waveforms. Encoders with networks are in network.py.
    """

    key: str
    revision: str
    kind: Literal["audio", "text"]
    dimension: int
    sample_rate: int  # Hz; 0 for text
    windows: str  # which parts of a long clip it hears, in words
    differentiable: bool
    licence: str  # of the weights
    weights: str | None  # their name for `manage.py fetch_weights`; None where there are none to fetch

    def embed(self, batch: Sequence[Any]) -> np.ndarray: ...


class UnknownEncoder(ValueError):
    """No encoder of that key here, or only another revision of it."""


# Where each encoder lives; its module is imported when it is first asked for.
_HOMES = {
    "spectral": "spectral:SpectralEncoder",
    "clap-music": "clap:ClapMusicAudio",
    "clap-music-text": "clap:ClapMusicText",
    "mert-330m": "mert:Mert330m",
    "muq-mulan": "muq_mulan:MuQMuLanAudio",
    "muq-mulan-text": "muq_mulan:MuQMuLanText",
}
KEYS = tuple(_HOMES)


def get_encoder(key: str, revision: str | None = None) -> Encoder:
    """The encoder of that key, built once per process; `revision`, if given, must be the one we have."""
    if key not in _HOMES:
        raise UnknownEncoder(f"unknown encoder {key!r}; there are: {', '.join(sorted(_HOMES))}")
    encoder = _build(key)
    if revision is not None and revision != encoder.revision:
        raise UnknownEncoder(
            f"encoder {key!r} is revision {encoder.revision!r} here, but revision {revision!r} is wanted: "
            "a head trained on one revision cannot read embeddings of another; train a head on the new ones"
        )
    return encoder


@cache
def _build(key: str) -> Encoder:
    module, _, name = _HOMES[key].partition(":")
    factory: Callable[[], Encoder] = getattr(import_module(f"{__name__}.{module}"), name)
    return factory()
