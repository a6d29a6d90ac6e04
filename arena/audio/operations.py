"""The operations that the child runs: plain values in, a JSON-serialisable dict out."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

from arena.audio import excerpts
from arena.audio.clip_rules import ClipRules
from arena.audio.loudness import LoudnessMeter
from arena.audio.outcomes import ClipFacts
from arena.audio.reading import Resampler, open_audio


def inspect(path: str, max_seconds: float) -> dict[str, Any]:
    """ClipFacts of a file, in one pass."""
    with open_audio(path, max_seconds=max_seconds) as source:
        meter, rules = LoudnessMeter(source.sample_rate, source.layout), ClipRules(source.sample_rate, source.layout)
        for block in source.blocks():
            rules.push(block)
            meter.push(block)
    rules.check()
    levels = meter.levels()
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
        rules = ClipRules(source.sample_rate, source.layout)
        for block in source.blocks():
            rules.push(block)
            out.write(block.mean(axis=1).astype("<f4").tobytes())
    rules.check()
    return {"sample_rate": source.sample_rate}
