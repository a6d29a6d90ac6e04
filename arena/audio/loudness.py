"""Integrated loudness and true peak of ITU-R BS.1770-4, by FFmpeg's ebur128 filter."""

from __future__ import annotations

import math
from dataclasses import dataclass

import av
import numpy as np

from arena.audio.reading import frame_of

GATE_LUFS = -70.0  # BS.1770-4, equation 6: the absolute gate; the filter returns it when no block passes
SILENCE_DBFS = -60.0  # audio whose sample peak is below this counts as silent
STEP_S = 0.1


@dataclass(frozen=True)
class Levels:
    """loudness_lufs is GATE_LUFS where every 400 ms block lies below the absolute gate."""

    loudness_lufs: float
    true_peak_dbtp: float

    @property
    def silent(self) -> bool:
        return self.loudness_lufs <= GATE_LUFS


class LoudnessMeter:
    """Push float32 blocks [n, channels], then call `levels()` once."""

    def __init__(self, rate: int, layout: str):
        self._rate, self._layout = rate, layout
        self._step = round(STEP_S * rate)
        self._pushed = 0
        self._sample_peak = 0.0
        self._measured: dict[str, str] = {}
        self._graph = av.filter.Graph()
        source = self._graph.add_abuffer(sample_rate=rate, format="flt", layout=layout)
        meter = self._graph.add("ebur128", "peak=true:metadata=1:framelog=quiet")
        self._sink = self._graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(self._sink)
        self._graph.configure()

    def push(self, block: np.ndarray) -> None:
        self._sample_peak = max(self._sample_peak, float(np.abs(block).max(initial=0.0)))
        self._graph.push(frame_of(block, self._rate, self._layout, self._pushed))
        self._pushed += len(block)
        self._collect()

    @property
    def loudness_so_far(self) -> float:
        """Integrated loudness of the complete blocks so far, in LUFS; GATE_LUFS where none passes the gate."""
        return max(float(self._measured.get("lavfi.r128.I", GATE_LUFS)), GATE_LUFS)

    def levels(self) -> Levels:
        """The Levels of all that was pushed. BS.1770 leaves out an incomplete last block; the true peak includes it."""
        loudness = self.loudness_so_far
        channels = av.AudioLayout(self._layout).nb_channels
        self.push(np.zeros((self._step + -self._pushed % self._step, channels), np.float32))
        true_peak = float(self._measured["lavfi.r128.true_peak"])
        return Levels(loudness, decibels(max(true_peak, self._sample_peak)))

    def _collect(self) -> None:
        while True:
            try:
                self._measured = self._graph.pull().metadata or self._measured
            except (av.BlockingIOError, av.EOFError):
                return


def measure(samples: np.ndarray, rate: int, layout: str) -> Levels:
    """Levels of samples [n, channels]."""
    meter = LoudnessMeter(rate, layout)
    for start in range(0, len(samples), rate):
        meter.push(samples[start : start + rate])
    return meter.levels()


def decibels(amplitude: float) -> float:
    return 20 * math.log10(max(amplitude, 1e-10))
