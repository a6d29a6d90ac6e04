"""The operations that the child runs: plain values in, a JSON-serialisable dict out."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

import numpy as np

from arena.audio import excerpts
from arena.audio.loudness import SILENCE_DBFS, LoudnessMeter, decibels
from arena.audio.outcomes import AudioRejected, ClipFacts
from arena.audio.reading import Resampler, open_audio

MIN_SECONDS = 1.0
OVERLOAD_DBFS = 20.0  # a 32-bit integer read as a float is at +187 dBFS; a hot mix at +6


def inspect(path: str, max_seconds: float) -> dict[str, Any]:
    """ClipFacts of a file, in one pass."""
    peak = 0.0
    with open_audio(path, max_seconds=max_seconds) as source:
        meter = LoudnessMeter(source.sample_rate, source.layout)
        for block in source.blocks():
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            meter.push(block)
    _check_levels(source.seconds, decibels(peak))
    levels = meter.levels()
    if levels.silent:
        raise AudioRejected("The audio is silent: all of it lies below -70 LUFS.")
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return asdict(
        ClipFacts(
            duration_ms=round(1000 * source.seconds),
            sample_rate=source.sample_rate,
            channels=source.channels,
            format=source.format,
            codec=source.codec,
            loudness_lufs=round(levels.loudness_lufs, 2),
            true_peak_dbtp=round(levels.true_peak_dbtp, 2),
            sha256=digest,
        )
    )


def cut_excerpt(path: str, out_path: str, length_ms: int, codec: str, variant: str = "") -> dict[str, Any]:
    return asdict(excerpts.cut(path, out_path, length_ms, codec, variant))


def decode(path: str, out_path: str, sample_rate: int, mono: bool, max_seconds: float) -> dict[str, Any]:
    """Write little-endian float32 frames to `out_path`; return the number of channels in it."""
    with open_audio(path, max_seconds=max_seconds) as source, open(out_path, "wb") as out:
        layout = "mono" if mono else source.layout
        resampler = Resampler(source.sample_rate, layout, sample_rate, layout)
        for block in source.blocks():
            ready = block.mean(axis=1, keepdims=True) if mono else block
            for samples in resampler.push(ready):
                out.write(samples.astype("<f4").tobytes())
        for samples in resampler.push(None):
            out.write(samples.astype("<f4").tobytes())
    return {"channels": 1 if mono else source.channels}


def decode_once(path: str, out_path: str, max_seconds: float) -> dict[str, Any]:
    """Write the mean of the channels, little-endian float32, to `out_path`; return the file's sample rate."""
    with open_audio(path, max_seconds=max_seconds) as source, open(out_path, "wb") as out:
        for block in source.blocks():
            out.write(block.mean(axis=1).astype("<f4").tobytes())
        if not source.samples:
            raise AudioRejected("The file holds no samples.")
    return {"sample_rate": source.sample_rate}


def _check_levels(seconds: float, peak_dbfs: float) -> None:
    if seconds < MIN_SECONDS:
        raise AudioRejected(f"The audio lasts {seconds:.2f} s; at least {MIN_SECONDS:g} s is needed.")
    if peak_dbfs < SILENCE_DBFS:
        raise AudioRejected(f"The audio is silent: no sample is louder than {SILENCE_DBFS:g} dBFS.")
    if peak_dbfs > OVERLOAD_DBFS:
        raise AudioRejected(
            f"Samples reach {peak_dbfs:+.0f} dB over full scale: these look like integers stored as floats."
        )
