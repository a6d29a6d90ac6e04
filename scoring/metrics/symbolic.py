"""Measures of notes: key, pitch classes, groove, repetition. NumPy only; of a `Piece`, whoever wrote it."""

import zlib
from dataclasses import dataclass

import numpy as np

# How well each pitch class fits a key on C, by listeners' ratings (Krumhansl & Kessler 1982, table 1).
MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
STEPS_PER_BAR = 16


@dataclass(frozen=True)
class Piece:
    """Pitched notes: onset and length in beats, MIDI pitch; float [N] each, N >= 1."""

    onset: np.ndarray
    length: np.ndarray
    pitch: np.ndarray

    def __post_init__(self) -> None:
        for name in ("onset", "length", "pitch"):
            values = np.asarray(getattr(self, name), dtype=float)
            if values.ndim != 1 or not values.size or not np.isfinite(values).all():
                raise ValueError(f"{name}: give one finite number per note, and at least one note")
            object.__setattr__(self, name, values)
        if not self.onset.size == self.length.size == self.pitch.size:
            raise ValueError("onset, length and pitch differ in the number of notes")
        if (self.length <= 0).any():
            raise ValueError("length: every note must last longer than 0 beats")


@dataclass(frozen=True)
class KeyFound:
    """tonic: 0 is C; mode: "major" or "minor"; correlation: of the piece with that key's profile; share: of the
    sounding time that lies in the key's (natural) scale."""

    tonic: int
    mode: str
    correlation: float
    share: float


def pitch_class_durations(piece: Piece) -> np.ndarray:
    """float [12]: the share of the sounding time of each pitch class, from C."""
    time = np.bincount(piece.pitch.round().astype(int) % 12, weights=piece.length, minlength=12)
    return time / time.sum()


def find_key(piece: Piece) -> KeyFound:
    """The key whose profile correlates best with the pitch classes (Krumhansl & Schmuckler; Krumhansl 1990, chapter 4).
    Where all twelve sound alike, C major with correlation 0."""
    durations = pitch_class_durations(piece)
    best = KeyFound(0, "major", 0.0, float(durations[list(SCALES["major"])].sum()))
    if np.ptp(durations) < 1e-12:
        return best
    for mode, profile in (("major", MAJOR), ("minor", MINOR)):
        for tonic in range(12):
            correlation = float(np.corrcoef(np.roll(profile, tonic), durations)[0, 1])
            if correlation > best.correlation:
                share = durations[[(tonic + step) % 12 for step in SCALES[mode]]].sum()
                best = KeyFound(tonic, mode, correlation, float(share))
    return best


def pitch_class_entropy(piece: Piece) -> float:
    """In bits, 0 (one pitch class) to log2 12 = 3.58 (all alike), of note counts (Wu & Yang 2020, arXiv 2008.01307,
    section 4.1)."""
    counts = np.bincount(piece.pitch.round().astype(int) % 12, minlength=12)
    share = counts[counts > 0] / counts.sum()
    return float(-np.sum(share * np.log2(share)))


def groove_similarity(piece: Piece, beats_per_bar: float = 4.0) -> float | None:
    """1 - the mean share of grid places, of STEPS_PER_BAR per bar, on which two bars differ in having an onset, over
    all pairs of bars (Wu & Yang 2020, section 4.2, eq. 2). None with fewer than two bars."""
    if not beats_per_bar > 0:
        raise ValueError(f"beats_per_bar {beats_per_bar}: give a number above 0")
    place = np.round(piece.onset / beats_per_bar * STEPS_PER_BAR).astype(int)
    place = place[place >= 0]
    if not place.size or place.max() < STEPS_PER_BAR:
        return None
    grid = np.zeros((place.max() // STEPS_PER_BAR + 1, STEPS_PER_BAR), dtype=bool)
    grid[place // STEPS_PER_BAR, place % STEPS_PER_BAR] = True
    n, struck = len(grid), grid.sum(axis=0)
    differing = np.sum(struck * (n - struck)) / (n * (n - 1) / 2)  # pairs of bars that differ, over all places
    return float(1 - differing / STEPS_PER_BAR)


def compression_ratio(piece: Piece) -> float:
    """Bytes of the notes over bytes after zlib: high where a piece repeats itself. Notes in order of time, as onset
    within the bar of four beats, length and interval to the note before, in sixteenths and semitones."""
    order = np.lexsort((piece.pitch, piece.onset))
    onset, length = (np.round(4 * values[order]).astype(int) for values in (piece.onset, piece.length))
    interval = np.diff(piece.pitch[order].round().astype(int), prepend=round(piece.pitch[order][0]))
    table = np.stack([onset % STEPS_PER_BAR, np.minimum(length, 255), interval % 256], axis=1)
    written = table.astype(np.uint8).tobytes()
    return len(written) / len(zlib.compress(written, level=9))
