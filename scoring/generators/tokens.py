"""Tunes as tokens: the vocabulary, tunes to tokens and back.

    BEGIN word* PLAY style mode tempo voice+ (BAR_n degree+ (pitch|REST length)+)+ END pitch STOP

The words are those of a caption that the vocabulary knows. Bars count down to 1, so that a network sees how far the end
is. Melodies are in no key: pitches are semitones above the tonic.
"""

import re
from collections.abc import Sequence

import numpy as np

from scoring.demo.styles import INSTRUMENTS, MAJOR_WORDS, MINOR_WORDS, TEMPO_WORDS

from .tunes import STYLE_OF, Tune, steps_per_bar

ROLES = ("lead", "chords", "bass", "pad", "arpeggio", "drums")
MODES = ("major", "minor")
TEMPOS = tuple(range(40, 221, 4))  # bpm
PITCHES = tuple(range(-12, 25))  # semitones above the tonic
MAX_BARS, MAX_STEPS, MAX_WORDS = 64, 16, 16


class InvalidTune(ValueError):
    """Tokens that are no tune; the message says where they stop being one."""


def _voices() -> list[tuple[str, str]]:
    """(role, voice), wherever a style or a prompt can put one."""
    pairs = {(role, voice) for style in STYLE_OF.values() for role, voice in style.voices.items()}
    pairs |= {(role, voice) for _, roles, voice in INSTRUMENTS for role in roles}
    return sorted(pairs, key=lambda pair: (ROLES.index(pair[0]), pair[1]))


def _words() -> list[str]:
    phrases = [
        *(word for style in STYLE_OF.values() for word in style.words),
        *(phrase for phrase, _, _ in INSTRUMENTS),
    ]
    words = {word for phrase in phrases for word in phrase.split()}
    return sorted(words | {word for word, _ in TEMPO_WORDS} | set(MINOR_WORDS) | set(MAJOR_WORDS))


NAMES: tuple[str, ...] = (
    "PAD", "BEGIN", "PLAY", "END", "STOP", "REST",
    *(f"word {word}" for word in _words()),
    *(f"style {name}" for name in STYLE_OF),
    *(f"mode {mode}" for mode in MODES),
    *(f"tempo {bpm}" for bpm in TEMPOS),
    *(f"voice {role} {voice}" for role, voice in _voices()),
    *(f"BAR {n}" for n in range(1, MAX_BARS + 1)),
    *(f"degree {degree}" for degree in range(7)),
    *(f"pitch {pitch}" for pitch in PITCHES),
    *(f"length {steps}" for steps in range(1, MAX_STEPS + 1)),
)  # fmt: skip
ID = {name: number for number, name in enumerate(NAMES)}
N_TOKENS = len(NAMES)
PAD, BEGIN, PLAY, END, STOP, REST = range(6)


def tempo_token(bpm: float) -> int:
    return ID[f"tempo {TEMPOS[int(np.abs(np.array(TEMPOS) - bpm).argmin())]}"]


def caption_tokens(caption: str) -> list[int]:
    """BEGIN, the words that the vocabulary knows and a stated tempo, at most MAX_WORDS of them, PLAY."""
    known = []
    for word in re.findall(r"\d{2,3}(?=\s*bpm)|[a-z]+(?:-[a-z]+)*", caption.lower()):
        if word.isdecimal():
            known.append(tempo_token(float(word)))
        elif f"word {word}" in ID:
            known.append(ID[f"word {word}"])
    return [BEGIN, *known[:MAX_WORDS], PLAY]


def encode(tune: Tune) -> list[int]:
    """The tokens after PLAY, to STOP. ValueError for a tune of more than MAX_BARS bars, or of other pitches."""
    style = STYLE_OF[tune.style]
    if not 1 <= tune.bars <= MAX_BARS:
        raise ValueError(f"a tune has 1 to {MAX_BARS} bars, not {tune.bars}")
    out = [ID[f"style {tune.style}"], ID[f"mode {tune.mode}"], tempo_token(tune.bpm)]
    out += [ID[f"voice {role} {tune.voices[role]}"] for role in ROLES if role in tune.voices]
    for bar, events in enumerate(tune.lead):
        out.append(ID[f"BAR {tune.bars - bar}"])
        first = bar * style.chords_per_bar
        out += [ID[f"degree {degree}"] for degree in tune.degrees[first : first + style.chords_per_bar]]
        for pitch, steps in events:
            out += [REST if pitch is None else _pitch_token(pitch), ID[f"length {steps}"]]
    return [*out, END, _pitch_token(tune.ending), STOP]


def _pitch_token(pitch: int) -> int:
    if pitch not in PITCHES:
        raise ValueError(f"pitch {pitch}: a melody stays from {PITCHES[0]} to {PITCHES[-1]} semitones above the tonic")
    return ID[f"pitch {pitch}"]


def decode(tokens: Sequence[int]) -> Tune:
    """The tune of tokens from a style to STOP; what follows STOP is ignored. InvalidTune where they are none."""
    return _Reader(tokens).tune()


class _Reader:
    """Reads tokens from left to right, one kind at a time."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self.names, self.at = [NAMES[token] for token in tokens], 0

    def tune(self) -> Tune:
        style_name, mode, bpm = self.take("style"), self.take("mode"), float(self.take("tempo"))
        style, voices = STYLE_OF[style_name], self.voices()
        bars = self.bars_left()
        degrees, lead = list[int](), []
        for left in range(bars, 0, -1):
            if int(self.take("BAR")) != left:
                raise InvalidTune(f"token {self.at - 1}: bar {left} from the end is missing")
            degrees += [int(self.take("degree")) for _ in range(style.chords_per_bar)]
            lead.append(self.bar(steps_per_bar(style)))
        self.take("END")
        ending = int(self.take("pitch"))
        self.take("STOP")
        return Tune(style_name, mode, bpm, voices, tuple(degrees), tuple(lead), ending)

    def take(self, kind: str) -> str:
        """The value of the next token, which must be of this kind."""
        name = self.names[self.at] if self.at < len(self.names) else "nothing"
        found, _, value = name.partition(" ")
        if found != kind:
            raise InvalidTune(f"token {self.at}: {kind} is due here, not {name}")
        self.at += 1
        return value

    def next_is(self, kind: str) -> bool:
        return self.at < len(self.names) and self.names[self.at].partition(" ")[0] == kind

    def voices(self) -> dict[str, str]:
        voices, last = dict[str, str](), -1
        while self.next_is("voice"):
            role, _, voice = self.take("voice").partition(" ")
            if ROLES.index(role) <= last:
                raise InvalidTune(f"token {self.at - 1}: the voice of {role} is named twice, or out of order")
            voices[role], last = voice, ROLES.index(role)
        if "lead" not in voices:
            raise InvalidTune(f"token {self.at}: no voice plays the melody")
        return voices

    def bars_left(self) -> int:
        if not self.next_is("BAR"):
            self.take("BAR")
        return int(self.names[self.at].partition(" ")[2])

    def bar(self, steps: int) -> tuple[tuple[int | None, int], ...]:
        events, left = list[tuple[int | None, int]](), steps
        while left:
            pitch = None if self.next_is("REST") else int(self.take("pitch"))
            if pitch is None:
                self.take("REST")
            length = int(self.take("length"))
            if length > left:
                raise InvalidTune(f"token {self.at - 1}: a note of {length} where the bar has room for {left}")
            events.append((pitch, length))
            left -= length
        return tuple(events)
