"""LAION-CLAP-Music: audio and text encoders that share one network (Wu et al. 2023, arXiv 2211.06687).

What they declare; the network, and torch, are in clap_network, and for CLAP_ENGINE=laion_clap in laion_clap_network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.reward.encoders.network import NetworkEncoder, WeightsOnDisk
from scoring.reward.weights import PackageMissing, WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn


TRANSFORMERS, LAION_CLAP = ENGINES = ("transformers", "laion_clap")
HOW_TO_INSTALL = (
    "`make test-clap` installs requirements-clap.txt into .venv-clap; start the gpu worker from there "
    "(`.venv-clap/bin/python -m celery -A arena.celery worker -Q gpu --pool=solo`), or unset CLAP_ENGINE"
)


class UnknownEngine(WeightsError):
    """CLAP_ENGINE names no engine; the message says which there are."""


class _ClapMusic(WeightsOnDisk):
    """The checkpoint music_audioset_epoch_15_esc_90.14.pt: HTSAT-base without fusion, and roberta-base.

    The environment variable CLAP_ENGINE says whose network runs it: "transformers", the default, or "laion_clap", the
    package that the checkpoint was made with. Their embeddings are equal to 1e-5 (`make test-clap`), as are those of
    two devices, so both are of one revision: heads and stored embeddings serve with either.
    """

    weights = "clap-music"
    code_version = "1"
    dimension = 512
    licence = "CC0-1.0"

    @property
    def engine(self) -> str:
        """What CLAP_ENGINE says. Raises UnknownEngine."""
        engine = os.environ.get("CLAP_ENGINE") or TRANSFORMERS
        if engine not in ENGINES:
            raise UnknownEngine(
                f"CLAP_ENGINE is {engine!r}, which is no engine of clap-music: set it to {' or '.join(ENGINES)}, "
                f"or unset it for {TRANSFORMERS}"
            )
        return engine

    @property
    def revision(self) -> str:
        """As WeightsOnDisk's. Raises UnknownEngine and PackageMissing too: a worker that cannot embed must not claim a
        clip.
        """
        if self.engine == LAION_CLAP and find_spec("laion_clap") is None:
            raise PackageMissing(
                f"CLAP_ENGINE=laion_clap needs the package laion_clap, which is not installed here: {HOW_TO_INSTALL}"
            )
        return super().revision

    def load(self, folder: Path) -> nn.Module:
        if self.engine == LAION_CLAP:
            from scoring.reward.encoders import laion_clap_network

            return laion_clap_network.load(folder)
        from scoring.reward.encoders import clap_network

        return clap_network.load(folder)


class ClapMusicAudio(_ClapMusic, NetworkEncoder):
    """The audio side: as laion_clap's get_audio_embedding_from_data gives it for a NumPy array of up to 10 s.

    A shorter clip is repeated whole as often as it fits in 10 s, and zeros fill the rest. A longer one is the mean of
    its windows' embeddings: each has norm 1, their mean is not brought back to norm 1. TuneJury's score.py leaves the
    10 s of a longer clip to laion_clap's random crop; the scores it released are of the 10 s at the centre.

    Samples are clipped to +-1 and quantised to 16 bits, as by score.py, which goes through the NumPy array. What the
    published heads learnt from is contradictory in public: data/extract_features.py goes through the tensor, which is
    not quantised, and through 16 kHz, which leaves nothing above 8 kHz. Here it is as the heads are run.

    For a gradient, the rounding counts as the identity.
    """

    key = "clap-music"
    sample_rate = 48_000
    window_s = 10.0
    windows = "10 s, evenly spaced; the mean of their embeddings; a shorter clip repeated, then zeros"

    def fit(self, window: Tensor) -> Tensor:
        from scoring.reward.encoders.clap_network import repeat_pad

        return repeat_pad(window, self._longest)


class ClapMusicText(_ClapMusic):
    """The text side: as laion_clap's get_text_embedding gives it, norm 1, of the first 77 tokens.

    A prompt that is empty, or nothing but white space, asks for nothing: it is zeros, as published heads expect,
    not the embedding of "".
    """

    key = "clap-music-text"
    kind = "text"
    sample_rate = 0
    windows = "the first 77 tokens"
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
        if asked:
            network: Any = self.network()
            for places, row in zip(asked.values(), network.embed_texts(list(asked)), strict=True):
                if not np.isfinite(row).all():
                    raise ValueError(f"prompt {places[0]} of the batch: {self.key} makes NaN or infinite numbers of it")
                embeddings[places] = row
        return embeddings
