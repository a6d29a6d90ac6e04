"""Waveforms as encoders want them: one channel, at their sample rate."""

from math import gcd

import numpy as np

MAX_CHANNELS = 8


def to_mono(waveform: np.ndarray) -> np.ndarray:
    """Mean over channels: [n] or [channels, n] -> float32 [n]."""
    waveform = np.asarray(waveform)
    if waveform.ndim == 2 and 1 <= waveform.shape[0] <= MAX_CHANNELS:
        return waveform.mean(axis=0, dtype=np.float32)
    if waveform.ndim != 1:
        shape = list(waveform.shape)
        raise ValueError(f"a waveform is [n] or [channels, n] with 1 to {MAX_CHANNELS} channels, not {shape}")
    return waveform.astype(np.float32, copy=False)


def checked(place: int, waveform: np.ndarray) -> np.ndarray:
    """The waveform at this place of a batch as float32 [n]. Raises ValueError that names the place where it is empty,
    not mono or not finite.
    """
    x = np.require(waveform, dtype=np.float32, requirements=["C", "W"])  # as torch wants memory that it shares
    says = None
    if x.ndim != 1 or not x.size:
        says = f"has shape {list(x.shape)}; expected [n] with n >= 1 samples, mixed down to mono"
    elif not np.isfinite(x).all():
        says = "holds NaN or infinite samples"
    if says:
        raise ValueError(f"waveform {place} of the batch: {says}")
    return x


def resample(waveform: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """float32 [n] at from_rate Hz -> float32 [ceil(n * to_rate / from_rate)], polyphase with an anti-alias
    filter.
    """
    if from_rate <= 0 or to_rate <= 0:
        raise ValueError(f"sample rates must be positive, not {from_rate} and {to_rate} Hz")
    if from_rate == to_rate:
        return waveform
    from scipy.signal import resample_poly  # slow to import, and the web process never resamples

    divisor = gcd(from_rate, to_rate)
    return resample_poly(waveform, to_rate // divisor, from_rate // divisor).astype(np.float32, copy=False)
