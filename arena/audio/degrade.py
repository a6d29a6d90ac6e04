"""Degraded copies for gold battles: so much worse that an attentive listener cannot fail to notice.

How audible a degradation is depends on the music: a low-pass filter does nothing to a bass solo. So each has a
ladder of strengths, of which the mildest is used that changes the spectrum enough, both in the opening seconds
(all that some listeners hear) and over the whole excerpt; if none does, CannotDegrade is raised.

The measure is a log-spectral distance in third-octave bands, A-weighted (IEC 61672-1, annex E) because that is about
how much each band contributes to what is heard at home. Listeners begin to notice at about 1 dB of spectral
distortion (Paliwal and Atal, "Efficient vector quantization of LPC parameters at 24 bits/frame", IEEE Transactions
on Speech and Audio Processing 1(1), 1993, section I); CLEAR_DB is three times that.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from arena.audio import tones
from arena.audio.outcomes import CannotDegrade
from arena.audio.tones import RATE

CLEAR_DB = 3.0
OPENING_S = 4.0
FRAME = 4096
BANDS_HZ = 1000 * 2 ** (np.arange(-9, 12) / 3)  # 125 Hz to 12.7 kHz
MASKED_DB = 30.0  # bands this far below the loudest of their frame, and frames this far below the loudest, do not count
SILENT_DB = -60.0  # of a band in a frame, on the scale of _band_levels; about -120 dBFS
SMOOTH_MS = 400  # the window of momentary loudness (EBU Tech 3341)

LOWPASS_ORDER = 8  # 48 dB per octave
PINK_FROM_HZ = 40.0
CLIP_LEVELS = np.geomspace(4, 0.02, 150)  # times the momentary level

STRONGEST = 0.9  # times the strength of a ladder's step, where that is drawn

TONES_AT, TONES_BY_S = 0.35, 2.0  # share of the excerpt, but no later
TONES_EARLIEST, TONES_SEMITONES = 0.2, 3.0  # share of that place; up or down: a triad is heard at any pitch
TONES_OVER_DB, DUCK_DB, DUCK_EDGE_MS = 6.0, -12.0, 50


def degraded(samples: np.ndarray, variant: str, rng: np.random.Generator | None = None) -> np.ndarray:
    """A worse copy of float32 [ms * 48, 2] at 48 kHz, about as loud. rng: draws how strong, which noise, where and at
    which pitch, so that no two copies are alike; without it the same samples give the same copy.

    Raises CannotDegrade if the difference would not be clearly audible on this music, ValueError for an unknown
    variant.
    """
    if variant == "tones":
        return with_tones(samples, rng)
    if variant not in LADDERS:
        raise ValueError(f"An excerpt is degraded by {', '.join([*LADDERS, 'tones'])}, not {variant!r}.")
    degrade, strengths = LADDERS[variant]
    stronger = rng.uniform(STRONGEST, 1) if rng else 1.0
    for strength in strengths:
        worse = degrade(samples, strength * stronger, **({"rng": rng} if variant == "noisy" else {}))
        if is_plain(samples, worse):
            return worse
    raise CannotDegrade(f"Nobody would notice that this excerpt is {HEARD_AS[variant]}.")


def is_plain(samples: np.ndarray, worse: np.ndarray) -> bool:
    opening = slice(int(OPENING_S * RATE))
    return min(distance_db(samples[opening], worse[opening]), distance_db(samples, worse)) >= CLEAR_DB


def distance_db(samples: np.ndarray, other: np.ndarray) -> float:
    """Root mean square over bands of the level differences in dB, averaged over the audible frames of `samples`.

    The mean difference of each frame is subtracted first, so that gain makes no difference. 0 if nothing is audible.
    """
    levels, others = _band_levels(samples), _band_levels(other)
    loudest = levels.max(axis=1)
    heard = loudest > max(loudest.max(initial=SILENT_DB) - MASKED_DB, SILENT_DB)
    if not heard.any():
        return 0.0
    difference = _above_masking(levels[heard]) - _above_masking(others[heard])
    return float(difference.std(axis=1).mean())


def lowpassed(samples: np.ndarray, cutoff_hz: float) -> np.ndarray:
    """Without the treble: a Butterworth magnitude of order LOWPASS_ORDER, without delay."""
    return _filtered(samples, lambda hz: 1 / np.sqrt(1 + (hz / cutoff_hz) ** (2 * LOWPASS_ORDER)))


def clipped(samples: np.ndarray, sdr_db: float) -> np.ndarray:
    """Hard clipping whose distortion is `sdr_db` below the music at every moment: the clip level follows the music's.

    Music that clipping does not change (a square wave) is clipped at the lowest level.
    """
    level = _momentary_level(samples)[:, None]
    limit = _clip_level(samples / level, sdr_db) * level
    worse = np.clip(samples, -limit, limit)
    return worse * np.sqrt(np.mean(samples**2) / max(np.mean(worse**2), 1e-30))


def noisy(samples: np.ndarray, snr_db: float, rng: np.random.Generator | None = None) -> np.ndarray:
    """With pink noise, independent in each ear, `snr_db` below the music at every moment; both A-weighted."""
    rng = rng or np.random.default_rng(zlib.crc32(np.ascontiguousarray(samples).data))
    noise = rng.standard_normal(samples.shape, dtype=np.float32)
    noise = _filtered(noise, lambda hz: np.sqrt(PINK_FROM_HZ / np.maximum(hz, PINK_FROM_HZ)))
    heard_level = np.sqrt(np.mean(_filtered(noise, a_weighting) ** 2))
    level = _momentary_level(_filtered(samples, a_weighting))[:, None]
    return samples + np.float32(10 ** (-snr_db / 20) / heard_level) * level * noise


def with_tones(samples: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """With three beeps once, over lowered music: TONES_OVER_DB above the music there, or on average if that is more.
    rng: draws their place and pitch."""
    length_ms = len(samples) * 1000 // RATE
    span_ms = tones.SEQUENCE_MS + 2 * DUCK_EDGE_MS
    start_ms = int(min(TONES_AT * length_ms, 1000 * TONES_BY_S)) - DUCK_EDGE_MS
    semitones = 0.0
    if rng:
        start_ms = int(rng.uniform(TONES_EARLIEST, 1) * start_ms)
        semitones = float(rng.uniform(-TONES_SEMITONES, TONES_SEMITONES))
    start = max(0, min(start_ms, length_ms - span_ms)) * RATE // 1000
    span = slice(start, start + span_ms * RATE // 1000)
    heard = _filtered(samples, a_weighting)
    level = max(_momentary_level(heard)[span].max(), np.sqrt(np.mean(heard**2, axis=0).max()))
    lowered = 1 - (1 - 10 ** (DUCK_DB / 20)) * tones.edges(span_ms, DUCK_EDGE_MS)
    beeps = np.pad(tones.sequence(semitones), DUCK_EDGE_MS * RATE // 1000) * (level * 10 ** (TONES_OVER_DB / 20))
    mixed = samples.copy()
    mixed[span] = mixed[span] * lowered[:, None] + beeps[:, None]
    return mixed


LADDERS: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], tuple[float, ...]]] = {
    "lowpass": (lowpassed, (2000, 1400, 1000, 700, 500)),  # Hz
    "clipped": (clipped, (10, 8, 6)),  # dB
    "noisy": (noisy, (10, 8, 6)),  # dB
}
HEARD_AS = {"lowpass": "low-passed", "clipped": "clipped", "noisy": "noisy"}


def a_weighting(hz: np.ndarray) -> np.ndarray:
    """Amplitude, 1 at 1 kHz (IEC 61672-1, annex E)."""
    f2 = np.square(hz, dtype=float)
    weight = f2**2 * 12194**2 / ((f2 + 20.6**2) * (f2 + 12194**2) * np.sqrt((f2 + 107.7**2) * (f2 + 737.9**2)))
    return weight * 10**0.1


def _filtered(samples: np.ndarray, gain: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Zero-phase filtering by `gain(Hz)`; whole seconds of silence at the end keep the two ends apart."""
    n = (len(samples) // RATE + 2) * RATE
    gains = gain(np.fft.rfftfreq(n, 1 / RATE)).astype(np.float32)
    out = np.empty_like(samples)
    for ear, channel in enumerate(samples.T):  # one at a time: ten minutes are 115 MB of spectrum
        out[:, ear] = np.fft.irfft(np.fft.rfft(channel, n) * gains, n)[: len(samples)]
    return out


def _momentary_level(samples: np.ndarray) -> np.ndarray:
    """float32 [n]: the louder ear's root mean square in SMOOTH_MS around each sample, never 0."""
    power = np.square(samples, dtype=float).reshape(-1, RATE // 1000, 2).mean(axis=1).max(axis=1)
    window = np.hanning(SMOOTH_MS + 2)[1:-1]
    smooth = np.convolve(power, window)[SMOOTH_MS // 2 :][: len(power)]
    inside = np.convolve(np.ones(len(power)), window)[SMOOTH_MS // 2 :][: len(power)]
    return np.repeat(np.sqrt(smooth / inside) + 1e-9, RATE // 1000).astype(np.float32)


def _clip_level(levelled: np.ndarray, sdr_db: float) -> float:
    """The mildest of CLIP_LEVELS at which clipping `levelled` gives this distortion, or else the harshest.

    Clipping has no memory, so its distortion follows from a histogram of |x|. Distortion is what no gain of the music
    explains: SDR = r / (1 - r) with r the squared correlation of the music and its clipped copy.
    """
    counts, edges = np.histogram(np.abs(levelled), bins=2000, range=(0, 2 * CLIP_LEVELS[0]))
    x = (edges[1:] + edges[:-1]) / 2
    y = np.minimum(x, CLIP_LEVELS[:, None])
    r = (counts * x * y).sum(axis=1) ** 2 / np.maximum((counts * x**2).sum() * (counts * y**2).sum(axis=1), 1e-300)
    enough = np.flatnonzero(r <= 1 / (1 + 10 ** (-sdr_db / 10)))
    return float(CLIP_LEVELS[enough[0] if len(enough) else -1])


def _band_levels(samples: np.ndarray) -> np.ndarray:
    """dB [frames, bands]: A-weighted power of both ears in each band of each full frame."""
    hz = np.fft.rfftfreq(FRAME, 1 / RATE)
    low, high = BANDS_HZ / 2 ** (1 / 6), BANDS_HZ * 2 ** (1 / 6)
    to_bands = ((hz[:, None] >= low) & (hz[:, None] < high)) * (a_weighting(hz) ** 2)[:, None]
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME, 2)
    window = np.hanning(FRAME).astype(np.float32)
    power = sum(np.abs(np.fft.rfft(frames[:, :, ear] * window)) ** 2 for ear in (0, 1))
    return 10 * np.log10(power @ to_bands.astype(np.float32) + 1e-12)


def _above_masking(levels: np.ndarray) -> np.ndarray:
    return np.maximum(levels, levels.max(axis=1, keepdims=True) - MASKED_DB)
