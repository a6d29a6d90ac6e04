"""MERT-v1-330M (Li et al. 2024, arXiv 2306.00107): what the encoder declares. The network is in mert_network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoring.reward.encoders.network import NetworkEncoder

if TYPE_CHECKING:
    from torch import Tensor, nn


class Mert330m(NetworkEncoder):
    """The last hidden layer's mean over time, as TuneJury reads it.

    Clips of up to 60 s are heard whole, as by TuneJury's score.py. Of longer ones the embedding is another: score.py
    hears a clip whole whatever its length, and the scores TuneJury released are of segments of 300 s; here, as
    attention over them outgrows a device's memory, they are windows of 60 s.

    The preprocessor's normalisation, if its file asks for it, is of each window. A clip shorter than one frame of the
    network (400 samples, 17 ms) is refused: there is nothing to hear in it.
    """

    key = "mert-330m"
    weights = "mert-330m"
    code_version = "1"
    dimension = 1024
    sample_rate = 24_000
    window_s = 60.0
    windows = "the whole clip up to 60 s; of a longer one 60 s, evenly spaced; the mean of their embeddings"
    licence = "CC-BY-NC-4.0"

    def load(self, folder: Path) -> nn.Module:
        from scoring.reward.encoders.mert_network import load

        return load(folder)

    def fit(self, window: Tensor) -> Tensor:
        network: Any = self.network()
        shortest = network.shortest
        if window.shape[-1] < shortest:
            raise ValueError(f"has {window.shape[-1]} samples; {self.key} hears nothing shorter than {shortest}")
        return window
