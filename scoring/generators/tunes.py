"""A tune: a melody over chords in a style. All else of a piece follows from the style's patterns (`demo.composer`)."""

from collections.abc import Mapping
from dataclasses import dataclass

from scoring.demo.composer import (
    SHORTEST_ENDING,
    STEPS_PER_BEAT,
    Brief,
    Chord,
    Note,
    Score,
    accompany,
    key_of,
    sung,
)
from scoring.demo.styles import PLAIN, STYLES, Style

STYLE_OF: dict[str, Style] = {**{style.words[0]: style for style in STYLES}, "plain": PLAIN}
NAME_OF: dict[tuple[str, ...], str] = {style.words: name for name, style in STYLE_OF.items()}
MIDDLE = 60  # the tonic of a tune lies in the octave above middle C
DOMINANT = 4  # the scale degree whose chord has the raised leading tone in minor
ENDING_VELOCITY = 0.8


@dataclass(frozen=True)
class Tune:
    """Pitches are semitones above the tonic, so that a tune is in no key until it is played.

    style: a name of STYLE_OF; mode: "major" or "minor"; voices: {role: voice}, "lead" among them; degrees: scale
    degrees of the chords, 0 to 6, as many for each bar as the style changes chords. lead: for each bar, what fills it
    exactly: (pitch, or None for silence; length in quarters of a beat). ending: the pitch of the last note.
    """

    style: str
    mode: str
    bpm: float
    voices: Mapping[str, str]
    degrees: tuple[int, ...]
    lead: tuple[tuple[tuple[int | None, int], ...], ...]
    ending: int

    @property
    def bars(self) -> int:
        return len(self.lead)


def steps_per_bar(style: Style) -> int:
    return style.beats * STEPS_PER_BEAT


def bars_that_fit(seconds: float, bpm: float, style: Style) -> int:
    """The whole bars that leave room for the last chord to ring. ValueError where there is none."""
    bars = int((seconds - SHORTEST_ENDING) * bpm / 60 / style.beats)
    if bars < 1:
        needed = SHORTEST_ENDING + style.beats * 60 / bpm
        raise ValueError(f"{seconds:g} s hold no bar at {bpm:g} bpm: ask for at least {needed:.1f} s")
    return bars


def to_score(tune: Tune, tonic: int, seconds: float) -> Score:
    """The whole piece in the key of pitch class `tonic` (0 is C); the last chord is held to the end of `seconds`."""
    style = STYLE_OF[tune.style]
    brief = Brief(tune.bpm, tune.mode, tonic, style, dict(tune.voices), frozenset(tune.voices))
    size, minor = 4 if style.sevenths else 3, tune.mode == "minor"
    chords = [Chord(degree, size, raised=minor and degree == DOMINANT) for degree in tune.degrees]
    home, per_bar, notes = MIDDLE + tonic, steps_per_bar(style), []
    for bar, events in enumerate(tune.lead):
        at = bar * per_bar
        for pitch, steps in events:
            if pitch is not None:
                notes.append(sung(style, at, steps, home + pitch))
            at += steps
    beats, end = seconds * tune.bpm / 60, float(tune.bars * style.beats)
    notes.append(Note(end, beats - end, home + tune.ending, ENDING_VELOCITY))
    return accompany(brief, key_of(brief, tonic), (*chords, Chord(0, size)), beats, tuple(notes))


def to_tune(score: Score) -> Tune:
    """What the composer wrote, without its key. ValueError for a melody that leaves its bars' sixteenths."""
    style, tonic = score.brief.style, score.key.tonic % 12
    per_bar = steps_per_bar(style)
    n_bars = (len(score.chords) - 1) // style.chords_per_bar
    events: list[list[tuple[int | None, int]]] = [[] for _ in range(n_bars)]
    filled = [0] * n_bars
    *notes, last = score.parts["lead"]
    for note in notes:
        bar, start = divmod(round(note.beat * STEPS_PER_BEAT), per_bar)
        steps = round(note.beats / 0.95 * STEPS_PER_BEAT)
        if start < filled[bar] or start + steps > per_bar:
            raise ValueError(f"beat {note.beat:g}: two notes of the melody sound together, or one crosses a bar line")
        if start > filled[bar]:
            events[bar].append((None, start - filled[bar]))
        events[bar].append((round(note.pitch) - MIDDLE - tonic, steps))
        filled[bar] = start + steps
    for bar in range(n_bars):
        if filled[bar] < per_bar:
            events[bar].append((None, per_bar - filled[bar]))
    return Tune(
        style=NAME_OF[style.words],
        mode=score.brief.mode,
        bpm=score.brief.bpm,
        voices=dict(score.brief.voices),
        degrees=tuple(chord.degree for chord in score.chords[:-1]),
        lead=tuple(tuple(bar) for bar in events),
        ending=round(last.pitch) - MIDDLE - tonic,
    )
