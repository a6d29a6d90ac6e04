"""Six procedural systems that answer text prompts with music: prompt to brief to score to sound."""

import wave
import zlib
from os import PathLike

import numpy as np

from scoring.demo.composer import compose, read_brief
from scoring.demo.production import arrange, master, perform
from scoring.demo.systems import PROMPTS, SYSTEMS, DemoPrompt, DemoSystem

__all__ = ["PROMPTS", "SYSTEMS", "DemoPrompt", "DemoSystem", "generate", "write_wav"]


def generate(
    system_slug: str, prompt: DemoPrompt, seed: int, seconds: float = 14.0, sample_rate: int = 44_100
) -> np.ndarray:
    """Music for a prompt: float32 [2, round(seconds * sample_rate)], |x| <= 1; same arguments, same samples.

    Raises ValueError for a slug that is not in SYSTEMS, under 4 seconds, or a rate below 16 kHz.
    """
    system = next((s for s in SYSTEMS if s.slug == system_slug), None)
    if system is None:
        raise ValueError(f"no demo system {system_slug!r}; there are {', '.join(s.slug for s in SYSTEMS)}")
    if seconds < 4 or sample_rate < 16_000:
        raise ValueError(f"{seconds} s at {sample_rate} Hz: ask for at least 4 s at 16000 Hz or more")
    rng = np.random.default_rng([zlib.crc32(system.slug.encode()), zlib.crc32(prompt.text.encode()), seed])
    score = arrange(system, compose(read_brief(prompt.text), seconds, rng))
    mix = perform(system, score, seconds, sample_rate, rng)
    return master(system, mix, score.brief.style.room, sample_rate, rng)


def write_wav(path: str | PathLike, audio: np.ndarray, sample_rate: int) -> None:
    """Write float [2, n] in [-1, 1] as 16-bit PCM."""
    pcm = np.round(np.clip(audio, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(pcm))
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(pcm.T.tobytes())
