"""The spectral encoder: fixed arithmetic on log-mel, rhythm, pitch and wave shape. Nothing learnt, no download."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from scipy.fft import irfft, rfft

from scoring.reward.encoders.waveforms import checked


class SpectralEncoder:
    """Statistics of log-mel, rhythm, pitch and wave shape.

    It hears what separates pleasing from plainly worse music: noise (floors, flatness), clipping (crest,
    amplitude distribution), timing (modulation spectrum, onset autocorrelation), tuning (pitch-class
    harmonics). The waveform is brought to RMS 1 first, so level does not matter. Each feature is (value -
    centre) / scale with constants per block, cut to +-LIMIT: they are O(1), as the head has no input
    normalisation. A clip shorter than one frame is padded with zeros; silence has the features of silence.

    451 features, in this order:

    48 x 4   log-mel in dB over the clip's mean power: mean, deviation, 10th percentile (floor), mean |delta|
     7 x 4   octave bands in dB: contrast (loudest over quietest fifth of bins; Jiang et al. 2002) and flatness
             (geometric over arithmetic mean; ISO/IEC 15938-4), the means of both, then their deviations
     6       centroid, spread and 85 % roll-off in octaves: means, then deviations
    16 x 10  modulation spectrum: power of 16 band envelopes in 10 modulation bands, 0.4 to 25 Hz, in decades
    33       autocorrelation of the onset strength: largest in each of 32 ranges of lags, 0.1 to 2 s; overall
    16       pitch-class harmonics |sum w exp(2 pi i k p)| / sum w over spectral peaks at p octaves, weight w,
             for k = 1..6, 12, 24; over the clip, then per frame. k <= 6: transposition-invariant Fourier
             transform of the chroma (Quinn 2006); k = 12: how well all notes share one equal-tempered grid
    16       wave shape: nine quantiles of |x| in dB over those of Gaussian noise, share of samples within 10 %
             of the peak, crest and level of 50 ms frames (mean, deviation), the level's 5th and 95th percentile
    """

    key = "spectral"
    revision = "1"
    kind = "audio"
    sample_rate = 24_000
    licence = "Apache-2.0"
    dimension = 451
    differentiable = False
    windows = "the whole clip"
    weights = None

    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        rows = np.empty((len(batch), self.dimension), dtype=np.float32)
        for place, waveform in enumerate(batch):
            rows[place] = _embed_one(checked(place, waveform))
        return rows


# --- the spectral encoder's arithmetic; change a number, change the revision --------------------------------

RATE = SpectralEncoder.sample_rate
FRAME, HOP = 1024, 480  # 43 ms, 20 ms: 50 frames a second
FRAME_RATE = RATE / HOP
PITCH_FRAME, PITCH_HOP = 8192, 4096  # 2.9 Hz per bin, fine enough for a semitone at 80 Hz after interpolation
BLOCK = 512  # frames transformed at once, so that ten minutes need no more memory than twenty seconds
LIMIT = 5.0
SILENCE_RMS = 1e-7
POWER_FLOOR = 1e-8  # -80 dB below the clip's mean power

N_MELS = 48
OCTAVES_HZ = (0, 200, 400, 800, 1600, 3200, 6400, 12_000)
MODULATION_HZ = (0.375, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 7.0, 10.0, 14.0, 25.01)
MODULATION_SEGMENT, MODULATION_GROUPS = 200, 16  # 4 s: 0.25 Hz per bin
LAGS = np.arange(5, 101).reshape(32, 3)  # frames: 0.1 to 2 s
PITCH_HZ = (80.0, 1600.0)
PITCH_HARMONICS = np.array([1, 2, 3, 4, 5, 6, 12, 24])
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
GAUSSIAN_DB = np.array([-18.0, -9.9, -3.4, 1.2, 4.3, 5.8, 8.2, 10.3, 13.0])  # those quantiles of |noise| of RMS 1


def _embed_one(x: np.ndarray) -> np.ndarray:
    rms = np.sqrt(np.mean(np.square(x, dtype=np.float64)))
    x = (x / max(rms, SILENCE_RMS)).astype(np.float32)

    mel, octaves, shape = _frames(x)
    parts = [
        *_timbre(mel),
        *_octave_statistics(octaves),
        *(_scaled(part, 0.0, 1.0) for part in _mean_and_deviation(shape)),
        _modulation(mel),
        _rhythm(mel),
        _pitch(x),
        _wave_shape(x),
    ]
    return np.clip(np.concatenate(parts), -LIMIT, LIMIT).astype(np.float32)


def _scaled(values: np.ndarray | float, centre: float, scale: float) -> np.ndarray:
    return (np.ravel(values) - centre) / scale


def _mean_and_deviation(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return frames.mean(axis=0), frames.std(axis=0)


def _db(power: np.ndarray) -> np.ndarray:
    return 10.0 * np.log10(power + POWER_FLOOR)


def _framed(x: np.ndarray, length: int, hop: int) -> np.ndarray:
    """[T, length] view of the whole frames, at least one: a shorter signal is padded with zeros."""
    x = np.pad(x, (0, max(0, length - x.size)))
    return np.lib.stride_tricks.sliding_window_view(x, length)[::hop]


def _power_blocks(x: np.ndarray, length: int, hop: int) -> Iterator[np.ndarray]:
    """Power spectra [<= BLOCK, length // 2 + 1] of Hann frames; white noise of RMS 1 has power 1 in every
    bin.
    """
    window = np.hanning(length + 1)[:-1].astype(np.float32)
    frames = _framed(x, length, hop)
    for start in range(0, len(frames), BLOCK):
        spectrum = rfft(frames[start : start + BLOCK] * window, axis=1)
        yield np.square(np.abs(spectrum)) / np.sum(window**2)


def _hz(length: int) -> np.ndarray:
    return np.fft.rfftfreq(length, 1 / RATE)


@cache
def _mel_filters() -> np.ndarray:
    """[bins, N_MELS] triangles of unit sum from 40 Hz to half the sample rate, evenly spaced in mel (HTK
    formula).
    """
    edges = np.linspace(_mel(40.0), _mel(RATE / 2), N_MELS + 2)
    position = _mel(_hz(FRAME))[:, None]
    rising = (position - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - position) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles / triangles.sum(axis=0)).astype(np.float32)


def _mel(hz: np.ndarray | float) -> np.ndarray:
    return 2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0)


def _frames(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per frame: log-mel [T, 48] in dB; contrast and flatness [T, 14] in dB; centroid, spread, roll-off [T,
    3].
    """
    blocks = [
        (_db(power @ _mel_filters()), _contrast_and_flatness(power), _spectral_shape(power))
        for power in _power_blocks(x, FRAME, HOP)
    ]
    mel, octaves, shape = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return mel, octaves, shape


def _contrast_and_flatness(power: np.ndarray) -> np.ndarray:
    hz = _hz(FRAME)
    contrast, flatness = [], []
    for low, high in pairwise(OCTAVES_HZ):
        band = np.sort(power[:, (hz > low) & (hz <= high)], axis=1)
        fifth = max(1, band.shape[1] // 5)
        db = _db(band)
        contrast.append(db[:, -fifth:].mean(axis=1) - db[:, :fifth].mean(axis=1))
        flatness.append(db.mean(axis=1) - _db(band.mean(axis=1)))
    return np.stack(contrast + flatness, axis=1)


def _octave_statistics(octaves: np.ndarray) -> list[np.ndarray]:
    mean, deviation = _mean_and_deviation(octaves)
    n = len(OCTAVES_HZ) - 1
    return [
        _scaled(mean[:n], 20.0, 10.0),
        _scaled(mean[n:], -5.0, 4.0),
        _scaled(deviation[:n], 4.0, 2.0),
        _scaled(deviation[n:], 2.0, 1.5),
    ]


def _spectral_shape(power: np.ndarray) -> np.ndarray:
    octave = np.log2(_hz(FRAME)[1:] / 1000.0)
    share = power[:, 1:] + POWER_FLOOR
    share = share / share.sum(axis=1, keepdims=True)
    centroid = share @ octave
    spread = np.sqrt(np.maximum(0.0, share @ octave**2 - centroid**2))
    roll_off = octave[np.argmax(np.cumsum(share, axis=1) >= 0.85, axis=1)]
    return np.stack([centroid, spread, roll_off], axis=1)


def _timbre(mel: np.ndarray) -> list[np.ndarray]:
    mean, deviation = _mean_and_deviation(mel)
    floor = np.quantile(mel, 0.1, axis=0)
    delta = np.abs(np.diff(mel, axis=0)).sum(axis=0) / max(1, len(mel) - 1)
    return [
        _scaled(mean, -20.0, 20.0),
        _scaled(deviation, 6.0, 4.0),
        _scaled(floor, -30.0, 20.0),
        _scaled(delta, 4.0, 2.0),
    ]


def _modulation(mel: np.ndarray) -> np.ndarray:
    """Welch spectra of the band envelopes, in the bands of MODULATION_HZ."""
    envelopes = mel.reshape(len(mel), MODULATION_GROUPS, -1).mean(axis=2)
    envelopes = envelopes - envelopes.mean(axis=0)
    segments = np.stack([_framed(e, MODULATION_SEGMENT, MODULATION_SEGMENT // 2) for e in envelopes.T])
    segments = segments - segments.mean(axis=2, keepdims=True)
    window = np.hanning(MODULATION_SEGMENT + 1)[:-1]
    power = np.square(np.abs(rfft(segments * window, axis=2))).mean(axis=1) / np.sum(window**2)
    hz = np.fft.rfftfreq(MODULATION_SEGMENT, 1 / FRAME_RATE)
    bands = [power[:, (hz >= low) & (hz < high)].mean(axis=1) for low, high in pairwise(MODULATION_HZ)]
    return _scaled(np.log10(np.stack(bands, axis=1) + 0.01), 1.0, 1.0)


def _rhythm(mel: np.ndarray) -> np.ndarray:
    """Autocorrelation of the onset strength (mean rise in dB over all bands), 1 for a perfect repeat."""
    onset = np.maximum(0.0, np.diff(mel, axis=0)).mean(axis=1)
    onset = np.pad(onset - onset.mean() if onset.size else onset, (0, max(0, 2 * LAGS.max() - onset.size)))
    n = onset.size
    correlation = irfft(np.square(np.abs(rfft(onset, 2 * n))))[: LAGS.max() + 1]
    correlation = correlation / (correlation[0] + 1e-6) / (1.0 - np.arange(LAGS.max() + 1) / n)
    peaks = correlation[LAGS].max(axis=1)
    return _scaled(np.append(peaks, peaks.max()), 0.2, 0.2)


def _pitch(x: np.ndarray) -> np.ndarray:
    """Pitch-class harmonics of the spectral peaks in PITCH_HZ, within 40 dB of their frame's largest."""
    low, high = np.searchsorted(_hz(PITCH_FRAME), PITCH_HZ)
    per_frame, weight = [], 0.0
    for power in _power_blocks(x, PITCH_FRAME, PITCH_HOP):
        left, middle, right = (power[:, low + shift : high + shift] for shift in (-1, 0, 1))
        audible = middle > np.maximum(1e-4 * middle.max(axis=1, keepdims=True), POWER_FLOOR)
        frame, column = np.nonzero((middle > left) & (middle >= right) & audible)
        a, b, c = (np.log(side[frame, column] + 1e-30) for side in (left, middle, right))
        offset = 0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-6)
        octave = np.log2((low + column + np.clip(offset, -0.5, 0.5)) * RATE / PITCH_FRAME / 440.0)
        amplitude = np.sqrt(middle[frame, column])
        sums = np.zeros((len(power), len(PITCH_HARMONICS)), dtype=np.complex128)
        np.add.at(sums, frame, amplitude[:, None] * np.exp(2j * np.pi * octave[:, None] * PITCH_HARMONICS))
        per_frame.append(sums)
        weight += float(amplitude.sum())
    sums = np.concatenate(per_frame)
    harmonics = np.concatenate([np.abs(sums.sum(axis=0)), np.abs(sums).sum(axis=0)]) / max(weight, 1e-12)
    return _scaled(harmonics, 0.2, 0.2)


def _wave_shape(x: np.ndarray) -> np.ndarray:
    size = np.abs(x)
    quantiles = 2 * _db(np.quantile(size, QUANTILES))
    near_peak = np.log10(1e-5 + np.mean(size >= 0.9 * size.max())) if size.max() > 0 else -5.0
    short = np.square(_framed(x, RATE // 20, RATE // 20))
    level = _db(short.mean(axis=1))
    crest = _db(short.max(axis=1)) - level
    return np.concatenate(
        [
            _scaled(quantiles - GAUSSIAN_DB, 0.0, 2.0),
            _scaled(near_peak, -3.0, 1.0),
            _scaled(np.array([crest.mean(), crest.std()]), 5.0, 3.0),
            _scaled(np.array([level.mean(), level.std(), *np.quantile(level, (0.05, 0.95))]), 0.0, 5.0),
        ]
    )
