"""A reward model that hears files.

Torch is imported only when a model is loaded. What is wrong with one file is told as a sentence in place of its reward;
what is wrong with this machine or with the model is raised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arena import audio
from scoring.jury import scorers
from scoring.jury.embedding import MACHINES_FAULT
from scoring.models import RewardModel

BATCH = 8  # sounds that are scored together
FILES_FAULT = (audio.AudioRejected, FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)


@dataclass(frozen=True)
class Sound:
    """float32 [n], mono, at its sample rate in Hz."""

    waveform: np.ndarray
    sample_rate: int


@dataclass(frozen=True)
class NoReward:
    """Why a file has none, in a sentence."""

    reason: str


class Judge:
    """A reward model that hears files: the one place here that knows the scorer and the decoder."""

    def __init__(self, model: RewardModel) -> None:
        self.model = model
        self.scorer = scorers.load_scorer(model.pk)

    @property
    def reads_prompts(self) -> bool:
        return any(encoder.kind == "text" for encoder in self.scorer.encoders)

    def hear(self, path: str | Path) -> Sound | NoReward:
        """A file as decoded in a limited child."""
        try:
            return Sound(*audio.decode_once(path))
        except FILES_FAULT as failure:
            return NoReward(sentence(failure))

    def rewards(self, sounds: Sequence[Sound], prompts: Sequence[str]) -> list[float | NoReward]:
        """One for each sound; where a batch fails, its sounds are scored one by one to find whose fault it is."""
        try:
            given = self.scorer.score([s.waveform for s in sounds], [s.sample_rate for s in sounds], prompts)
        except MACHINES_FAULT:
            raise
        except Exception as failure:  # whatever an encoder raises is the story of one of the sounds
            from scoring.reward.faults import of_the_machine

            if cause := of_the_machine(failure):
                raise cause from failure
            if len(sounds) == 1:
                return [NoReward(str(failure) if isinstance(failure, ValueError) else repr(failure))]
            return [self.rewards([s], [p])[0] for s, p in zip(sounds, prompts, strict=True)]
        return [float(one) if np.isfinite(one) else NoReward(f"The reward is {one}, not a number.") for one in given]


def sentence(failure: BaseException) -> str:
    """What went wrong with a file, for people."""
    return f"{failure.strerror}." if isinstance(failure, OSError) else str(failure)
