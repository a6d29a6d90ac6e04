"""Audio files to rewards, by the decoding, the encoders and the head that the arena's clips go through.

For a gpu worker or a command: it loads the reward model. Whatever is wrong with one file is that file's story.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arena import audio

from . import jury

BATCH = 32  # files that are embedded together,
BATCH_SECONDS = 600  # or fewer, of about this much sound: 115 MB at 48 kHz
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


def score_files(files: Iterable[tuple[str | Path, str]], model) -> Iterator[Scored]:
    """One Scored for each (path, prompt), in their order. Threads decode ahead while the device computes.

    Raises what loading the model raises: BadCheckpoint, UnknownEncoder, WeightsMissing, OSError.
    """
    scorer = jury.load_scorer(model.pk)
    rate = max(encoder.sample_rate for encoder in scorer.encoders) or 48_000  # 0: it reads nothing but the prompt
    with ThreadPoolExecutor(DECODERS) as pool:
        for batch in _batches(_ahead(pool, files, rate), rate):
            yield from _score_batch(scorer, rate, batch)


def _ahead(pool, files, rate):
    """(waveform or Scored, prompt) of each file, in order, with no more than a few decoded before they are needed."""
    started = deque()
    for path, prompt in files:
        started.append((pool.submit(_waveform, path, rate), prompt))
        if len(started) > 2 * DECODERS:
            future, prompt = started.popleft()
            yield future.result(), prompt
    for future, prompt in started:
        yield future.result(), prompt


def _waveform(path, rate):
    """The file's samples, float32 [n] at `rate` Hz, or a Scored that says what is wrong."""
    try:
        samples = audio.decode(path, sample_rate=rate, mono=True)
    except audio.AudioRejected as refusal:
        return Scored(error=refusal.reason)
    except FileNotFoundError:
        return Scored(error="There is no such file.")
    except jury.MACHINES_FAULT as failure:
        return Scored(error=_sentence(failure), again=True)
    seconds, peak = len(samples) / rate, float(np.abs(samples).max(initial=0.0))
    if seconds < MIN_SECONDS:
        return Scored(error=f"The audio lasts {seconds:.2f} s; at least {MIN_SECONDS:g} s is needed.")
    if peak < SILENT:
        return Scored(error="The audio is silent: mixed to mono, no sample is louder than -60 dBFS.")
    if peak > OVERLOADED:
        return Scored(error="Samples are over 20 dB above full scale: these look like integers stored as floats.")
    return samples


def _batches(decoded, rate):
    batch, seconds = [], 0.0
    for content, prompt in decoded:
        batch.append((content, prompt))
        seconds += 0 if isinstance(content, Scored) else len(content) / rate
        if len(batch) == BATCH or seconds >= BATCH_SECONDS:
            yield batch
            batch, seconds = [], 0.0
    if batch:
        yield batch


def _score_batch(scorer, rate, batch):
    """One Scored for each (waveform or Scored, prompt). If the batch fails, its files are tried one by one."""
    sound = [(content, prompt) for content, prompt in batch if not isinstance(content, Scored)]
    if sound:
        try:
            rewards = iter([_rewarded(reward) for reward in _rewards(scorer, rate, sound)])
        except Exception as failure:  # it may be the story of one of the files, and not of the others
            if len(sound) > 1:
                rewards = iter([_score_batch(scorer, rate, [one])[0] for one in sound])
            else:
                logger.exception("a file cannot be scored")
                is_files_fault = isinstance(failure, ValueError)  # as an encoder says that it cannot embed an input
                rewards = iter([Scored(error=_sentence(failure), again=not is_files_fault)])
    return [content if isinstance(content, Scored) else next(rewards) for content, _ in batch]


def _rewards(scorer, rate, sound):
    waveforms, prompts = zip(*sound, strict=True)
    return scorer.score(waveforms, [rate] * len(sound), prompts)


def _rewarded(reward):
    if not np.isfinite(reward):
        return Scored(error="The reward is not a finite number.")
    return Scored(reward=float(reward))


def _sentence(failure):
    return f"{type(failure).__name__}: {failure}"[:500]
