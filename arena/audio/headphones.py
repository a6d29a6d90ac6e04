"""The headphone check: a faint tone in one of three noises, audible only where each ear gets its own channel.

Huggins pitch, after Milne, Bianco, Poole, Zhao, Oxenham, Billig and Chait, "An online headphone screening test based on
dichotic pitch", Behavior Research Methods 53, 1551-1562 (2021), doi 10.3758/s13428-020-01514-0, "Stimuli and
procedure" of experiment 1: three noises of 1 s; in one of them the right ear's noise is turned by 180 degrees
within 6 % of 600 Hz. Differences: 24 kHz instead of 44.1 kHz, which makes a trial 384 kB and changes
nothing at 600 Hz; pauses of half a second; ramps; noises of equal energy.

Why loudspeakers fail. Each ear alone gets white Gaussian noise in all three intervals: inverting the
phase of a band does not change its magnitudes. The brain derives the pitch from the difference between the ears, and
over loudspeakers each ear hears both channels, so that there is hardly any. What is left is their sum, in which the
band cancels to a degree that depends on the room and the position: a dip in white noise, 72 Hz wide where the ear's own
filter is 89 Hz wide (Glasberg and Moore 1990, equation 3), and no tone. That is a weak cue, not none: the paper
reports that 80 % of headphone users pass and so do 20 % of those with loudspeakers (abstract). So a pass is evidence
and no proof, and so is a fail.
"""

from __future__ import annotations

import numpy as np

from arena.audio import wav

N_TRIALS = 6
PASS_AT = 6  # all of them, as in the paper; a guesser passes with a chance of 1 in 729
INTERVALS = (1, 2, 3)

RATE = 24_000
INTERVAL_MS, PAUSE_MS, RAMP_MS = 1000, 500, 20
CENTRE_HZ, HALF_WIDTH = 600.0, 0.06
LEVEL_DBFS = -23.0


def trial_wav(target: int, seed: int) -> bytes:
    """A stereo 16-bit WAV of 4 s at 24 kHz: three noises, of which number `target` (1, 2, 3) has the tone.

    The same arguments give the same bytes. The seed or the samples reveal the answer: keep `target` and `seed` on the
    server. Raises ValueError for another target.
    """
    if target not in INTERVALS:
        raise ValueError(f"The tone is in interval 1, 2 or 3, not {target!r}.")
    rng = np.random.default_rng(seed)
    pause = np.zeros((PAUSE_MS * RATE // 1000, 2))
    noises = [_interval(rng, dichotic=number == target) for number in INTERVALS]
    return wav.to_bytes(np.concatenate([noises[0], pause, noises[1], pause, noises[2]]), RATE)


def _interval(rng: np.random.Generator, *, dichotic: bool) -> np.ndarray:
    """float64 [24000, 2]: the same noise in both ears or, if dichotic, with a turned band in the right one."""
    left = rng.standard_normal(INTERVAL_MS * RATE // 1000)
    ears = np.stack([left, _with_turned_band(left) if dichotic else left], axis=1) * _ramps(len(left))
    return ears * 10 ** (LEVEL_DBFS / 20) / np.sqrt((ears**2).mean(axis=0))  # equal loudness, so that it gives no hint


def _with_turned_band(noise: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(noise)
    frequency = np.fft.rfftfreq(len(noise), 1 / RATE)
    spectrum[np.abs(frequency - CENTRE_HZ) <= HALF_WIDTH * CENTRE_HZ] *= -1
    return np.fft.irfft(spectrum, len(noise))


def _ramps(n: int) -> np.ndarray:
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(RAMP_MS * RATE // 1000) + 0.5) / (RAMP_MS * RATE // 1000))
    return np.concatenate([ramp, np.ones(n - 2 * len(ramp)), ramp[::-1]])[:, None]
