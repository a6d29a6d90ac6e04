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

    Raises ValueError for a slug not in SYSTEMS, a rate below 22,050 Hz, or a length in which no bar of the
    prompt's tempo fits (7 s are enough for any).
    """
    system = next((s for s in SYSTEMS if s.slug == system_slug), None)
    if system is None:
        raise ValueError(f"no demo system {system_slug!r}; there are {', '.join(s.slug for s in SYSTEMS)}")
    if sample_rate < 22_050:
        raise ValueError(f"{sample_rate} Hz is too low for the drums: ask for 22050 Hz or more")
    rng = np.random.default_rng([zlib.crc32(system.slug.encode()), zlib.crc32(prompt.text.encode()), seed])
    score = arrange(system, compose(read_brief(prompt.text), seconds, rng))
    mix = perform(system, score, seconds, sample_rate, rng)
    return master(system, mix, score.brief.style.room, sample_rate, rng)


def write_wav(path: str | PathLike[str], audio: np.ndarray, sample_rate: int) -> None:
    """Write float [2, n] in [-1, 1] as 16-bit PCM."""
    pcm = np.round(np.clip(audio, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(pcm))
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(pcm.T.tobytes())
