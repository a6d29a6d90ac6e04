"""From clips to embeddings, in batches: while the device computes one, threads decode and resample the next."""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from arena import audio
from arena.services import local_copy
from scoring.models import RewardModel
from scoring.reward.encoders import Encoder, get_encoder, resample
from scoring.reward.faults import MACHINES_FAULT, DeviceFailed, described, of_the_machine

from . import claims

if TYPE_CHECKING:
    from scoring.reward.scorer import Scorer

BATCH, BATCH_SECONDS = 32, 320  # clips, and seconds of audio, per batch; two batches are in memory
DECODERS = 4  # threads, each with a decoding child
logger = logging.getLogger(__name__)


def embed_batches(
    encoders: Iterable[Encoder],
    go_on: Callable[[], bool],
    *,
    model: RewardModel | None = None,
    scorer: "Scorer | None" = None,
    after_batch: Callable[[list[int]], object] = lambda clip_ids: None,
) -> int:
    """Claim, decode, embed and store clips that lack one of the encoders' blocks, as long as some are free and
    `go_on()`.

    For a clip that cannot be read or embedded the reason is stored. A fault of this machine is raised, but only after
    the rest of the batch was embedded; the clips concerned are free again when their claims expire. A suspect (see
    claims) is embedded alone. After DeviceFailed, which ends the worker, the attempt counts for the whole batch, as if
    the worker had been killed: one of its clips may have broken the device.
    With a `model`, only clips without a reward under it. `scorer`: whose arithmetic to use. Returns how many clips.
    """
    by_block = {(encoder.key, encoder.revision): encoder for encoder in encoders}
    arithmetic = scorer.arithmetic if scorer else nullcontext
    done = after = 0
    with claims.Lease() as lease, ThreadPoolExecutor(DECODERS, "decode") as threads:

        def start_next(beside=()):
            nonlocal after
            while go_on() and not any(claim.is_suspect for claim in beside):
                batch, last = claims.claim(
                    by_block, limit=BATCH, max_seconds=BATCH_SECONDS, after=after, model=model, is_idle=not beside
                )
                if last is None:
                    break
                after = last
                lease.hold(batch)
                if batch:  # else other workers were faster
                    return {claim: threads.submit(_read, claim, by_block) for claim in batch}
            return {}

        ahead = start_next()
        try:
            while ahead:
                batch, ahead = ahead, start_next(beside=ahead)
                try:
                    with arithmetic():
                        _embed_or_leave_behind(batch, by_block, lease)
                finally:
                    lease.drop(batch)
                    after_batch([claim.clip.pk for claim in batch])
                done += len(batch)
                if not go_on():
                    break
                ahead = ahead or start_next()
        finally:
            for reading in ahead.values():
                reading.cancel()
            lease.give_back(ahead)
    return done


def _read(claim, by_block):
    """{sample rate: float32 [n]}: the clip at the rate of each audio encoder that needs it, decoded once."""
    rates = {encoder.sample_rate for block in claim.blocks if (encoder := by_block[block]).kind == "audio"}
    if not rates:
        return {}
    with local_copy(claim.clip.original) as path:
        samples, rate = audio.decode_once(path)
    return {encoder_rate: resample(samples, rate, encoder_rate) for encoder_rate in rates}


def _embed_or_leave_behind(batch, by_block, lease):
    """Embed the batch; for a suspect, embed something harmless first. A suspect is thus blamed for a failing device
    only where the device worked just before; otherwise a broken device would make every clip be given up."""
    if any(claim.is_suspect for claim in batch):
        for encoder in by_block.values():
            vectors_or_reasons(encoder, [harmless(encoder)])
    try:
        _embed(batch, by_block)
    except DeviceFailed:
        lease.leave_behind(batch)
        raise


def harmless(encoder: Encoder) -> str | np.ndarray:
    """An input that every encoder can embed: a second of noise, or a word."""
    if encoder.kind == "text":
        return "music"
    return np.random.default_rng(0).uniform(-0.1, 0.1, encoder.sample_rate).astype("f4")


def _embed(batch, by_block):
    """Store the outcome of every claim of {claim: future of its waveforms}; see embed_batches for what is raised."""
    waveforms, faults = {}, []
    for claim, reading in batch.items():
        try:
            waveforms[claim] = reading.result()
        except Exception as failure:  # whatever a file provokes concerns its clip, not the batch
            if isinstance(failure, MACHINES_FAULT) and not isinstance(failure, FileNotFoundError):
                faults.append(failure)
                continue
            logger.warning("clip %s cannot be read: %s", claim.clip.pk, failure)
            for key, revision in claim.blocks:
                claims.settle(key, revision, {claim.clip.pk: described(failure)})
    for block, encoder in by_block.items():
        lacking = [claim for claim in waveforms if block in claim.blocks]
        inputs = [
            claim.clip.prompt.text if encoder.kind == "text" else waveforms[claim][encoder.sample_rate]
            for claim in lacking
        ]
        try:
            outcomes = vectors_or_reasons(encoder, inputs)
        except MACHINES_FAULT as fault:
            faults.append(fault)
            continue
        for claim, outcome in zip(lacking, outcomes, strict=True):
            if isinstance(outcome, Exception):
                logger.error("clip %s cannot be embedded by %s", claim.clip.pk, encoder.key, exc_info=outcome)
        results = {
            claim.clip.pk: described(outcome) if isinstance(outcome, Exception) else outcome
            for claim, outcome in zip(lacking, outcomes, strict=True)
        }
        key, revision = block
        claims.settle(key, revision, results)
    if faults:
        raise next((fault for fault in faults if isinstance(fault, DeviceFailed)), faults[0])


def vectors_or_reasons(encoder: Encoder, inputs: Sequence[Any]) -> list[np.ndarray | Exception]:
    """For each input its vector, or the exception that says why there is none. Where a batch fails it is halved until
    the input at fault is found.

    Raises one of MACHINES_FAULT where the machine is at fault.
    """
    if not inputs:
        return []
    try:
        return list(checked(encoder, encoder.embed(inputs), len(inputs)))
    except MACHINES_FAULT:
        raise
    except Exception as failure:  # whatever an encoder raises, one of the inputs may have provoked it
        if cause := of_the_machine(failure):
            raise cause from failure
        if len(inputs) == 1:
            return [failure]
    half = len(inputs) // 2
    return vectors_or_reasons(encoder, inputs[:half]) + vectors_or_reasons(encoder, inputs[half:])


def checked(encoder: Encoder, vectors: np.ndarray, n: int) -> np.ndarray:
    """The vectors, if they are n finite ones of the encoder's dimension, else ValueError: every later model reads what
    is stored."""
    if vectors.shape != (n, encoder.dimension):
        raise ValueError(f"{encoder.key} gave {list(vectors.shape)}, not {[n, encoder.dimension]}")
    if not np.isfinite(vectors).all():
        raise ValueError(f"{encoder.key} gives NaN or infinite values for it")
    return vectors


def embed_all(blocks: Collection[tuple[str, str]]) -> None:
    """Embed every clip by every block (key, revision), sharing the work with running workers."""
    encoders = [get_encoder(*block) for block in blocks]
    while any(claims.lacking(blocks)):
        if not embed_batches(encoders, go_on=lambda: True):
            time.sleep(0.5)  # another worker has claimed what is left
