"""Clips to embeddings, batch after batch: while the device computes one, threads decode and resample the next."""

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
from scoring.reward.faults import DeviceFailed, of_the_machine

from . import claims

if TYPE_CHECKING:
    from scoring.reward.scorer import Scorer

BATCH, BATCH_SECONDS = 32, 320  # clips, and seconds of audio, that are claimed at once; two batches are in memory
DECODERS = 4  # threads, each with a decoding child
MACHINES_FAULT = (audio.AudioUnavailable, MemoryError, OSError)  # WeightsError is an OSError
logger = logging.getLogger(__name__)


def embed_batches(
    encoders: Iterable[Encoder],
    go_on: Callable[[], bool],
    *,
    model: RewardModel | None = None,
    scorer: "Scorer | None" = None,
    after_batch: Callable[[list[int]], object] = lambda clip_ids: None,
) -> int:
    """Claim, decode, embed and store, while there are free clips that lack one of the encoders' blocks and `go_on()`.

    A clip that cannot be read or embedded carries the reason. What is this machine's fault is raised, but only after
    all that could be done for the rest of the batch; the clips it has hit are free again when their claims run out.
    While there is a suspect at work (see claims) nothing else is. After DeviceFailed, which ends the worker, the batch
    is left behind as a killed worker's would be: one of its clips may have broken the device.
    With a `model`, only clips that it has not rewarded. `scorer`: whose arithmetic to use. Returns how many clips.
    """
    by_block = {(encoder.key, encoder.revision): encoder for encoder in encoders}
    arithmetic = scorer.arithmetic if scorer else nullcontext
    done = after = 0
    with claims.Lease() as lease, ThreadPoolExecutor(DECODERS, "decode") as threads:

        def start_next(beside=()):
            nonlocal after
            while go_on() and not any(one.is_suspect for one in beside):
                batch, last = claims.claim(
                    by_block, limit=BATCH, max_seconds=BATCH_SECONDS, after=after, model=model, is_idle=not beside
                )
                if last is None:
                    break
                after = last
                lease.hold(batch)
                if batch:  # else other workers were faster
                    return {one: threads.submit(_read, one, by_block) for one in batch}
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
                    after_batch([one.clip.pk for one in batch])
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
    """{sample rate: float32 [n]}: the clip at the rate of each encoder that is to hear it, decoded once."""
    rates = {encoder.sample_rate for block in claim.blocks if (encoder := by_block[block]).kind == "audio"}
    if not rates:
        return {}
    with local_copy(claim.clip.original) as path:
        samples, rate = audio.decode_once(path)
    return {wanted: resample(samples, rate, wanted) for wanted in rates}


def _embed_or_leave_behind(batch, by_block, lease):
    """A suspect is blamed for a device that fails only if the same process has just embedded something harmless on it:
    a broken device would have every clip given up."""
    if any(claim.is_suspect for claim in batch):
        for encoder in by_block.values():
            vectors_or_reasons(encoder, [harmless(encoder)])
    try:
        _embed(batch, by_block)
    except DeviceFailed:
        lease.leave_behind(batch)
        raise


def harmless(encoder: Encoder) -> str | np.ndarray:
    """What every encoder can embed: a second of noise, or a word."""
    if encoder.kind == "text":
        return "music"
    return np.random.default_rng(0).uniform(-0.1, 0.1, encoder.sample_rate).astype("f4")


def _embed(batch, by_block):
    """Settle every claim of {claim: future of its waveforms}; see embed_batches for what is raised."""
    waveforms, faults = {}, []
    for claim, reading in batch.items():
        try:
            waveforms[claim] = reading.result()
        except Exception as failure:  # whatever a file provokes is its clip's story, not that of the batch
            if isinstance(failure, MACHINES_FAULT) and not isinstance(failure, FileNotFoundError):
                faults.append(failure)
                continue
            logger.warning("clip %s cannot be read: %s", claim.clip.pk, failure)
            for key, revision in claim.blocks:
                claims.settle(key, revision, {claim.clip.pk: _reason(failure)})
    for block, encoder in by_block.items():
        theirs = [claim for claim in waveforms if block in claim.blocks]
        heard = [
            claim.clip.prompt.text if encoder.kind == "text" else waveforms[claim][encoder.sample_rate]
            for claim in theirs
        ]
        try:
            outcomes = vectors_or_reasons(encoder, heard)
        except MACHINES_FAULT as fault:
            faults.append(fault)
            continue
        for claim, outcome in zip(theirs, outcomes, strict=True):
            if isinstance(outcome, Exception):
                logger.error("clip %s cannot be embedded by %s", claim.clip.pk, encoder.key, exc_info=outcome)
        results = {
            claim.clip.pk: _reason(outcome) if isinstance(outcome, Exception) else outcome
            for claim, outcome in zip(theirs, outcomes, strict=True)
        }
        key, revision = block
        claims.settle(key, revision, results)
    if faults:
        raise next((fault for fault in faults if isinstance(fault, DeviceFailed)), faults[0])


def vectors_or_reasons(encoder: Encoder, heard: Sequence[Any]) -> list[np.ndarray | Exception]:
    """A vector, or the exception that says why there is none, for each; one that fails is found by halving the batch.

    Raises what is the machine's fault, as an OSError or a MemoryError.
    """
    if not heard:
        return []
    try:
        return list(checked(encoder, encoder.embed(heard), len(heard)))
    except MACHINES_FAULT:
        raise
    except Exception as failure:  # whatever an encoder raises is some clip's story
        if cause := of_the_machine(failure):
            raise cause from failure
        if len(heard) == 1:
            return [failure]
    half = len(heard) // 2
    return vectors_or_reasons(encoder, heard[:half]) + vectors_or_reasons(encoder, heard[half:])


def checked(encoder: Encoder, vectors: np.ndarray, n: int) -> np.ndarray:
    """What is stored is read by every model to come: nothing that is not n finite vectors gets there."""
    if vectors.shape != (n, encoder.dimension):
        raise ValueError(f"{encoder.key} gave {list(vectors.shape)}, not {[n, encoder.dimension]}")
    if not np.isfinite(vectors).all():
        raise ValueError(f"{encoder.key} makes NaN or infinite values of it")
    return vectors


def _reason(failure):
    return f"{type(failure).__name__}: {failure}"


def embed_all(blocks: Collection[tuple[str, str]]) -> None:
    """Embed every clip by every block (key, revision), sharing the work with any running workers."""
    encoders = [get_encoder(*block) for block in blocks]
    while any(claims.lacking(blocks)):
        if not embed_batches(encoders, go_on=lambda: True):
            time.sleep(0.5)  # another worker has claimed what is left
