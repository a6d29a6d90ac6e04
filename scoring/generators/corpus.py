"""What the built-in generators learn from: tunes of the house's composer with captions, and what is true of a tune.

The demonstrations are uneven on purpose, so that alignment has something to gain and the truth is known: FLAWED of the
tunes have wrong notes, and one caption word in WRONG_WORDS_ONE_IN says something else than what is played.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from scoring.demo.composer import compose, read_brief
from scoring.demo.styles import INSTRUMENTS, MAJOR_WORDS, MINOR_WORDS, SCALES

from .tokens import MAX_BARS, PITCHES
from .tunes import NAME_OF, STYLE_OF, Tune, to_tune

FLAWED, WRONG_NOTES = 0.4, 0.2  # of the tunes; of the notes in such a tune
WRONG_WORDS_ONE_IN = 4
SECONDS = (8.0, 30.0)
IN_KEY = {"major": SCALES["major"], "minor": (*SCALES["minor"], 11)}  # minor with its raised leading tone
TEMPO_TOLERANCE = 0.06


@dataclass(frozen=True)
class Example:
    """A caption, the tune that it goes with, and for how long that plays."""

    caption: str
    tune: Tune
    seconds: float


def examples(n: int, seed: int = 0) -> Iterator[Example]:
    """n captioned tunes, the same for the same seed."""
    for number in range(n):
        yield _example(np.random.default_rng([seed, number]))


def _example(rng: np.random.Generator) -> Example:
    while True:
        wishes = _wishes(rng)
        caption = _caption(wishes, rng)
        seconds = round(float(rng.uniform(*SECONDS)), 1)
        try:
            tune = to_tune(compose(read_brief(caption), seconds, rng))
        except ValueError:  # a slow tempo in a short time, or a melody out of its bars
            continue
        if tune.bars > MAX_BARS:
            continue
        for place in range(len(wishes)):
            if rng.random() < 1 / WRONG_WORDS_ONE_IN:
                wishes[place] = _wishes(rng)[place]
        return Example(_caption(wishes, rng), _with_wrong_notes(tune, rng) if rng.random() < FLAWED else tune, seconds)


def _wishes(rng: np.random.Generator) -> list[str]:
    """Style, mode or mood, tempo and an instrument, "" for one that is left open."""
    style = str(rng.choice([name for name in STYLE_OF if name != "plain"]))
    mood = str(rng.choice([*MINOR_WORDS, *MAJOR_WORDS]))
    tempo = f"{rng.integers(14, 46) * 4} bpm"
    instrument = str(rng.choice([phrase for phrase, _, _ in INSTRUMENTS]))
    asked = [style, mood, tempo, instrument]
    return [wish if rng.random() < share else "" for wish, share in zip(asked, (0.95, 0.8, 0.5, 0.6), strict=True)]


def _caption(wishes: list[str], rng: np.random.Generator) -> str:
    style, mood, tempo, instrument = wishes
    mode = f" in a {mood} key" if mood in ("major", "minor") else ""
    front = "" if mode else f"{mood} "
    words = (
        f"{front}{style or 'music'}{mode}{f' at {tempo}' if tempo else ''}{f' with {instrument}' if instrument else ''}"
    )
    return " ".join(words.split())


def _with_wrong_notes(tune: Tune, rng: np.random.Generator) -> Tune:
    """Some notes of the melody a semitone off, where that is outside the key."""
    scale = IN_KEY[tune.mode]

    def played(pitch: int | None) -> int | None:
        if pitch is None or rng.random() >= WRONG_NOTES:
            return pitch
        off = [p for p in (pitch - 1, pitch + 1) if p % 12 not in scale and p in PITCHES]
        return int(rng.choice(off)) if off else pitch

    return replace(tune, lead=tuple(tuple((played(pitch), steps) for pitch, steps in bar) for bar in tune.lead))


def harmony(tune: Tune) -> float:
    """The share of the melody's sounding time that lies in the key, in [0, 1]; its last note counts as one beat."""
    notes = [(pitch, steps) for bar in tune.lead for pitch, steps in bar if pitch is not None] + [(tune.ending, 4)]
    in_key = sum(steps for pitch, steps in notes if pitch % 12 in IN_KEY[tune.mode])
    return in_key / sum(steps for _, steps in notes)


def text(tune: Tune, caption: str) -> float:
    """The share of what a caption asks for (style, mode, tempo, instruments) that the tune has; 1 without a wish."""
    brief, words = read_brief(caption), caption.lower()
    met = list[bool]()
    if any(word in words for style in STYLE_OF.values() for word in style.words):
        met.append(NAME_OF[brief.style.words] == tune.style)
    if _asks_for_a_mode(words):
        met.append(brief.mode == tune.mode)
    if "bpm" in words:
        met.append(abs(np.log(tune.bpm / brief.bpm)) <= TEMPO_TOLERANCE)
    met += [tune.voices.get(role) == brief.voices[role] for role in sorted(brief.named)]
    return sum(met) / len(met) if met else 1.0


def _asks_for_a_mode(words: str) -> bool:
    return bool(set(words.split()) & {*MINOR_WORDS, *MAJOR_WORDS})


def truth(tune: Tune | None, caption: str) -> float:
    """½ text + ½ harmony, in [0, 1]; 0 for what is no tune. What alignment is to raise, known without any judge."""
    return 0.0 if tune is None else (text(tune, caption) + harmony(tune)) / 2
