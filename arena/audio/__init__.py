"""Decode, validate and measure clips and cut their excerpts; untrusted bytes are decoded in a limited child process.

The parent imports neither PyAV nor NumPy until `decode` returns an array, so web processes may import this.
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from arena.audio import sandbox
from arena.audio.outcomes import (
    AudioError,
    AudioRejected,
    AudioUnavailable,
    CannotDegrade,
    CannotLevel,
    ClipFacts,
    ExcerptFacts,
)

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "EXCERPT_CODECS",
    "VARIANTS",
    "AudioError",
    "AudioRejected",
    "AudioUnavailable",
    "CannotDegrade",
    "CannotLevel",
    "ClipFacts",
    "ExcerptFacts",
    "cut_excerpt",
    "decode",
    "decode_once",
    "inspect",
    "mime_type",
    "tones_wav",
]

EXCERPT_CODECS = {"mp3": "audio/mpeg", "wav": "audio/wav"}
BYTES_PER_MS = {"mp3": 40, "wav": 192}  # of an excerpt, but for a header
# Variants of a clip: itself, degraded copies for gold battles, and one with the beeps of the attention check.
VARIANTS = ("", "lowpass", "clipped", "noisy", "tones")
MIN_EXCERPT_MS = 1000
MAX_CHANNELS = 8
MOST_MONO_BYTES = 96_000 * 601 * 4  # float32 of MOST_SAMPLES in arena.audio.reading, mixed to mono


def mime_type(codec: str) -> str:
    """The Content-Type of an excerpt of this codec. Raises ValueError for a codec excerpts do not have."""
    if codec not in EXCERPT_CODECS:
        raise ValueError(f"Excerpts are {' or '.join(EXCERPT_CODECS)}, not {codec!r}.")
    return EXCERPT_CODECS[codec]


def inspect(path: str | Path, *, max_seconds: float = 600, max_bytes: int = 200_000_000) -> ClipFacts:
    """Decode the whole file and measure it; memory does not grow with its length.

    Raises AudioRejected with a sentence (not audio, truncated, empty, silent, cancelling itself in mono, not finite,
    too long or short, too large, unsupported rate or channels), AudioUnavailable, or OSError if the path cannot be
    opened.
    """
    with _regular_file(path) as source:
        size = os.fstat(source.fileno()).st_size
        if size > max_bytes:
            limit = f"{max_bytes / 1e6:,.0f} MB"
            raise AudioRejected(f"The file is {size / 1e6:,.1f} MB; the limit is {limit}.")
        return sandbox.call("inspect", ClipFacts, files={"source": source}, max_seconds=max_seconds)


def cut_excerpt(
    path: str | Path,
    out_path: str | Path,
    *,
    length_ms: int,
    codec: str = "mp3",
    variant: str = "",
    start_ms: int = 0,
    seed: int | None = None,
) -> ExcerptFacts:
    """Write the blinded, level-matched copy of `length_ms` of a clip; `out_path` is replaced atomically.

    48 kHz stereo, -23 LUFS, true peak at most -1 dBTP, no metadata; the size depends on `length_ms` and
    `codec` alone. start_ms: where in the clip it begins. seed: of inaudible differences (less than a millisecond of the
    start, hundredths of a decibel, dither) that make the bytes of two cuts differ, and of how a variant is degraded;
    None: there are none. A variant is degraded first (see VARIANTS and `arena.audio.degrade`). Raises CannotLevel if no
    static gain reaches that level, its subclass CannotDegrade if nobody would notice the degradation,
    AudioRejected if the clip cannot be read or ends before the excerpt, ValueError for a bad length, codec
    or variant.
    """
    mime_type(codec)
    if variant not in VARIANTS:
        raise ValueError(f"An excerpt's variant is one of {', '.join(map(repr, VARIANTS))}, not {variant!r}.")
    if length_ms < MIN_EXCERPT_MS:
        raise ValueError(f"An excerpt lasts at least {MIN_EXCERPT_MS} ms, not {length_ms}.")
    target = Path(out_path).absolute()
    part = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    with _regular_file(path) as source:
        try:
            with _new_file(part) as out:
                facts = sandbox.call(
                    "cut_excerpt",
                    ExcerptFacts,
                    _excerpt_limits(int(length_ms)),
                    files={"source": source, "out": out},
                    length_ms=int(length_ms),
                    codec=codec,
                    variant=variant,
                    start_ms=int(start_ms),
                    seed=seed,
                )
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    return facts


def tones_wav() -> bytes:
    """The beeps of the variant "tones" alone, for the instructions: a mono 48 kHz 16-bit WAV of 0.8 s."""
    from arena.audio import tones

    return tones.alone_wav()


def decode(path: str | Path, *, sample_rate: int, mono: bool = True, max_seconds: float = 600) -> np.ndarray:
    """The samples of a clip at `sample_rate`, float32: [n] if mono, else [channels, n].

    Mono is the mean of the channels. Values may pass +-1. Raises AudioRejected as `inspect` does, but accepts
    short and silent files.
    """
    import numpy as np

    channels = 1 if mono else MAX_CHANNELS
    limits = sandbox.Limits(file_bytes=int((max_seconds + 1) * sample_rate) * channels * 4)
    with _regular_file(path) as source, _scratch() as out:
        shape: dict[str, int] = sandbox.call(
            "decode",
            dict,
            limits,
            files={"source": source, "out": out},
            sample_rate=int(sample_rate),
            mono=mono,
            max_seconds=max_seconds,
        )
        samples = _samples_in(out)
    if mono:
        return samples
    return np.ascontiguousarray(samples.reshape(-1, shape["channels"]).T)


def decode_once(path: str | Path, *, max_seconds: float = 600) -> tuple[np.ndarray, int]:
    """The samples of a clip, float32 [n], n >= 1, the mean of its channels, and the file's own sample rate in Hz: for
    callers that resample to several rates.

    Values may pass +-1. Raises AudioRejected where `inspect` does, in the same words: no file is scored that could not
    be a clip.
    """
    limits = sandbox.Limits(file_bytes=MOST_MONO_BYTES)
    with _regular_file(path) as source, _scratch() as out:
        facts: dict[str, int] = sandbox.call(
            "decode_once", dict, limits, files={"source": source, "out": out}, max_seconds=max_seconds
        )
        return _samples_in(out), facts["sample_rate"]


def _excerpt_limits(length_ms: int) -> sandbox.Limits:
    """Encoding a full-length clip, perhaps twice, takes up to a fifth of its length on one slow core."""
    return sandbox.Limits(
        wall_s=120 + length_ms // 2000,
        cpu_s=60 + length_ms // 4000,
        memory_bytes=2**30 + 8 * length_ms * 48 * 2 * 4,  # its samples, and what filters make of them
        file_bytes=length_ms * 192 + 1_000_000,  # 48 kHz, stereo, 16 bit
    )


def _regular_file(path: str | Path) -> IO[bytes]:
    """The file, open; a pipe or device, which could block for ever, is refused."""
    absolute = Path(path).absolute()
    if not stat.S_ISREG(absolute.stat().st_mode):
        raise AudioRejected("This is not a regular file.")
    file = absolute.open("rb")
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise AudioRejected("This is not a regular file.")


def _new_file(path: Path) -> IO[bytes]:
    try:
        return path.open("x+b")
    except OSError as error:
        raise AudioUnavailable(f"The audio could not be read or written: {error}.") from error


def _scratch() -> IO[bytes]:
    """A file without a name: nothing is left of it, whatever ends this process."""
    try:
        return tempfile.TemporaryFile(prefix="decode-")
    except OSError as error:
        raise AudioUnavailable(f"The audio could not be read or written: {error}.") from error


def _samples_in(out: IO[bytes]) -> np.ndarray:
    import numpy as np

    out.seek(0)
    return np.fromfile(out, dtype="<f4")
