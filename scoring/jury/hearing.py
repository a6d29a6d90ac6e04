"""From an audio file to its reward: the one path for files that are no clips of the arena.

A file is decoded in a limited child, checked, and scored in batches, with the decoding, the encoders and the head that
the arena's clips go through. Researchers' files, manifests, benchmarks and probes all come this way, so that one rule
says which files get a reward, in one wording. Torch is imported only when a scorer is loaded.
"""

import hashlib
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from arena import audio
from arena.storable import nfc
from scoring.reward.faults import DeviceFailed, described, of_the_machine

if TYPE_CHECKING:
    from scoring.reward.scorer import Scorer

BATCH = 32  # files that are embedded together,
BATCH_SAMPLES = 600 * 48_000  # or fewer, of about so much sound: 115 MB, and again for each rate that an encoder wants
DECODERS = 2
NO_FILE, NOT_A_FILE = "There is no such file.", "This is not a regular file."
Outcome = TypeVar("Outcome")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sound:
    """float32 [n], mono, at its sample rate in Hz."""

    waveform: np.ndarray
    sample_rate: int

    @property
    def seconds(self) -> float:
        return len(self.waveform) / self.sample_rate


@dataclass(frozen=True)
class NoReward:
    """Why a file has no reward, in a sentence.

    machines_fault: the exception, where this machine failed and not the file: another attempt may succeed.
    """

    reason: str
    machines_fault: Exception | None = None


def rewards_of_files(scorer: "Scorer", files: Iterable[tuple[str | Path, str]]) -> Iterator[float | NoReward]:
    """An outcome for each (path, prompt), in their order. Threads decode ahead while the device computes.

    Raises DeviceFailed: this process can score no more.
    """
    with ThreadPoolExecutor(DECODERS, "decode") as threads:
        for batch in _batches(_heard_ahead(threads, files)):
            sounds = [(heard, prompt) for heard, prompt in batch if isinstance(heard, Sound)]
            scored = iter(rewards(scorer, [sound for sound, _ in sounds], [prompt for _, prompt in sounds]))
            yield from (next(scored) if isinstance(heard, Sound) else heard for heard, _ in batch)


def _heard_ahead(threads, files):
    """(Sound or NoReward, prompt) of each file, in order, with no more than a few decoded before they are needed."""
    started: deque[tuple[Future, str]] = deque()
    for path, prompt in files:
        started.append((threads.submit(hear, path), nfc(prompt)))
        if len(started) > 2 * DECODERS:
            decoding, its_prompt = started.popleft()
            yield decoding.result(), its_prompt
    for decoding, prompt in started:
        yield decoding.result(), prompt


def _batches(heard_with_prompts):
    batch, samples = [], 0
    for heard, prompt in heard_with_prompts:
        batch.append((heard, prompt))
        samples += len(heard.waveform) if isinstance(heard, Sound) else 0
        if len(batch) == BATCH or samples >= BATCH_SAMPLES:
            yield batch
            batch, samples = [], 0
    if batch:
        yield batch


def hear(path: str | Path) -> Sound | NoReward:
    """The file's sound, if the arena would take it for a clip."""
    try:
        return Sound(*audio.decode_once(path))
    except Exception as failure:  # whatever a file provokes concerns that file, not the others
        return _unreadable(failure)


def sha256_of(path: Path) -> str | NoReward:
    """The SHA-256 of the file's content, as a hexadecimal string."""
    try:
        if not path.is_file():
            return NoReward(NOT_A_FILE if path.exists() else NO_FILE)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as failure:
        return _unreadable(failure)


def _unreadable(failure):
    if isinstance(failure, audio.AudioRejected):
        return NoReward(failure.reason)
    if isinstance(failure, FileNotFoundError | NotADirectoryError):
        return NoReward(NO_FILE)
    return NoReward(described(failure), of_the_machine(failure))


def rewards(scorer: "Scorer", sounds: Sequence[Sound], prompts: Sequence[str]) -> list[float | NoReward]:
    """An outcome for each sound. Where a batch fails, its sounds are scored one by one to find whose fault it is.

    Raises DeviceFailed: this process can score no more.
    """
    if not sounds:
        return []
    try:
        values = scorer.score([sound.waveform for sound in sounds], [sound.sample_rate for sound in sounds], prompts)
    except Exception as failure:  # one of the sounds may have provoked it, and the others may be fine
        if len(sounds) == 1:
            return [_not_scored(failure)]
        return [rewards(scorer, [sound], [prompt])[0] for sound, prompt in zip(sounds, prompts, strict=True)]
    return [float(value) if np.isfinite(value) else NoReward("The reward is not a finite number.") for value in values]


def _not_scored(failure):
    logger.error("a file cannot be scored", exc_info=failure)
    fault = of_the_machine(failure)
    if isinstance(fault, DeviceFailed):  # every further file would fail
        raise fault from failure
    return NoReward(described(fault or failure), fault)


def unless_machines_fault(outcome: Outcome) -> Outcome:
    """The outcome, for callers that must not go on where this machine failed: raises that failure."""
    if isinstance(outcome, NoReward) and outcome.machines_fault:
        raise outcome.machines_fault
    return outcome
