"""Composer: the words of a prompt become a brief, the brief becomes a score of notes and drum hits.

Harmony and melody live in scale steps (an integer; 7 to the octave), where a third is always two and a
neighbour always one; they become MIDI pitches only when a note is written down.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scoring.demo.styles import (
    INSTRUMENTS,
    MAJOR_WORDS,
    MINOR_WORDS,
    PLAIN,
    PLAIN_BPM,
    SCALES,
    STYLES,
    TEMPO_WORDS,
    Style,
)

NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SHORTEST_ENDING = 1.0  # seconds left for the last chord to ring
STEPS_PER_BEAT = 4


class Note(NamedTuple):
    """A pitched note: start and length in beats, MIDI pitch, velocity in (0, 1]."""

    beat: float
    beats: float
    pitch: float
    velocity: float


class Hit(NamedTuple):
    """A drum stroke: start in beats, which drum, velocity in (0, 1]."""

    beat: float
    drum: str
    velocity: float


@dataclass(frozen=True)
class Brief:
    """What a prompt asks for. `named` are the roles whose instrument the prompt names."""

    bpm: float
    mode: str  # "major" or "minor"
    tonic: int | None  # pitch class, where the prompt names one
    style: Style
    voices: dict[str, str]
    named: frozenset[str]


@dataclass(frozen=True)
class Key:
    """Scale steps to MIDI. Step 0 is the tonic of MIDI octave 0, so step 35 lies near middle C."""

    tonic: int
    scale: tuple[int, ...]

    def midi(self, step: int, raised_leading_tone: bool = False) -> int:
        octave, degree = divmod(step, 7)
        lift = 1 if raised_leading_tone and degree == 6 and self.scale[6] == 10 else 0
        return 12 * octave + self.tonic + self.scale[degree] + lift


@dataclass(frozen=True)
class Chord:
    """Stacked thirds on a scale degree (0 to 6). A minor key's dominant takes the raised leading tone."""

    degree: int
    size: int
    raised: bool = False

    @property
    def degrees(self) -> tuple[int, ...]:
        return tuple((self.degree + 2 * third) % 7 for third in range(self.size))

    def nearest_step(self, step: int) -> int:
        """The chord's scale step closest to `step`, the lower of two equally close."""
        return min((s for s in range(step - 3, step + 4) if s % 7 in self.degrees), key=lambda s: abs(s - step))


@dataclass(frozen=True)
class Score:
    """A whole piece: `parts` maps role to notes; the last chord falls on `ending`, rings to `beats`."""

    brief: Brief
    key: Key
    chords: tuple[Chord, ...]
    parts: dict[str, tuple[Note, ...]]
    hits: tuple[Hit, ...]
    ending: float
    beats: float


def read_brief(text: str) -> Brief:
    """What a prompt's words mean in the vocabulary of `styles`; other words add nothing."""
    words = text.lower()
    style = next((s for s in STYLES if any(word in words for word in s.words)), PLAIN)
    named = _named_voices(words)
    return Brief(_tempo(words), _mode(words, style), _tonic(text), style, style.voices | named, frozenset(named))


def _named_voices(words: str) -> dict[str, str]:
    """{role: voice} for the instruments named: each gets one role if it can, then they share the rest."""
    instruments = []
    for phrase, roles, voice in INSTRUMENTS:
        if phrase in words:
            words = words.replace(phrase, " ")  # "electric piano" must not also count as "piano"
            instruments.append((roles, voice))
    voices: dict[str, str] = {}
    for roles, voice in sorted(instruments, key=lambda instrument: len(instrument[0])):
        free = [role for role in roles if role not in voices]
        voices |= dict.fromkeys(free[:1], voice)
    for roles, voice in instruments:
        voices |= {role: voice for role in roles if role not in voices}
    return voices


def _tempo(words: str) -> float:
    if stated := re.search(r"(\d{2,3})\s*bpm", words):
        return float(np.clip(int(stated[1]), 40, 220))
    return float(next((bpm for word, bpm in TEMPO_WORDS if word in words), PLAIN_BPM))


def _mode(words: str, style: Style) -> str:
    """A stated key decides, then mood words, then the genre. "bright drums" is about drums, not about mood."""
    if stated := re.search(r"\b(major|minor)\b", words):
        return stated[1]
    moods = re.findall(r"[a-z]+", words.replace("bright drums", ""))
    if any(word in moods for word in MINOR_WORDS):
        return "minor"
    return "major" if any(word in moods for word in MAJOR_WORDS) else style.default_mode


def _tonic(text: str) -> int | None:
    stated = re.search(r"\b([A-G])([#b♯♭]|-sharp|-flat)? (?:major|minor)\b", text)
    if not stated:
        return None
    accidental = {"#": 1, "♯": 1, "-sharp": 1, "b": -1, "♭": -1, "-flat": -1}.get(stated[2], 0)
    return (NATURALS[stated[1]] + accidental) % 12


def compose(brief: Brief, seconds: float, rng: np.random.Generator) -> Score:
    """Write a piece of `seconds` at the brief's exact tempo: whole bars, then a tonic that rings.

    Raises ValueError where not even one bar fits.
    """
    style = brief.style
    beats = seconds * brief.bpm / 60
    bars = int((seconds - SHORTEST_ENDING) * brief.bpm / 60 / style.beats)
    if bars < 1:
        needed = SHORTEST_ENDING + style.beats * 60 / brief.bpm
        raise ValueError(f"{seconds} s hold no bar at {brief.bpm:g} bpm: ask for at least {needed:.1f} s")
    key = key_of(brief, brief.tonic if brief.tonic is not None else int(rng.integers(12)))
    chords = _harmony(brief, bars, rng)
    page = _Page(style, key, chords, bars, beats)
    return accompany(brief, key, chords, beats, tuple(page.melody(rng)) if "lead" in brief.voices else ())


def key_of(brief: Brief, tonic: int) -> Key:
    """The key of a pitch class, 0 to 11, in the mode of the brief; its tonic lies between E and D sharp."""
    scale = SCALES[brief.style.scales[brief.mode == "minor"]]
    return Key(tonic if tonic < 8 else tonic - 12, scale)


def accompany(brief: Brief, key: Key, chords: tuple[Chord, ...], beats: float, lead: tuple[Note, ...]) -> Score:
    """The whole score of a melody and its chords: every other part follows from the style's patterns.

    chords: `chords_per_bar` for each bar, and the one on which the piece ends. beats: of the piece with its ending.
    """
    style = brief.style
    bars = (len(chords) - 1) // style.chords_per_bar
    page = _Page(style, key, chords, bars, beats)
    writers: dict[str, Callable[[], Sequence[Note]]] = {
        "chords": lambda: page.comp(style.chords, low=50, high=69, power="distorted" in brief.voices["chords"]),
        "pad": page.pad,
        "bass": page.bass,
        "arpeggio": lambda: page.comp(style.arpeggio or "a.b.c.d.c.b.c.d."[: 4 * style.beats], low=57, high=76),
        "lead": lambda: lead,
    }
    parts = {role: tuple(writers[role]()) for role in brief.voices if role != "drums"}
    hits = tuple(page.drums()) if "drums" in brief.voices else ()
    return Score(brief, key, chords, parts, hits, float(bars * style.beats), beats)


def sung(style: Style, at: int, steps: int, pitch: float) -> Note:
    """A note of the melody, with the swell of a phrase of four bars. at, steps: its start and length in sixteenths."""
    beat, phrase = at / STEPS_PER_BEAT, 4 * style.beats
    arc = 0.08 * np.sin(np.pi * (beat % phrase) / phrase)
    return Note(beat, 0.95 * steps / STEPS_PER_BEAT, pitch, _accent(beat) - 0.08 + arc)


def _harmony(brief: Brief, bars: int, rng: np.random.Generator) -> tuple[Chord, ...]:
    """A progression repeated over the bars, turned to a cadence before the final tonic."""
    style, minor = brief.style, brief.mode == "minor"
    loops = style.minor if minor else style.major
    loop = loops[rng.integers(len(loops))]
    slots = bars * style.chords_per_bar
    degrees = [int(loop[slot % len(loop)]) for slot in range(slots)]
    degrees[-1] = style.cadence[minor]
    size = 4 if style.sevenths else 3
    body = [Chord(d - 1, size, raised=minor and d == 5) for d in degrees]
    return (*body, Chord(0, size))


def _hold(pattern: str, at: int) -> int:
    """Sixteenths from `at` to the next symbol of the pattern, or to its end."""
    following = (i for i in range(at + 1, len(pattern)) if pattern[i] != ".")
    return next(following, len(pattern)) - at


class _Page:
    """The bars of one piece; each method writes one part."""

    def __init__(self, style: Style, key: Key, chords: tuple[Chord, ...], bars: int, beats: float) -> None:
        self.style, self.key, self.chords, self.bars = style, key, chords, bars
        self.ending, self.ring = bars * style.beats, beats - bars * style.beats

    def comp(self, pattern: str, low: int, high: int, power: bool = False) -> list[Note]:
        """Chords by pattern, voiced with the least movement, or root-fifth-octave for a distorted guitar."""
        voicings = self._power_chords() if power else self._voicings(low, high)
        notes = []
        for start, symbol, held, slot in self._events(pattern):
            notes += _strike(symbol, voicings[slot], start, held * self.style.chord_gate / STEPS_PER_BEAT)
        touch = 0.85 if "X" in pattern else 0.5  # a broken chord does not end in a blow
        return notes + [Note(self.ending, self.ring, pitch, touch) for pitch in voicings[-1]]

    def pad(self) -> list[Note]:
        """One held chord per change; tones that stay are struck again softly, as a section changes bow."""
        length = self.style.beats / self.style.chords_per_bar
        voicings = self._voicings(low=53, high=72)
        notes = [Note(i * length, length, p, 0.7) for i, v in enumerate(voicings[:-1]) for p in v]
        return notes + [Note(self.ending, self.ring, pitch, 0.75) for pitch in voicings[-1]]

    def bass(self) -> list[Note]:
        pattern = self.style.bass or "r" + "." * (4 * self.style.beats - 1)
        notes = [
            Note(
                start,
                held * self.style.bass_gate / STEPS_PER_BEAT,
                self._bass_pitch(symbol, slot),
                _accent(start),
            )
            for start, symbol, held, slot in self._events(pattern)
        ]
        return [*notes, Note(self.ending, self.ring, self._bass_pitch("r", len(self.chords) - 1), 0.9)]

    def drums(self) -> list[Hit]:
        hits = [Hit(0.0, "crash", 0.5), Hit(self.ending, "crash", 0.7), Hit(self.ending, "kick", 0.9)]
        for bar in range(self.bars):
            patterns = self.style.fill if bar == self.bars - 1 and self.style.fill else self.style.drums
            patterns = patterns or {"kick": "9...", "hat": "6.4." * self.style.beats}
            for drum, pattern in patterns.items():
                hits += [
                    Hit(bar * self.style.beats + i / STEPS_PER_BEAT, drum, int(digit) / 9)
                    for i, digit in enumerate(pattern)
                    if digit != "."
                ]
        return hits

    def melody(self, rng: np.random.Generator) -> list[Note]:
        """Two motifs in the order A A B A, each fitted to the chords; the last bar falls to the tonic."""
        motifs = [_motif(self.style.melody, rng) for _ in "AB"]
        order = ["AABA"[bar % 4] for bar in range(self.bars)]
        home = 35 if self.key.tonic >= 0 else 42  # the tonic between middle C and the B above it
        step, notes = home + 2 + int(rng.integers(4)), []
        for bar, letter in enumerate(order):
            cadence = bar == self.bars - 1
            rhythm, moves = motifs[letter == "B"]
            for i, note in enumerate(re.finditer("x-*", rhythm)):
                start, length = note.start(), len(note[0])
                chord = self.chords[self._slot(bar, start)]
                target = step + moves[i] + (-1 if cadence and step > home + 1 else 0)
                target = _within(target, home - 2, home + 7)
                step = chord.nearest_step(target) if start % STEPS_PER_BEAT == 0 else target
                at = bar * self.style.beats * STEPS_PER_BEAT + start
                notes.append(sung(self.style, at, length, self.key.midi(step, chord.raised)))
        tonic = home if step < home + 4 else home + 7
        return [*notes, Note(self.ending, self.ring, self.key.midi(tonic), 0.8)]

    def _events(self, pattern: str) -> Iterator[tuple[float, str, int, int]]:
        """(beat, symbol, sixteenths held, chord slot) for every symbol of the pattern in every bar."""
        for bar in range(self.bars):
            for i, symbol in enumerate(pattern):
                if symbol != ".":
                    beat = bar * self.style.beats + i / STEPS_PER_BEAT
                    yield beat, symbol, _hold(pattern, i), self._slot(bar, i)

    def _slot(self, bar: int, sixteenth: int) -> int:
        per_bar = self.style.chords_per_bar
        return bar * per_bar + sixteenth * per_bar // (self.style.beats * STEPS_PER_BEAT)

    def _voicings(self, low: int, high: int) -> list[tuple[int, ...]]:
        """Close-position chords in [low, high + 4], each the inversion nearest to the one before."""
        chosen: list[tuple[int, ...]] = []
        for chord in self.chords:
            options = list(self._inversions(chord, low, high))
            goal = chosen[-1] if chosen else options[len(options) // 2]
            chosen.append(min(options, key=lambda option: _movement(goal, option)))
        return chosen

    def _inversions(self, chord: Chord, low: int, high: int) -> Iterator[tuple[int, ...]]:
        for bottom in range(7 * (low // 12 - 1), 7 * (high // 12 + 2)):
            if bottom % 7 in chord.degrees:
                steps = [s for s in range(bottom, bottom + 7) if s % 7 in chord.degrees]
                pitches = tuple(self.key.midi(s, chord.raised) for s in steps)
                if low <= pitches[0] and pitches[-1] <= high + 4:
                    yield pitches

    def _power_chords(self) -> list[tuple[int, ...]]:
        roots = [self._bass_pitch("r", slot) for slot in range(len(self.chords))]
        roots = [root if root >= 40 else root + 12 for root in roots]  # the guitar's lowest string
        return [(root, root + 7, root + 12) for root in roots]

    def _bass_pitch(self, symbol: str, slot: int) -> int:
        chord = self.chords[slot]
        step = 14 + chord.degree
        if symbol == "a":
            step = 14 + self.chords[min(slot + 1, len(self.chords) - 1)].degree - 1
        step += {"r": 0, "t": 2, "f": 4, "o": 7, "a": 0}[symbol]
        pitch = self.key.midi(step, chord.raised)
        return pitch + 12 if pitch < 31 else pitch - 12 if pitch > 50 else pitch


def _movement(before: tuple[int, ...], after: tuple[int, ...]) -> int:
    """Semitones that the voices move, plus a penalty for a second at the bottom, which sounds muddy."""
    travel = sum(abs(a - b) for a, b in zip(before, after, strict=True))
    return travel + 6 * (after[1] - after[0] < 3)


def _strike(symbol: str, voicing: tuple[int, ...], beat: float, beats: float) -> list[Note]:
    if symbol in "Xx":
        return [Note(beat, beats, pitch, 0.9 if symbol == "X" else 0.62) for pitch in voicing]
    octave, index = divmod(ord(symbol) - ord("a"), len(voicing))
    return [Note(beat, beats, voicing[index] + 12 * octave, _accent(beat) - 0.1)]


def _motif(rhythms: tuple[str, ...], rng: np.random.Generator) -> tuple[str, list[int]]:
    """A rhythm and the move in scale steps to each of its notes: mostly steps, sometimes a leap."""
    rhythm = rhythms[rng.integers(len(rhythms))]
    moves = rng.choice([-2, -1, -1, 1, 1, 2, 3], size=rhythm.count("x"))
    return rhythm, [int(move) for move in moves]


def _within(step: int, low: int, high: int) -> int:
    """Turn back at the edges of the register instead of leaving it."""
    return 2 * high - step if step > high else 2 * low - step if step < low else step


def _accent(beat: float) -> float:
    return 0.9 if beat % 2 == 0 else 0.82 if beat % 1 == 0 else 0.7
