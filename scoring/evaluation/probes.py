"""Sanity probes: does a reward model prefer music to damaged copies of it, to noise and to silence?

A probe makes an input from a clip; the model scores both, and the rewards are compared. The checks are those of
TuneJury's appendix B (arXiv 2606.17006, eval/sanity.py of its repository, commit ec1f438), with filters, levels and
shuffled time added. Two things differ: clipped and noisy copies keep the clip's scale, where theirs are brought to
full scale, and noise is drawn anew for each clip. NumPy and SciPy only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import stats
from scipy.signal import butter, sosfiltfilt

LOWER, EQUAL = "lower", "equal"
EXPECTED, UNCLEAR, FAILED = "as expected", "unclear", "FAILED"
EQUAL_WITHIN = 0.1  # of the reward, a logit: 0.1 moves an even chance of being preferred to 52.5 %
LEVEL = 0.95
PIECE_S, FADE_S = 0.5, 0.01
SEED = 0

Change = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Probe:
    """An input made from a clip, and what one expects of its reward.

    change(waveform float32 [n], sample rate in Hz, rng) -> float32 [n]; expect: LOWER or EQUAL, than or to the clip's
    reward, because of `why`. published: TuneJury's mean rewards of its originals and of this probe, None where its
    docstring does not give them.
    """

    name: str
    expect: str
    why: str
    change: Change
    published: tuple[float, float] | None = None

    @property
    def published_difference(self) -> float | None:
        return None if self.published is None else round(self.published[1] - self.published[0], 2)

    def apply(self, waveform: np.ndarray, sample_rate: int, place: int = 0) -> np.ndarray:
        """The probe of a clip, float32 [n] like it; `place` tells clips apart, so that each has noise of its own.

        Raises ValueError for a clip that is empty or not finite, or that this probe cannot be made of.
        """
        waveform = np.asarray(waveform, dtype=np.float32)
        if waveform.ndim != 1 or not waveform.size or not np.isfinite(waveform).all():
            raise ValueError(f"{self.name}: a clip is finite float [n], n >= 1, not of shape {list(waveform.shape)}")
        rng = np.random.default_rng([SEED, place, *self.name.encode()])
        return np.asarray(self.change(waveform, sample_rate, rng), dtype=np.float32)


@dataclass(frozen=True)
class Outcome:
    """A probe against its originals, over the n clips of which both have a reward.

    difference: mean of probe minus original, with its standard error (None for one clip); original_wins: share of the
    clips whose original has the larger reward, equal ones counting half. preferred: [(place of the clip, probe minus
    original)] where the model prefers the probe, most of all first. verdict: EXPECTED, UNCLEAR or FAILED, see `judge`.
    """

    probe: Probe
    n: int
    difference: float
    stderr: float | None
    original_wins: float
    preferred: list[tuple[int, float]]
    verdict: str


def compare(probe: Probe, original: Sequence[float | None], probed: Sequence[float | None]) -> Outcome | None:
    """The outcome over the clips that have both rewards, finite; None where there is no such clip."""
    pairs = [
        (place, b - a)
        for place, (a, b) in enumerate(zip(original, probed, strict=True))
        if a is not None and b is not None
    ]
    if not pairs:
        return None
    differences = np.array([difference for _, difference in pairs], dtype=np.float64)
    if not np.isfinite(differences).all():
        raise ValueError(f"{probe.name}: a reward is NaN or infinite")
    n = len(differences)
    mean = float(differences.mean())
    stderr = float(differences.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    return Outcome(
        probe=probe,
        n=n,
        difference=mean,
        stderr=stderr,
        original_wins=float((0.5 - 0.5 * np.sign(differences)).mean()),
        preferred=sorted((pair for pair in pairs if pair[1] > 0), key=lambda pair: -pair[1]),
        verdict=judge(probe.expect, mean, stderr, n),
    )


def judge(expect: str, difference: float, stderr: float | None, n: int) -> str:
    """EXPECTED or FAILED where the mean difference lies beyond chance, at 95 % by Student's t, else UNCLEAR.

    LOWER wants it below 0, and fails above 0. EQUAL wants its whole interval within EQUAL_WITHIN of 0, and fails with
    the whole of it outside. One clip has no interval, so nothing is beyond chance.
    """
    if stderr is None:
        return UNCLEAR
    reach = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * stderr
    low, high = difference - reach, difference + reach
    if expect == LOWER:
        return EXPECTED if high < 0 else FAILED if low > 0 else UNCLEAR
    if low >= -EQUAL_WITHIN and high <= EQUAL_WITHIN:
        return EXPECTED
    return FAILED if low > EQUAL_WITHIN or high < -EQUAL_WITHIN else UNCLEAR


# ---- what is done to a clip ------------------------------------------------------------------------------


def silence(waveform: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    return np.zeros_like(waveform)


def white_noise(waveform: np.ndarray, rate: int, rng: np.random.Generator, *, dbfs: float) -> np.ndarray:
    """Gaussian noise of that RMS, not clipped: at 0 dBFS a third of it lies beyond full scale."""
    return 10 ** (dbfs / 20) * rng.standard_normal(waveform.size)


def pink_noise(waveform: np.ndarray, rate: int, rng: np.random.Generator, *, dbfs: float) -> np.ndarray:
    """Noise whose power falls as 1/f, of that RMS."""
    spectrum = np.fft.rfft(rng.standard_normal(waveform.size))
    spectrum[0] = 0
    spectrum[1:] /= np.sqrt(np.arange(1, spectrum.size))
    noise = np.fft.irfft(spectrum, n=waveform.size)
    return noise * (10 ** (dbfs / 20) / max(_rms(noise), np.finfo(np.float64).tiny))


def sine(waveform: np.ndarray, rate: int, rng: np.random.Generator, *, hz: float) -> np.ndarray:
    """A tone of half of full scale."""
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(waveform.size) / rate)


def clipped(waveform: np.ndarray, rate: int, rng: np.random.Generator, *, ratio: float) -> np.ndarray:
    """All beyond `ratio` of the peak cut off, then brought back to the clip's peak."""
    limit = ratio * float(np.abs(waveform).max())
    return np.clip(waveform, -limit, limit) / ratio


def with_noise(waveform: np.ndarray, rate: int, rng: np.random.Generator, *, snr_db: float) -> np.ndarray:
    """White noise added, `snr_db` below the clip's RMS."""
    return waveform + _rms(waveform) * 10 ** (-snr_db / 20) * rng.standard_normal(waveform.size)


def low_passed(waveform: np.ndarray, rate: int, rng: np.random.Generator, *, hz: float) -> np.ndarray:
    """Butterworth, 16th order in effect, without delay."""
    if hz >= rate / 2:
        raise ValueError(f"a clip at {rate} Hz holds nothing above {hz:g} Hz to take away")
    sections = butter(8, hz, fs=rate, output="sos")
    return sosfiltfilt(sections, waveform, padlen=min(waveform.size - 1, 3 * (2 * len(sections) + 1)))


def reversed_in_time(waveform: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    return waveform[::-1]


def shifted(waveform: np.ndarray, rate: int, rng: np.random.Generator, *, db: float) -> np.ndarray:
    """Louder or softer, not clipped: +12 dB of a hot clip lies beyond full scale, where some encoders cut."""
    return waveform * 10 ** (db / 20)


def shuffled(waveform: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Pieces of half a second in another order, each faded in and out so that their seams do not click."""
    size, fade = round(PIECE_S * rate), round(FADE_S * rate)
    pieces = [waveform[start : start + size].copy() for start in range(0, waveform.size, size)]
    if len(pieces) < 2:
        raise ValueError(f"a clip of {waveform.size / rate:.2f} s has no two pieces of {PIECE_S:g} s to exchange")
    for piece in pieces:
        ramp = np.linspace(0, 1, min(fade, piece.size), dtype=np.float32)
        piece[: ramp.size] *= ramp
        piece[-ramp.size :] *= ramp[::-1]
    order = rng.permutation(len(pieces))
    if (order == np.arange(len(pieces))).all():
        order = order[::-1]
    return np.concatenate([pieces[place] for place in order])


def _rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


# ---- the probes, with what TuneJury found ----------------------------------------------------------------

PUBLISHED_SOURCE = "docstring of eval/sanity.py, TuneJury, commit ec1f438 (appendix B of arXiv 2606.17006)"
MUSIC, CLEAN = -0.18, -0.10  # mean rewards of its originals: 20 clips beside silence and noise, 8 beside the copies

NOISE = {-60: -3.90, -40: -4.03, -20: -3.97, 0: -4.59}
CLIPPED = {0.5: -0.31, 0.1: -1.48, 0.05: -1.90, 0.02: -2.43}
SNR = {40: -0.36, 20: -0.72, 10: -1.25, 5: -1.79, 0: -2.62}

PROBES = (
    Probe("silence", LOWER, "there is nothing to hear", silence, (MUSIC, -1.05)),
    *(
        Probe(f"white noise {dbfs} dBFS", LOWER, "noise is not music", partial(white_noise, dbfs=dbfs), (MUSIC, reward))
        for dbfs, reward in NOISE.items()
    ),
    Probe("pink noise -20 dBFS", LOWER, "noise is not music", partial(pink_noise, dbfs=-20)),
    *(Probe(f"sine {hz} Hz", LOWER, "one tone is not music", partial(sine, hz=hz)) for hz in (110, 440, 1760)),
    *(
        Probe(f"clipped at {ratio:g} of peak", LOWER, "it is distorted", partial(clipped, ratio=ratio), (CLEAN, reward))
        for ratio, reward in CLIPPED.items()
    ),
    *(
        Probe(f"noise at {snr} dB SNR", LOWER, "it is noisy", partial(with_noise, snr_db=snr), (CLEAN, reward))
        for snr, reward in SNR.items()
    ),
    *(Probe(f"low-passed at {hz} Hz", LOWER, "it is dull", partial(low_passed, hz=hz)) for hz in (4000, 1000)),
    Probe("reversed", LOWER, "attacks and phrases run backwards", reversed_in_time, (CLEAN, -0.74)),
    Probe("shuffled in time", LOWER, "rhythm and form are gone", shuffled),
    *(Probe(f"level {db:+d} dB", EQUAL, "the music is the same", partial(shifted, db=db)) for db in (-12, -6, 6, 12)),
)
