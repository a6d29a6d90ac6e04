"""The scorer: waveforms and prompts in, one reward per clip out, through the encoder blocks and the head."""

import json
import os
from collections.abc import Sequence

import numpy as np
import torch

from scoring.reward.encoders import Encoder, get_encoder, resample, to_mono
from scoring.reward.head import BadCheckpoint, RankNetHead, load_head, read_metadata

ROWS = 4096  # embeddings that pass through the head at once


class Scorer:
    """A head over encoder blocks, concatenated in the order given. Puts the head in eval mode, so that a
    clip's reward does not depend on the batch it came in.
    """

    def __init__(self, head: RankNetHead, encoders: Sequence[Encoder]):
        self.head = head.eval()
        self.encoders = tuple(encoders)
        width = sum(encoder.dimension for encoder in self.encoders)
        if width != head.input_width:
            blocks = " + ".join(f"{encoder.key} {encoder.dimension}" for encoder in self.encoders) or "none"
            raise ValueError(f"the head takes {head.input_width} features, but its encoders give {width} ({blocks})")

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Scorer":
        """The scorer of a file saved with encoder_metadata(); its encoders must be here, at the same
        revision.
        """
        try:
            blocks = json.loads(read_metadata(path)["encoders"])
            names = [(block["key"], block["revision"]) for block in blocks]
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise BadCheckpoint(f"{path}: its metadata does not name the encoder blocks") from error
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(load_head(path).to(device), [get_encoder(key, revision) for key, revision in names])

    def score(self, waveforms: Sequence[np.ndarray], sample_rates: Sequence[int], prompts: Sequence[str]) -> np.ndarray:
        """Rewards (logits: a difference is the log-odds of being preferred), float32 [B], of B clips: waveforms
        float32 [n] or [channels, n] at sample_rates[i] Hz, made for prompts[i]. Raises ValueError for lists of
        different lengths, and for a waveform that cannot be embedded, naming its place in the batch.
        """
        return self.score_embeddings(self.embed(waveforms, sample_rates, prompts))

    def embed(self, waveforms: Sequence[np.ndarray], sample_rates: Sequence[int], prompts: Sequence[str]) -> np.ndarray:
        """The head's input, float32 [B, width]: each encoder's embedding, block beside block."""
        if not len(waveforms) == len(sample_rates) == len(prompts):
            raise ValueError(
                f"{len(waveforms)} waveforms, {len(sample_rates)} sample rates and {len(prompts)} prompts: "
                "give one of each per clip"
            )
        mono = [to_mono(waveform) for waveform in waveforms]
        at_rate: dict[int, list[np.ndarray]] = {}
        blocks = []
        for encoder in self.encoders:
            rate = encoder.sample_rate
            if encoder.kind == "audio" and rate not in at_rate:
                at_rate[rate] = [resample(x, r, rate) for x, r in zip(mono, sample_rates, strict=True)]
            blocks.append(encoder.embed(prompts if encoder.kind == "text" else at_rate[rate]))
        return np.concatenate(blocks, axis=1)

    @torch.inference_mode()
    def score_embeddings(self, x: np.ndarray) -> np.ndarray:
        """Rewards, float32 [B], of embeddings float32 [B, width]; needs no audio, so a new head can reuse old
        ones.
        """
        x = np.ascontiguousarray(x, dtype=np.float32)
        if x.ndim != 2 or x.shape[1] != self.head.input_width:
            raise ValueError(f"embeddings have shape {list(x.shape)}; the head takes [B, {self.head.input_width}]")
        if not np.isfinite(x).all():
            row = int(np.argmin(np.isfinite(x).all(axis=1)))
            raise ValueError(f"embedding {row} of the batch holds NaN or infinite values")
        device = next(self.head.parameters()).device
        rewards = [self.head(rows.to(device)).cpu() for rows in torch.from_numpy(x).split(ROWS)]
        return torch.cat(rewards).numpy()


def encoder_metadata(encoders: Sequence[Encoder]) -> dict[str, str]:
    """What save_head should write beside the weights, for Scorer.load to find the blocks in order."""
    blocks = [{"key": e.key, "revision": e.revision, "dimension": e.dimension} for e in encoders]
    return {"encoders": json.dumps(blocks)}
