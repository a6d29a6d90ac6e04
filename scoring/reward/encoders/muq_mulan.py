"""MuQ-MuLan-large (Zhu et al. 2025, arXiv 2501.01108): audio and text encoders that share one network.

What they declare. The network is the package muq's; it, and torch, are imported by muq_network when it first runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.reward.encoders.network import NetworkEncoder, WeightsOnDisk
from scoring.reward.weights import PackageMissing

if TYPE_CHECKING:
    from torch import Tensor, nn

HOW_TO_INSTALL = (
    "where it should run, `pip install -r requirements-muq.txt` into the environment of the gpu worker "
    "(`celery -A arena.celery worker -Q gpu --pool=solo`) and restart that worker"
)


class _MuQMuLan(WeightsOnDisk):
    weights = "muq-mulan"
    code_version = "1"
    dimension = 512
    licence = "CC-BY-NC-4.0"

    @property
    def revision(self) -> str:
        """As WeightsOnDisk's. Raises PackageMissing too: a worker that cannot embed must not claim a clip."""
        if find_spec("muq") is None:
            raise PackageMissing(f"muq-mulan needs the package muq, which is not installed here: {HOW_TO_INSTALL}")
        return super().revision

    def load(self, folder: Path) -> nn.Module:
        try:
            from scoring.reward.encoders.muq_network import load
        except (ImportError, OSError, RuntimeError) as error:  # OSError, RuntimeError: of libraries for another torch
            raise PackageMissing(
                f"muq-mulan needs the package muq, which does not load here ({error}): {HOW_TO_INSTALL}"
            ) from error
        return load(folder)


class MuQMuLanAudio(_MuQMuLan, NetworkEncoder):
    """The audio side, as muq's extract_audio_latents gives it.

    Windows of 10 s, one after the other; what is left at the end goes on with the clip's beginning. A clip shorter
    than 10 s goes on with its beginning once, so one under 5 s is heard twice, and shorter. Each window's embedding
    has norm 1; their mean is not brought back to norm 1.

    What TuneJury's heads over MuQ-MuLan learnt from is not certain: its data/extract_features.py hands over samples at
    16 kHz, which muq takes for 24 kHz, so faster and higher. Here they are at muq's own rate.

    Not differentiable: muq computes the log-mel spectrum without gradients.
    """

    key = "muq-mulan"
    sample_rate = 24_000
    window_s = 10.0
    windows = "10 s, one after the other, the last going on with the clip's beginning; the mean of their embeddings"
    differentiable = False

    def forward(self, waveform: Tensor) -> Tensor:
        raise TypeError(f"{self.key} is not differentiable: muq computes the log-mel spectrum without gradients")

    def _by_length(self, clips: Sequence[np.ndarray]) -> dict[int, list[tuple[int, Tensor]]]:
        """As NetworkEncoder's, with muq's own windows."""
        import torch

        from scoring.reward.encoders.muq_network import split

        network: Any = self.network()
        shortest = network.shortest
        groups = defaultdict(list)
        for place, clip in enumerate(clips):
            for window in split(torch.from_numpy(clip), self._longest):
                if window.shape[-1] < shortest:
                    raise ValueError(
                        f"waveform {place} of the batch: has {clip.size} samples; {self.key} hears nothing shorter "
                        f"than {-(-shortest // 2)}"
                    )
                groups[window.shape[-1]].append((place, window))
        return groups


class MuQMuLanText(_MuQMuLan):
    """The text side, as muq's extract_text_latents gives it for one text at a time: in a batch it would average
    over padding. Norm 1, of the first 512 tokens.

    A prompt that is empty, or nothing but white space, asks for nothing: it is zeros, as with clap-music-text, where
    TuneJury's data/extract_features.py takes MuQ-MuLan's embedding of "".
    """

    key = "muq-mulan-text"
    kind = "text"
    sample_rate = 0
    windows = "the first 512 tokens"
    differentiable = False

    def embed(self, batch: Sequence[str]) -> np.ndarray:
        """Prompts -> float32 [B, 512]. Raises ValueError naming the place in the batch of what is not a string."""
        embeddings = np.zeros((len(batch), self.dimension), dtype=np.float32)
        asked: dict[str, list[int]] = {}
        for place, prompt in enumerate(batch):
            if not isinstance(prompt, str):
                raise ValueError(f"prompt {place} of the batch is a {type(prompt).__name__}, not a string")
            if prompt.strip():
                asked.setdefault(prompt, []).append(place)
        network: Any = self.network() if asked else None
        for prompt, places in asked.items():
            embeddings[places] = network.embed_text(prompt)
        return embeddings
