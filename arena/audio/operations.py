"""The operations that the child runs: plain values and open files in, a JSON-serialisable dict out.

What they need must be loaded with this module, since a child can open no file any more when it runs one.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any, BinaryIO

import av.subtitles.stream  # noqa: F401  PyAV and NumPy would load these only when they are first needed
import numpy.fft
import numpy.random  # noqa: F401

from arena.audio import excerpts
from arena.audio.clip_rules import ClipRules
from arena.audio.confinement import in_force
from arena.audio.loudness import LoudnessMeter
from arena.audio.outcomes import ClipFacts
from arena.audio.reading import Resampler, open_audio
from arena.audio.source import Source


def confinement() -> dict[str, Any]:
    """What this process has given up."""
    return {"parts": in_force}


def inspect(source: Source, max_seconds: float) -> dict[str, Any]:
    """ClipFacts of a file, in one pass."""
    with open_audio(source, max_seconds=max_seconds) as sound:
        meter, rules = LoudnessMeter(sound.sample_rate, sound.layout), ClipRules(sound.sample_rate, sound.layout)
        for block in sound.blocks():
            rules.push(block)
            meter.push(block)
    rules.check()
    levels = meter.levels()
    return asdict(
        ClipFacts(
            duration_ms=round(1000 * sound.seconds),
            sample_rate=sound.sample_rate,
            channels=sound.channels,
            format=sound.format,
            codec=sound.codec,
            loudness_lufs=round(levels.loudness_lufs, 2),
            true_peak_dbtp=round(levels.true_peak_dbtp, 2),
            sha256=hashlib.sha256(source.data).hexdigest(),
        )
    )


def cut_excerpt(
    source: Source,
    out: BinaryIO,
    length_ms: int,
    codec: str,
    variant: str = "",
    start_ms: int = 0,
    seed: int | None = None,
) -> dict[str, Any]:
    return asdict(excerpts.cut(source, out, length_ms, codec, variant, start_ms, seed))


def decode(source: Source, out: BinaryIO, sample_rate: int, mono: bool, max_seconds: float) -> dict[str, Any]:
    """Write little-endian float32 frames to `out`; return the number of channels in it."""
    with open_audio(source, max_seconds=max_seconds) as sound:
        layout = "mono" if mono else sound.layout
        resampler = Resampler(sound.sample_rate, layout, sample_rate, layout)
        for block in sound.blocks():
            ready = block.mean(axis=1, keepdims=True) if mono else block
            for samples in resampler.push(ready):
                out.write(samples.astype("<f4").tobytes())
        for samples in resampler.push(None):
            out.write(samples.astype("<f4").tobytes())
    out.flush()
    return {"channels": 1 if mono else sound.channels}


def decode_once(source: Source, out: BinaryIO, max_seconds: float) -> dict[str, Any]:
    """Write the mean of the channels, little-endian float32, to `out`; return the file's sample rate."""
    with open_audio(source, max_seconds=max_seconds) as sound:
        rules = ClipRules(sound.sample_rate, sound.layout)
        for block in sound.blocks():
            rules.push(block)
            out.write(block.mean(axis=1).astype("<f4").tobytes())
    out.flush()
    rules.check()
    return {"sample_rate": sound.sample_rate}
