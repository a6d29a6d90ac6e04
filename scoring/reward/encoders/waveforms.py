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
