"""The scorer: waveforms and prompts in, one reward per clip out, through the encoder blocks and the head."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
import torch

from scoring.reward.checkpoints import BadCheckpoint
from scoring.reward.encoders import Encoder, get_encoder, resample, to_mono
from scoring.reward.head import RankNetHead, load_head, read_metadata

ROWS = 4096  # embeddings that pass through the head at once
RESAMPLERS = 4  # threads
AUTOCAST = "bfloat16"
AUTOCAST_TOLERANCE = 1e-2  # of the reward, a logit: a probability of 0.50 becomes 0.5025
PROBE_SECONDS, PROBE_RATE = 10, 48_000
PROBE_PROMPTS = ("A slow chord", "Drums, no melody", "A siren", "Distorted rock guitar")
logger = logging.getLogger(__name__)


class Scorer:
    """A head over encoder blocks, concatenated in the order given. Puts the head in eval mode, so that a
    clip's reward does not depend on the batch it came in (to 1e-4, in float32).

    `autocast` is the type ("bfloat16") in which networks compute on cuda where that moves no reward of a probe by
    more than AUTOCAST_TOLERANCE, else None: float32. It is None on a CPU, where autocast is slower. It is decided
    before the networks are first used, not when a head is loaded: old embeddings under a new head need no network.
    """

    def __init__(self, head: RankNetHead, encoders: Sequence[Encoder], *, may_autocast: bool = True):
        self.head = head.eval()
        self.encoders = tuple(encoders)
        self.autocast: str | None = None
        self._autocast_is_open = may_autocast and self.device.type == "cuda" and any(map(_can_autocast, self.encoders))
        width = sum(encoder.dimension for encoder in self.encoders)
        if width != head.input_width:
            blocks = " + ".join(f"{encoder.key} {encoder.dimension}" for encoder in self.encoders) or "none"
            raise ValueError(f"the head takes {head.input_width} features, but its encoders give {width} ({blocks})")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Scorer":
        """The scorer of a file saved with encoder_metadata(). Raises BadCheckpoint naming the file where it is no head,
        or one of another encoder, revision or width than those here; WeightsMissing.
        """
        try:
            blocks = json.loads(read_metadata(path)["encoders"])
            names = [(block["key"], block["revision"]) for block in blocks]
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise BadCheckpoint(f"{path}: its metadata does not name the encoder blocks") from error
        device = "cuda" if torch.cuda.is_available() else "cpu"
        head = load_head(path).to(device)
        try:
            return cls(head, [get_encoder(key, revision) for key, revision in names])
        except ValueError as error:  # UnknownEncoder, or a width: what is here does not fit this file
            raise BadCheckpoint(f"{path}: {error}") from error

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
        with self.arithmetic(), ThreadPoolExecutor(RESAMPLERS) as threads:
            rates = dict.fromkeys(encoder.sample_rate for encoder in self.encoders if encoder.kind == "audio")
            at_rate = {  # in the order of the encoders: while one computes, the next one's input is made
                rate: [threads.submit(_heard_at, rate, *clip) for clip in zip(count(), waveforms, sample_rates)]
                for rate in rates
            }
            blocks = [
                encoder.embed(
                    prompts if encoder.kind == "text" else [made.result() for made in at_rate[encoder.sample_rate]]
                )
                for encoder in self.encoders
            ]
        return np.concatenate(blocks, axis=1)

    @property
    def reads_prompts(self) -> bool:
        """Whether a prompt can change a reward."""
        return any(encoder.kind == "text" for encoder in self.encoders)

    @property
    def device(self) -> torch.device:
        """Where the head is; encoders choose for themselves, cuda where there is one."""
        return next(self.head.parameters()).device

    @contextmanager
    def arithmetic(self) -> Iterator[None]:
        """Within, the encoders compute as this scorer has decided, whatever another one of the same encoders has."""
        if self._autocast_is_open:
            self._autocast_is_open = False
            self.decide_autocast(AUTOCAST)
        can_autocast: list[Any] = [encoder for encoder in self.encoders if _can_autocast(encoder)]
        before = {encoder: encoder.autocast for encoder in can_autocast}
        try:
            for encoder in before:
                encoder.autocast = self.autocast
            yield
        finally:
            for encoder, autocast in before.items():
                encoder.autocast = autocast

    def decide_autocast(self, kind: str, tolerance: float = AUTOCAST_TOLERANCE) -> float:
        """Take `kind` for autocast if it moves no reward of the probe by more than `tolerance`, else float32; log it.

        Returns the largest difference. Embeddings that another scorer has stored keep the arithmetic it had chosen.
        """
        waveforms = probe()
        arguments = waveforms, [PROBE_RATE] * len(waveforms), PROBE_PROMPTS
        self.autocast = None
        exact = self.score(*arguments)
        self.autocast = kind
        difference = float(np.max(np.abs(self.score(*arguments) - exact)))
        if not difference <= tolerance:  # not so for NaN
            self.autocast = None
        logger.info(
            "networks compute in %s: %s moves the reward of a probe by %.2g, allowed is %g",
            self.autocast or "float32", kind, difference, tolerance,
        )  # fmt: skip
        return difference

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
        rewards = [self.head(rows.to(self.device)).cpu() for rows in torch.from_numpy(x).split(ROWS)]
        return torch.cat(rewards).numpy()


def _can_autocast(encoder: Encoder) -> bool:
    return hasattr(encoder, "autocast")


def _heard_at(rate: int, place: int, waveform: np.ndarray, from_rate: int) -> np.ndarray:
    try:
        return resample(to_mono(waveform), from_rate, rate)
    except ValueError as error:
        raise ValueError(f"waveform {place} of the batch: {error}") from error


def probe() -> list[np.ndarray]:
    """Four clips, float32 [PROBE_SECONDS * PROBE_RATE], always the same: a chord with a beat, noise in bursts, a rising
    tone, and a clipped chord, so that loud and soft, tonal and noisy pass through the networks.
    """
    t = np.arange(PROBE_SECONDS * PROBE_RATE) / PROBE_RATE
    chord = sum(np.sin(2 * np.pi * hz * t) for hz in (220.0, 277.2, 329.6)) * (1 + np.sin(4 * np.pi * t)) / 8
    noise = np.random.default_rng(0).normal(scale=0.1, size=t.size) * (np.sin(6 * np.pi * t) > 0)
    rising = 0.3 * np.sin(2 * np.pi * (100 * t + 200 * t**2))
    return [x.astype(np.float32) for x in (chord, noise, rising, np.clip(8 * chord, -1, 1))]


def encoder_metadata(encoders: Sequence[Encoder]) -> dict[str, str]:
    """What save_head should write beside the weights, for Scorer.load to find the blocks in order."""
    blocks = [{"key": e.key, "revision": e.revision, "dimension": e.dimension} for e in encoders]
    return {"encoders": json.dumps(blocks)}
