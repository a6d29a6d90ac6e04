"""Instruments: one pitched tone as an array, most of them a sum of exponentially decaying partials.

A struck or plucked string, a bell and a bank of detuned saws behind a closing filter are all
`sum_k a_k exp(-d_k t) sin(2 pi f_k t + phi_k)`; they differ in the table (f, d, a). `ring` sums such a table
exactly, at any pitch, without aliasing and without a loop over samples. A Karplus-Strong string enters in
closed form: per period its two-point average multiplies harmonic k by cos(pi k / N), a decay of
-f0 ln cos(pi k / N) per second (Karplus & Strong 1983; Jaffe & Smith 1983; both Computer Music Journal 7(2)).

Every instrument is called with a pitch in Hz, a length in samples, the sample rate and a generator, and
returns mono [n] or stereo [2, n] at any level.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import butter, sosfilt

BLOCK = 256  # samples per row in `ring`
STRING_RATE = 44_100  # of the simulated Karplus-Strong loop, so that the tone does not depend on the output's rate


def ring(freq: ArrayLike, decay: ArrayLike, amp: ArrayLike, n: int, rate: int, phase: ArrayLike = 0.0) -> np.ndarray:
    """Sum of decaying sinusoids, float32 [n], [C, n] for amp [C, K]; freq, decay, phase [K] in Hz, 1/s, rad.

    z^(bB + i) = z^(bB) z^i, so the sum over partials is one matrix product of [blocks, 2K] by [2K, B].
    Partials at or above 0.45 of the sample rate are left out.
    """
    freq, decay, amp = (
        np.asarray(freq, float),
        np.asarray(decay, float),
        np.atleast_2d(np.asarray(amp, float)),
    )
    heard = freq < 0.45 * rate
    log_z = (-decay + 2j * np.pi * freq)[heard] / rate
    rows = -(-n // BLOCK)
    start = np.exp(np.outer(np.arange(rows) * BLOCK, log_z) + 1j * np.broadcast_to(phase, freq.shape)[heard])
    within = np.exp(np.outer(log_z, np.arange(BLOCK)))
    right = np.concatenate([within.imag, within.real]).astype(np.float32)
    out = np.empty((len(amp), rows * BLOCK), np.float32)
    for channel, gains in enumerate(amp[:, heard]):
        left = np.concatenate([start.real * gains, start.imag * gains], axis=1).astype(np.float32)
        out[channel] = (left @ right).ravel()
    return out[0, :n] if len(out) == 1 else out[:, :n]


def attack(n: int, seconds: float, rate: int) -> np.ndarray:
    """A raised-cosine rise to 1 over `seconds`."""
    rise = min(n, max(1, int(seconds * rate)))
    envelope = np.ones(n, np.float32)
    envelope[:rise] = 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)
    return envelope


def noise(n: int, rate: int, band: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """White noise between two frequencies in Hz, float32 [n]."""
    edges = np.clip(np.asarray(band) / (rate / 2), 1e-4, 0.98)
    return sosfilt(butter(2, edges, "band", output="sos"), rng.standard_normal(n)).astype(np.float32)


def piano(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Stiff strings in pairs a cent apart, which beat slowly, and the thump of the hammer."""
    k = np.arange(1, 25)
    stretched = k * f0 * np.sqrt(1 + 4e-4 * k**2)
    amp = np.abs(np.sin(np.pi * k / 7.5)) / k * np.exp(-stretched / 5000)
    decay = 0.55 * (f0 / 220) ** 0.6 * (1 + 0.35 * (k - 1))
    pair = np.concatenate([stretched, stretched * 1.0006])
    left, right = np.concatenate([amp, 0.5 * amp]), np.concatenate([0.5 * amp, amp])
    tone = ring(pair, np.tile(decay, 2), [left, right], n, rate) * attack(n, 0.003, rate)
    thump = noise(min(n, rate // 25), rate, (120, 900), rng) * np.exp(-np.arange(min(n, rate // 25)) / (0.008 * rate))
    tone[:, : len(thump)] += 0.12 * np.abs(tone).max() * thump
    return tone


def _string(
    f0: float, n: int, rate: int, *, place: float, bright: float, damp: float, slack: float = 1.0
) -> np.ndarray:
    """A Karplus-Strong string plucked at `place` of its length; `damp` adds an even loss, in 1/s."""
    k = np.arange(1, 60)
    period = STRING_RATE / f0
    k = k[k < 0.45 * period]
    decay = damp - slack * f0 * np.log(np.cos(np.pi * k / period))
    amp = np.sin(np.pi * k * place) / k * np.exp(-k * f0 / bright)
    return ring(k * f0, decay, amp, n, rate) * attack(n, 0.0015, rate)


def plucked_guitar(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    return _string(f0, n, rate, place=0.22, bright=6500, damp=1.0)


def nylon_guitar(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    return _string(f0, n, rate, place=0.35, bright=2600, damp=1.6)


def muted_guitar(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    return _string(f0, n, rate, place=0.12, bright=6000, damp=6.0)


def steel_guitar(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    return _string(f0, n, rate, place=0.15, bright=2600, damp=0.4, slack=0.5)


def picked_bass(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    return _string(f0, n, rate, place=0.18, bright=1100, damp=1.5, slack=2.0)


def slap_bass(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """A bright bass string and its snap against the frets."""
    tone = _string(f0, n, rate, place=0.1, bright=2800, damp=2.0, slack=3.0)
    snap = min(n, rate // 50)
    tone[:snap] += 0.25 * np.abs(tone).max() * noise(snap, rate, (1500, 5000), rng) * np.linspace(1, 0, snap) ** 2
    return tone


def round_bass(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    k = np.arange(1, 7)
    return ring(k * f0, 0.7 + 1.5 * (k - 1), [1, 0.45, 0.16, 0.08, 0.04, 0.02], n, rate) * attack(n, 0.008, rate)


def _saws(f0: float, cents, n: int, rate: int, *, cutoff, decay, closing, rng: np.random.Generator) -> np.ndarray:
    """Detuned saws, alternating left and right, behind a low-pass that closes at `closing` 1/s."""
    k = np.arange(1, max(2, int(min(3.5 * cutoff, 0.45 * rate) / f0)) + 1)[:40]
    amp = 1 / k / (1 + (k * f0 / cutoff) ** 2)
    detune = 2 ** (np.asarray(cents) / 1200)
    freq = np.outer(detune, k * f0).ravel()
    side = (np.arange(len(cents)) % 2)[:, None]
    left, right = ((0.35 + 0.65 * (side == s)) * amp for s in (0, 1))
    decays = np.tile(decay + closing * (k - 1), len(cents))
    phase = np.repeat(rng.uniform(0, 2 * np.pi, len(cents)), len(k)) * np.tile(k, len(cents))
    return ring(freq, decays, [left.ravel(), right.ravel()], n, rate, phase)


def pads(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    tone = _saws(f0, (-9, 8, -4, 5), n, rate, cutoff=1700, decay=0.0, closing=0.0, rng=rng)
    return tone * attack(n, 0.35, rate)


def strings(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    tone = _saws(f0, (-6, 5, 0), n, rate, cutoff=2600, decay=0.0, closing=0.0, rng=rng)
    swell = 1 + 0.1 * np.sin(2 * np.pi * 5.1 * np.arange(n, dtype=np.float32) / rate)
    return tone * attack(n, 0.22, rate) * swell


def saw_lead(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    tone = _saws(f0, (-11, 10, -5, 6, 0), n, rate, cutoff=4500, decay=0.5, closing=0.05, rng=rng)
    return tone * attack(n, 0.008, rate)


def brass(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    tone = _saws(f0, (-5, 4, 0), n, rate, cutoff=3000, decay=0.8, closing=0.15, rng=rng)
    return tone * attack(n, 0.025, rate)


def rolling_bass(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Saws in phase and in the middle: low notes that beat or wander sideways blur the kick."""
    k = np.arange(1, 25)
    amp = 1 / k / (1 + (k * f0 / 700) ** 2)
    return ring(k * f0, 3.0 + 1.2 * (k - 1), amp, n, rate) * attack(n, 0.004, rate)


def plucked_arpeggio(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    tone = _saws(f0, (-7, 7), n, rate, cutoff=4000, decay=4.0, closing=1.4, rng=rng)
    return tone * attack(n, 0.003, rate)


def bells(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    ratios = np.array([0.5, 1.0, 1.19, 2.0, 2.74, 3.0, 4.07, 5.43])
    amp = np.array([0.25, 1.0, 0.12, 0.45, 0.22, 0.12, 0.1, 0.05])
    return ring(ratios * f0, 0.7 + 0.75 * ratios, amp, n, rate) * attack(n, 0.002, rate)


def electric_piano(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """FM (Chowning 1973, JAES 21(7)): a 1:1 body whose index falls, and a short 1:14 tine."""
    t = np.arange(n) / rate
    turn = 2 * np.pi * ((f0 * t) % 1.0)
    body = np.sin(turn + 1.3 * np.exp(-3.0 * t) * np.sin(turn))
    tine = np.sin(turn + 0.6 * np.exp(-9.0 * t) * np.sin(14 * turn)) if 15 * f0 < 0.4 * rate else np.sin(turn)
    fade = np.exp(-(0.8 + f0 / 700) * t)
    tone = ((0.65 * body + 0.35 * tine) * fade * attack(n, 0.003, rate)).astype(np.float32)
    sway = 0.22 * np.sin(2 * np.pi * 4.6 * t).astype(np.float32)
    return np.stack([tone * (1 + sway), tone * (1 - sway)])


def flute(f0: float, n: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Three harmonics whose vibrato grows after the attack, and breath."""
    t = np.arange(n) / rate
    vibrato = 0.004 * f0 * attack(n, 0.6, rate) * np.sin(2 * np.pi * 5.0 * t)
    turn = 2 * np.pi * ((f0 * t + np.cumsum(vibrato) / rate) % 1.0)
    tone = np.sin(turn) + 0.32 * np.sin(2 * turn) + 0.09 * np.sin(3 * turn)
    breath = noise(n, rate, (0.9 * f0, min(4 * f0, 0.4 * rate)), rng)
    return ((tone + 0.14 * breath) * attack(n, 0.05, rate)).astype(np.float32)


@dataclass(frozen=True)
class Voice:
    """A playable instrument: its tone, its level in the mix, and the effects on its part."""

    tone: Callable[[float, int, int, np.random.Generator], np.ndarray]
    gain_db: float = 0.0
    release: float = 0.08  # seconds
    drive: float = 0.0  # gain into a tanh, an amplifier pushed too far; 0 for none
    reverb: float = 1.0  # its share of the room
    pumped: bool = False  # gives way to the kick, where the style pumps


VOICES = {
    "piano": Voice(piano, 0.0, 0.18),
    "electric piano": Voice(electric_piano, -4.0, 0.15),
    "plucked guitar": Voice(plucked_guitar, 0.0, 0.12),
    "nylon guitar": Voice(nylon_guitar, -2.5, 0.1),
    "muted guitar": Voice(muted_guitar, -3.0, 0.03, reverb=0.5),
    "distorted guitar": Voice(steel_guitar, -8.0, 0.05, drive=9.0, reverb=0.5),
    "lead guitar": Voice(steel_guitar, -7.0, 0.07, drive=5.0),
    "slap bass": Voice(slap_bass, -2.0, 0.04, reverb=0.1),
    "picked bass": Voice(picked_bass, 2.0, 0.05, reverb=0.1),
    "round bass": Voice(round_bass, -4.0, 0.07, reverb=0.1),
    "rolling bass": Voice(rolling_bass, -1.5, 0.03, reverb=0.0),
    "pads": Voice(pads, -6.0, 0.5, reverb=1.3, pumped=True),
    "strings": Voice(strings, -8.0, 0.35, reverb=1.3, pumped=True),
    "saw lead": Voice(saw_lead, -1.0, 0.12, reverb=1.2, pumped=True),
    "brass": Voice(brass, 1.0, 0.06),
    "plucked arpeggio": Voice(plucked_arpeggio, 0.0, 0.1, reverb=1.3),
    "bells": Voice(bells, -4.0, 0.6, reverb=1.5),
    "flute": Voice(flute, -2.0, 0.1, reverb=1.2),
}
