"""Whether uncompressed samples are written as their header says.

Samples that are read in another width, byte order or sign than they were written in are noise, which no later check
would refuse. Music is smooth: from one sample to the next it moves far less than it does on the whole. So where a
stretch is rough as stated, and smooth if it is read in another way, the header is wrong.
"""

from __future__ import annotations

import numpy as np

from arena.audio.outcomes import AudioRejected

BLOCKS = 12 * 1024  # bytes of each channel that are looked at: whole samples of 1, 2, 3 and 4 bytes
ROUGH, ROUGHEST, SMOOTHER = 0.3, 1.3, 10  # white noise has 1, music 0.001 to 0.2, a tone at half the rate 2
FAR, LARGEST_FLOAT = 0.9, 16  # the share of samples far from zero; a peak that a float may have
ORDERS = {"<": "little-endian", ">": "big-endian"}


def integers(data: bytes, size: int, order: str) -> np.ndarray:
    """int64 [n]: signed samples of a container of 1 to 4 bytes."""
    digits = np.frombuffer(data[: len(data) // size * size], np.uint8).reshape(-1, size)
    digits = digits if order == "<" else digits[:, ::-1]
    wide = np.zeros((len(digits), 4), np.uint8)
    wide[:, 4 - size :] = digits
    return wide.view("<i4").ravel().astype(np.int64) >> (8 * (4 - size))


def check(data: bytes, channels: int, *, size: int, order: str, signed: bool) -> None:
    """AudioRejected where a stretch of whole blocks, from the start of one, is not what its header says."""
    data = data[: BLOCKS * channels]
    if len(data) < BLOCKS * channels:
        return
    half = 1 << (8 * size - 1)
    values = integers(data, size, order)
    values = values if signed else _flipped(values, half)
    stated = _roughness(values, channels)
    other = _flipped(values, half)
    if (np.abs(values) > half // 2).mean() > FAR and _roughness(other, channels) < stated / 2:
        raise _wrong("unsigned" if signed else "signed")
    if size == 4:
        floats = np.frombuffer(data, f"{order}f4")
        could_be = np.isfinite(floats).all() and 1e-3 < np.abs(floats).max() < LARGEST_FLOAT
        if could_be and _roughness(floats, channels) < stated / 2:
            raise _wrong("floating-point")
    if not ROUGH <= stated <= ROUGHEST or _typical_roughness(values, channels) < ROUGH:
        return  # a few clicks make quiet music rough, and its bytes are as smooth the other way round
    for width in range(2, 4 if size == 1 else 5):  # every fourth of 8-bit samples could be smooth by chance
        for byte_order, name in ORDERS.items():
            if _roughness(integers(data, width, byte_order), channels) < stated / SMOOTHER:
                raise _wrong(f"{8 * width}-bit {name}")


def _flipped(values: np.ndarray, half: int) -> np.ndarray:
    """The same bits, with the highest taken for the other of sign and magnitude."""
    return np.where(values < 0, values + half, values - half)


def _roughness(values: np.ndarray, channels: int) -> float:
    """Mean squared step over twice the variance: 1 for white noise, infinite for a constant."""
    frames = values[: len(values) // channels * channels].reshape(-1, channels).astype(np.float64)
    variance = frames.var(axis=0).mean()
    return float(np.square(np.diff(frames, axis=0)).mean() / (2 * variance)) if variance else np.inf


def _typical_roughness(values: np.ndarray, channels: int) -> float:
    """The same of absolute values instead of squares, which a few large ones do not decide; also 1 for white noise."""
    frames = values[: len(values) // channels * channels].reshape(-1, channels).astype(np.float64)
    spread = np.abs(frames - frames.mean(axis=0)).mean()
    return float((np.abs(np.diff(frames, axis=0)).mean() / spread) ** 2 / 2) if spread else np.inf


def _wrong(what: str) -> AudioRejected:
    return AudioRejected(f"The samples look like {what} ones, and the file's header says otherwise: it is wrong.")
