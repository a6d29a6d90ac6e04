"""Three rising beeps: the tone sequence of the attention check, which raters are told to listen for.

An A major triad, one note after the other, in a range where hearing is sensitive and phone loudspeakers still play.
"""

from __future__ import annotations

import functools

import numpy as np

from arena.audio import wav

RATE = 48_000
PITCHES_HZ = (880, 1109, 1319)
BEEP_MS, GAP_MS, EDGE_MS = 200, 100, 10
SEQUENCE_MS = len(PITCHES_HZ) * BEEP_MS + (len(PITCHES_HZ) - 1) * GAP_MS
ALONE_DBFS = -20.0  # about as loud as the excerpts, which are at -23 LUFS


def sequence(semitones: float = 0.0) -> np.ndarray:
    """float32 [SEQUENCE_MS * 48]: the beeps, each of root mean square 1 between its raised-cosine edges. semitones: how
    much higher they all are."""
    t = np.arange(BEEP_MS * RATE // 1000) / RATE
    shape = edges(BEEP_MS, EDGE_MS)
    beeps = np.zeros(SEQUENCE_MS * RATE // 1000, np.float32)
    for number, pitch in enumerate(PITCHES_HZ):
        start = number * (BEEP_MS + GAP_MS) * RATE // 1000
        beeps[start : start + len(t)] = np.sqrt(2) * shape * np.sin(2 * np.pi * pitch * 2 ** (semitones / 12) * t)
    return beeps


def edges(length_ms: int, edge_ms: int) -> np.ndarray:
    """float32 [length_ms * 48]: 1, but rising from 0 and falling to 0 over `edge_ms` as raised cosines."""
    n = edge_ms * RATE // 1000
    shape = np.ones(length_ms * RATE // 1000, np.float32)
    shape[:n] = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n)
    shape[-n:] = shape[:n][::-1]
    return shape


@functools.cache
def alone_wav() -> bytes:
    """A mono WAV at 48 kHz of the beeps without music."""
    return wav.to_bytes(10 ** (ALONE_DBFS / 20) * sequence()[:, None], RATE)
