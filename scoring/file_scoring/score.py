"""Audio files to rewards, by the decoding, the encoders and the head that the arena's clips go through.

For a gpu worker or a command: it loads the reward model. Whatever is wrong with one file is that file's story.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arena import audio
from scoring.jury import scorers
from scoring.jury.embedding import MACHINES_FAULT
from scoring.models import RewardModel
from scoring.reward.faults import DeviceFailed, of_the_machine

BATCH = 32  # files that are embedded together,
BATCH_SECONDS = 600  # or fewer, of about this much sound: 115 MB at 48 kHz, once for each rate that an encoder wants
DECODERS = 2
MIN_SECONDS, SILENT, OVERLOADED = 1.0, 1e-3, 10.0  # what a clip of the arena is held to: 1 s, -60 and +20 dBFS
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scored:
    """What became of one file: its reward, or a sentence that says why it has none.

    again: this machine was at fault, not the file; try it again later.
    """

    reward: float | None = None
    error: str = ""
    again: bool = False


def score_files(files: Iterable[tuple[str | Path, str]], model: RewardModel) -> Iterator[Scored]:
    """One Scored for each (path, prompt), in their order. Threads decode ahead while the device computes.

    Raises what loading the model raises: BadCheckpoint, WeightsMissing, OSError; and DeviceFailed.
    """
    scorer = scorers.load_scorer(model.pk)
    with ThreadPoolExecutor(DECODERS, "decode") as threads:
        for batch in _batches(_ahead(threads, files)):
            yield from _score_batch(scorer, batch)


@dataclass(frozen=True)
class _Sound:
    samples: np.ndarray
    rate: int
    prompt: str


def _ahead(threads, files):
    """A _Sound or Scored for each file, in order, with no more than a few decoded before they are needed."""
    started: deque[Future] = deque()
    for path, prompt in files:
        started.append(threads.submit(_decoded, path, prompt))
        if len(started) > 2 * DECODERS:
            yield started.popleft().result()
    for decoding in started:
        yield decoding.result()


def _decoded(path, prompt):
    """The file's sound, or a Scored that says what is wrong."""
    try:
        samples, rate = audio.decode_once(path)
    except audio.AudioRejected as refusal:
        return Scored(error=refusal.reason)
    except FileNotFoundError:
        return Scored(error="There is no such file.")
    except MACHINES_FAULT as failure:
        return Scored(error=_sentence(failure), again=True)
    seconds, peak = len(samples) / rate, float(np.abs(samples).max(initial=0.0))
    if seconds < MIN_SECONDS:
        return Scored(error=f"The audio lasts {seconds:.2f} s; at least {MIN_SECONDS:g} s is needed.")
    if peak < SILENT:
        return Scored(error="The audio is silent: mixed to mono, no sample is louder than -60 dBFS.")
    if peak > OVERLOADED:
        return Scored(error="Samples are over 20 dB above full scale: these look like integers stored as floats.")
    return _Sound(samples, rate, prompt)


def _batches(decoded):
    batch, seconds = [], 0.0
    for one in decoded:
        batch.append(one)
        seconds += len(one.samples) / one.rate if isinstance(one, _Sound) else 0
        if len(batch) == BATCH or seconds >= BATCH_SECONDS:
            yield batch
            batch, seconds = [], 0.0
    if batch:
        yield batch


def _score_batch(scorer, batch):
    """A Scored for each _Sound or Scored. If they fail together, they are tried one by one."""
    sounds = [one for one in batch if isinstance(one, _Sound)]
    scored = iter(_score_sounds(scorer, sounds))
    return [next(scored) if isinstance(one, _Sound) else one for one in batch]


def _score_sounds(scorer, sounds):
    if not sounds:
        return []
    try:
        rewards = scorer.score(
            [one.samples for one in sounds], [one.rate for one in sounds], [one.prompt for one in sounds]
        )
    except Exception as failure:  # it may be the story of one of the files, and not of the others
        if len(sounds) > 1:
            return [scored for one in sounds for scored in _score_sounds(scorer, [one])]
        return [_failed(failure)]
    return [_rewarded(reward) for reward in rewards]


def _failed(failure):
    logger.exception("a file cannot be scored")
    fault = failure if isinstance(failure, MACHINES_FAULT) else of_the_machine(failure)
    if isinstance(fault, DeviceFailed):  # it would fail on all files to come
        raise fault from failure
    return Scored(error=_sentence(fault or failure), again=fault is not None)


def _rewarded(reward):
    if not np.isfinite(reward):
        return Scored(error="The reward is not a finite number.")
    return Scored(reward=float(reward))


def _sentence(failure):
    return f"{type(failure).__name__}: {failure}"[:500]
