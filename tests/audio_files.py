"""Audio files made up for tests, in every format the arena takes."""

from __future__ import annotations

import struct
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from arena.audio.reading import USUAL_LAYOUTS


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
