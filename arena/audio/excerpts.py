"""The blinded excerpt: the same length, size, format and loudness for every clip, so that only the music differs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import BinaryIO

import av
import numpy as np

from arena.audio import mp3, wav
from arena.audio.degrade import degraded
from arena.audio.loudness import SILENCE_DBFS, Levels, LoudnessMeter, decibels, measure
from arena.audio.outcomes import AudioRejected, CannotLevel, ExcerptFacts
from arena.audio.reading import AudioSource, Resampler, frame_of, open_audio
from arena.audio.source import Source

RATE = 48_000
TARGET_LUFS = -23.0  # EBU R 128
MAX_TRUE_PEAK_DBTP = -1.0
LOUDNESS_SLACK_LU = 0.5
CLOSE_LU = 0.1
FADE_MS = 8
# A header may round a duration to milliseconds and a resampler drop a few samples; silence makes up for it.
MAX_PADDING_MS = 20
MP3_BITS_PER_SECOND = 320_000
# What differs between two cuts of the same stretch, so that their bytes do; nobody hears it.
GAIN_SPREAD_DB = 0.04
DITHER = 2.0**-15  # a step of 16 bits


def cut(
    source: Source,
    out: BinaryIO,
    length_ms: int,
    codec: str,
    variant: str = "",
    start_ms: int = 0,
    seed: int | None = None,
) -> ExcerptFacts:
    """Write the excerpt of a clip and measure what a player will decode. Raises AudioRejected, CannotLevel.

    seed: of the small differences between two cuts of the same stretch. None: there are none.
    """
    rng = None if seed is None else np.random.default_rng(seed)
    first = start_ms * RATE // 1000 + (int(rng.integers(RATE // 1000)) if rng else 0)
    samples = _stretch(source, first, length_ms * RATE // 1000)
    samples = _fade(degraded(samples, variant, rng) if variant else samples)
    target_lufs = TARGET_LUFS + (float(rng.uniform(-GAIN_SPREAD_DB, GAIN_SPREAD_DB)) if rng else 0.0)
    gain_db = _level(samples, target_lufs)
    if rng:
        samples += np.float32(DITHER) * (rng.random(samples.shape, np.float32) - rng.random(samples.shape, np.float32))
    played = _write(samples, out, codec)
    if abs(target_lufs - played.loudness_lufs) > CLOSE_LU - GAIN_SPREAD_DB:  # MP3 drops frequencies above 20 kHz
        gain_db += _amplify(samples, target_lufs - played.loudness_lufs)
        played = _write(samples, out, codec)
    if abs(TARGET_LUFS - played.loudness_lufs) > LOUDNESS_SLACK_LU:
        raise CannotLevel(f"Cannot be played at {TARGET_LUFS:g} LUFS: it reaches {played.loudness_lufs:.1f} LUFS.")
    _check_true_peak(played.true_peak_dbtp)
    return ExcerptFacts(
        bytes=out.seek(0, os.SEEK_END),
        gain_db=round(gain_db, 3),
        loudness_lufs=round(played.loudness_lufs, 2),
        true_peak_dbtp=round(played.true_peak_dbtp, 2),
    )


def _stretch(source: Source, first: int, wanted: int) -> np.ndarray:
    """float32 [wanted, 2]: that many samples of the clip from the first on, at 48 kHz stereo."""
    samples = np.zeros((wanted, 2), np.float32)
    filled, to_skip = 0, first
    with open_audio(source) as sound:
        for whole in _stereo(sound):
            block = whole[to_skip:][: wanted - filled]
            to_skip = max(0, to_skip - len(whole))
            samples[filled : filled + len(block)] = block
            filled += len(block)
            if filled == wanted:
                break
    if wanted - filled > MAX_PADDING_MS * RATE // 1000:
        lasts, needed = (first + filled - to_skip) / RATE, (first + wanted) / RATE
        raise AudioRejected(f"The clip lasts {lasts:.2f} s, less than the excerpt of {needed:.2f} s.")
    return samples


def _stereo(sound: AudioSource) -> Iterable[np.ndarray]:
    """Blocks at 48 kHz, mono unchanged (it goes to both ears); swresample downmixes more than two channels."""
    layout = "mono" if sound.channels == 1 else "stereo"
    resampler = Resampler(sound.sample_rate, sound.layout, RATE, layout)
    for block in sound.blocks():
        yield from resampler.push(block)
    yield from resampler.push(None)


def _fade(samples: np.ndarray) -> np.ndarray:
    """Raised-cosine ramps at both ends, in place: a cut through a waveform would click."""
    n = FADE_MS * RATE // 1000
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n)).astype(np.float32)[:, None]
    samples[:n] *= ramp
    samples[-n:] *= ramp[::-1]
    return samples


def _level(samples: np.ndarray, target_lufs: float) -> float:
    """Apply, in place, the gain that brings the excerpt to the target; return it in dB.

    The gate of BS.1770 is absolute, so quiet parts of a quiet clip count only once it is amplified: it is
    measured at full scale.
    """
    peak_db = decibels(float(np.abs(samples).max()))
    _amplify(samples, -peak_db)
    levels = measure(samples, RATE, "stereo")
    if peak_db < SILENCE_DBFS or levels.silent:
        raise CannotLevel(f"The first {len(samples) / RATE:.1f} s, which would be played, are silent.")
    gain_db = target_lufs - levels.loudness_lufs
    _check_true_peak(levels.true_peak_dbtp + gain_db)
    return _amplify(samples, gain_db) - peak_db


def _amplify(samples: np.ndarray, gain_db: float) -> float:
    samples *= np.float32(10 ** (gain_db / 20))
    return gain_db


def _check_true_peak(true_peak_dbtp: float) -> None:
    if true_peak_dbtp > MAX_TRUE_PEAK_DBTP:
        raise CannotLevel(
            f"Cannot be played at {TARGET_LUFS:g} LUFS without its peaks passing {MAX_TRUE_PEAK_DBTP:g} dBTP:"
            f" they would reach {true_peak_dbtp:+.1f} dBTP."
        )


def _write(samples: np.ndarray, out: BinaryIO, codec: str) -> Levels:
    """Replace what `out` holds by the samples; returns the levels of what a player decodes from it."""
    out.seek(0)
    out.truncate()
    {"mp3": _write_mp3, "wav": _write_wav}[codec](samples, out)
    out.flush()
    return _as_played(out)


def _write_wav(samples: np.ndarray, out: BinaryIO) -> None:
    wav.write(out, samples, RATE)


def _write_mp3(samples: np.ndarray, out: BinaryIO) -> None:
    """Bare CBR frames of 960 bytes: without a muxer there is no ID3 tag and no Xing, Info or LAME frame."""
    encoder = av.CodecContext.create("libmp3lame", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "stereo", "fltp"
    encoder.bit_rate = MP3_BITS_PER_SECOND
    # At 320 kbit/s LAME's quick search is twice as fast and comes closer to the original than its default.
    # No joint stereo: the header of each frame would say whether it is coded as middle and side, as mono clips are.
    encoder.options = {"reservoir": "0", "compression_level": "7", "joint_stereo": "0"}
    for start in range(0, len(samples), RATE):
        frame = frame_of(samples[start : start + RATE], RATE, "stereo", start)
        out.writelines(mp3.without_filler(bytes(packet)) for packet in encoder.encode(frame))
    out.writelines(mp3.without_filler(bytes(packet)) for packet in encoder.encode(None))


def _as_played(out: BinaryIO) -> Levels:
    with open_audio(Source.written(out)) as sound:
        meter = LoudnessMeter(sound.sample_rate, sound.layout)
        for block in sound.blocks():
            meter.push(block)
    return meter.levels()
