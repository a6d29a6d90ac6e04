"""Audio files made up for tests, in every format the arena takes, and what the arena makes of them."""

from __future__ import annotations

import struct
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from arena import audio
from arena.audio import operations
from arena.audio.reading import USUAL_LAYOUTS, open_audio
from arena.audio.source import Source


def music(seconds: float, rate: int = 48_000, channels: int = 2, seed: int = 0) -> np.ndarray:
    """float32 [n, channels]: decaying chords over a noisy beat, different in each channel, peak below 0.5."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    beat = np.exp(-6 * (t % 0.5))
    out = np.empty((len(t), channels))
    for channel in range(channels):
        notes = 220 * 2 ** (rng.choice([0, 4, 7, 12, 16], 3, replace=False) / 12) * (1 + 0.001 * channel)
        chord = sum(np.sin(2 * np.pi * note * t + channel) for note in notes)
        swell = 0.4 + 0.3 * np.sin(2 * np.pi * t / 7 + seed)
        out[:, channel] = 0.12 * swell * chord * (0.3 + beat) + 0.02 * beat * rng.uniform(-1, 1, len(t))
    return out.astype(np.float32)


def materials(seconds: float, rate: int = 48_000) -> dict[str, np.ndarray]:
    """float32 [n, 2] each: music of very different kinds, from hardly any sound to all of the spectrum."""
    rng = np.random.default_rng(3)
    t = np.arange(round(seconds * rate)) / rate
    notes = [(262, 0.0), (330, 0.3), (392, 0.7)]
    strings = sum(
        np.exp(-2.5 * ((t + late) % 1.5) * n) * np.sin(2 * np.pi * hz * n * t) / n**1.5
        for hz, late in notes
        for n in range(1, 9)
    )
    hats, kick = np.exp(-20 * (t % 0.25)), np.exp(-8 * (t % 0.5)) * np.sin(2 * np.pi * 60 * t)
    hiss = rng.standard_normal(len(t))
    band = 0.1 * strings + 0.05 * hats * hiss + 0.3 * kick
    sounds = {
        "band": band,
        "quiet": 0.01 * band,
        "dull": 0.1 * np.sin(2 * np.pi * 300 * t) + 0.1 * np.sin(2 * np.pi * 225 * t),
        "bright": 0.1 * hats * np.diff(hiss, append=0),
        "sparse": 0.1 * strings * (t % 2 < 0.4),
    }
    return {name: np.stack([sound, np.roll(sound, 37)], axis=1).astype(np.float32) for name, sound in sounds.items()}


def sine(
    seconds: float, dbfs: float, hz: float = 997, rate: int = 48_000, channels: int = 2, phase: float = 0
) -> np.ndarray:
    """float32 [n, channels]: the same sine of that peak level in every channel."""
    t = np.arange(round(seconds * rate)) / rate
    wave_ = 10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * t + phase)
    return np.repeat(wave_[:, None], channels, axis=1).astype(np.float32)


def write(
    path: Path,
    samples: np.ndarray,
    rate: int,
    codec: str,
    *,
    container: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    encoder: dict[str, str] | None = None,
    sample_format: str | None = None,
    layout: str | None = None,
) -> Path:
    """Encode samples [n, channels]; the container comes from the suffix."""
    layout = layout or USUAL_LAYOUTS[samples.shape[1] - 1]
    with av.open(str(path), "w", options=container or {}) as out:
        out.metadata.update(metadata or {})
        stream = out.add_stream(codec, rate=rate)
        stream.layout = layout
        if sample_format:
            stream.format = sample_format
        fast = {"compression_level": "7"} if codec == "libmp3lame" else {}
        stream.options = {"strict": "-2", **fast, **(encoder or {})}  # FFmpeg's own Vorbis encoder is experimental
        packed = np.ascontiguousarray(samples, np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        to_codec = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
        for ready in [*to_codec.resample(frame), *to_codec.resample(None)]:
            out.mux(stream.encode(ready))
        out.mux(stream.encode(None))
    return path


def write_plain_wav(path: Path, samples: np.ndarray, rate: int) -> Path:
    """16 bit, 44 bytes of header, any number of channels, without saying where they go."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(samples.shape[1])
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    return path


def write_video(path: Path) -> Path:
    """A film without sound."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            out.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        out.mux(stream.encode(None))
    return path


def write_to_pipe_wav(path: Path, samples: np.ndarray, rate: int) -> Path:
    """A WAV as a program writes it to a pipe: both sizes unknown, so all ones."""
    data = bytearray(write_plain_wav(path, samples, rate).read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)
    return path


def cut(path: Path, share: float) -> Path:
    """Keep only the first `share` of the bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def inspect_here(path: Path, max_seconds: float = 600) -> audio.ClipFacts:
    """`inspect` without its child process: the same code, faster."""
    with path.open("rb") as file:
        return audio.ClipFacts(**operations.inspect(Source.of(file), max_seconds))


def cut_here(
    path: Path, out_path: Path, length_ms: int, codec: str, variant: str = "", **more: int
) -> audio.ExcerptFacts:
    """`cut_excerpt` without its child process."""
    with path.open("rb") as file, out_path.open("w+b") as out:
        return audio.ExcerptFacts(**operations.cut_excerpt(Source.of(file), out, length_ms, codec, variant, **more))


def played(path: Path) -> np.ndarray:
    """What a player decodes: float32 [n, channels]."""
    with path.open("rb") as file, open_audio(Source.of(file)) as sound:
        return np.concatenate(list(sound.blocks()))


def reason(call, *args, error=audio.AudioRejected, **kwargs) -> str:
    """The sentence with which `call` refuses."""
    with pytest.raises(error) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason
