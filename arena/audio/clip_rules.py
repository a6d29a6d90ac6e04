"""What a file must be to count as a clip: one rule for ingest, `score` and the API."""

from __future__ import annotations

import numpy as np

from arena.audio.loudness import GATE_LUFS, SILENCE_DBFS, LoudnessMeter, decibels
from arena.audio.outcomes import AudioRejected

MIN_SECONDS = 1.0
OVERLOAD_DBFS = 20.0  # a 32-bit integer read as a float is at +187 dBFS; a hot mix at +6
# By how much the mean of the channels may be quieter than they are. Two channels that share nothing lose 3 dB, music
# rarely more than 6; 20 dB is a correlation of -0.98: on one loudspeaker, or to an encoder, next to nothing is left.
CANCELLED_DB = -20.0


class ClipRules:
    """Push all blocks [n, channels] of a file, then call `check()`."""

    def __init__(self, rate: int, layout: str):
        self._rate, self._samples, self._peak = rate, 0, 0.0
        self._energy = self._mono_energy = 0.0
        self._meter = LoudnessMeter(rate, layout)
        self._is_audible = False

    def push(self, block: np.ndarray) -> None:
        self._samples += len(block)
        self._peak = max(self._peak, float(np.abs(block).max(initial=0.0)))
        self._energy += float(np.square(block, dtype=np.float64).sum()) / block.shape[1]
        self._mono_energy += float(np.square(block.mean(axis=1, dtype=np.float64)).sum())
        if not self._is_audible:  # the first stretch above the gate is enough, and the meter is slow
            self._meter.push(block)
            self._is_audible = self._meter.loudness_so_far > GATE_LUFS

    def check(self) -> None:
        """AudioRejected for what is no clip: too short, silent, over full scale, or cancelling itself in mono."""
        seconds, peak_dbfs = self._samples / self._rate, decibels(self._peak)
        if not self._samples:
            raise AudioRejected("The file holds no samples.")
        if seconds < MIN_SECONDS:
            raise AudioRejected(f"The audio lasts {seconds:.2f} s; at least {MIN_SECONDS:g} s is needed.")
        if peak_dbfs < SILENCE_DBFS:
            raise AudioRejected(f"The audio is silent: no sample is louder than {SILENCE_DBFS:g} dBFS.")
        if peak_dbfs > OVERLOAD_DBFS:
            raise AudioRejected(
                f"Samples reach {peak_dbfs:+.0f} dB over full scale: these look like integers stored as floats."
            )
        if not self._is_audible:
            raise AudioRejected("The audio is silent: all of it lies below -70 LUFS.")
        if self._mono_energy < self._energy * 10 ** (CANCELLED_DB / 10):
            raise AudioRejected(
                "The channels cancel each other out: mixed to mono, hardly anything is left. One of them has its phase "
                "inverted; invert it back."
            )
