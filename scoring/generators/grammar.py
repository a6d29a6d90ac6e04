"""Which token may come next, so that what is sampled is a tune of the length that was asked for."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from .tokens import END, MAX_BARS, MAX_STEPS, N_TOKENS, NAMES, PAD, REST, ROLES, STOP, TEMPOS
from .tunes import STYLE_OF, bars_that_fit, steps_per_bar

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Due(IntEnum):
    """What comes next."""

    STYLE = 0
    MODE = 1
    TEMPO = 2
    VOICES = 3
    BAR = 4
    DEGREE = 5
    EVENT = 6
    LENGTH = 7
    END = 8
    ENDING = 9
    STOP = 10
    NOTHING = 11


def _kind(kind: str) -> Bools:
    return np.array([name.partition(" ")[0] == kind for name in NAMES])


def _number(kind: str) -> Ints:
    """int [N_TOKENS]: the number in the names of this kind, 0 for all other tokens."""
    return np.array([int(value) if found == kind else 0 for found, _, value in (name.partition(" ") for name in NAMES)])


STYLES = list(STYLE_OF.values())
STYLE_NUMBER = np.array([list(STYLE_OF).index(name[6:]) if name.startswith("style ") else 0 for name in NAMES])
TEMPO_NUMBER = np.array([TEMPOS.index(int(name[6:])) if name.startswith("tempo ") else 0 for name in NAMES])
ROLE_NUMBER = np.array([ROLES.index(name.split()[1]) if name.startswith("voice ") else -1 for name in NAMES])
BAR_NUMBER, LENGTH = _number("BAR"), _number("length")
CHORDS_PER_BAR = np.array([style.chords_per_bar for style in STYLES])
STEPS_PER_BAR = np.array([steps_per_bar(style) for style in STYLES])
IS_BAR, IS_TEMPO = _kind("BAR"), _kind("tempo")

_ALWAYS = {
    Due.STYLE: _kind("style"), Due.MODE: _kind("mode"), Due.TEMPO: IS_TEMPO, Due.VOICES: _kind("voice"),
    Due.BAR: IS_BAR, Due.DEGREE: _kind("degree"), Due.EVENT: _kind("pitch") | (np.arange(N_TOKENS) == REST),
    Due.LENGTH: _kind("length"), Due.END: np.arange(N_TOKENS) == END, Due.ENDING: _kind("pitch"),
    Due.STOP: np.arange(N_TOKENS) == STOP, Due.NOTHING: np.arange(N_TOKENS) == PAD,
}  # fmt: skip
ALLOWED = np.array([_ALWAYS[due] for due in Due])
LATER_ROLES = np.array([role < ROLE_NUMBER for role in range(-1, len(ROLES))])  # row: the last role plus 1
LATER_ROLES[0] &= ROLE_NUMBER == 0  # the melody's voice comes first
THAT_BAR = IS_BAR & np.equal.outer(np.arange(MAX_BARS + 1), BAR_NUMBER)
AT_MOST = (LENGTH > 0) & np.greater_equal.outer(np.arange(MAX_STEPS + 1), LENGTH)


@dataclass
class State:
    """Where each of B sequences is: int [B] each. bars: those still to come, this one included; steps: free in this
    bar; degrees: due in this bar; role: last voice named, -1 for none. fits: int [B, styles, tempos], bars that fit."""

    due: Ints
    style: Ints
    role: Ints
    bars: Ints
    steps: Ints
    degrees: Ints
    fits: Ints

    def rows(self, rows: Ints) -> "State":
        """The state of sequences that continue those of `rows`, which may repeat."""
        return State(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def bars_of(seconds: float) -> Ints:
    """int [styles, tempos]: bars that fit into `seconds`, 0 where none or more than MAX_BARS do."""
    fits = np.zeros((len(STYLES), len(TEMPOS)), dtype=np.int64)
    for place, style in enumerate(STYLES):
        for tempo, bpm in enumerate(TEMPOS):
            try:
                bars = bars_that_fit(seconds, bpm, style)
            except ValueError:
                continue
            fits[place, tempo] = bars if bars <= MAX_BARS else 0
    return fits


def begin(seconds: list[float]) -> State:
    """Before the style of B tunes of these lengths. ValueError for a length in which no style has a bar."""
    tables = {length: bars_of(length) for length in set(seconds)}
    for length, table in tables.items():
        if not table.any(axis=1).all():
            raise ValueError(f"{length:g} s: no tune of every style has that length; ask for 8 to 60 s")
    n, zeros = len(seconds), np.zeros(len(seconds), dtype=np.int64)
    fits = np.array([tables[length] for length in seconds])
    return State(zeros.copy(), zeros.copy(), np.full(n, -1), zeros.copy(), zeros.copy(), zeros.copy(), fits)


def allowed(state: State) -> Bools:
    """bool [B, N_TOKENS]: what may come next; at least one token for each."""
    mask = ALLOWED[state.due].copy()
    here = np.arange(len(state.due))
    at = here[state.due == Due.TEMPO]
    mask[at] &= ~IS_TEMPO | (state.fits[at, state.style[at]][:, TEMPO_NUMBER] > 0)
    at = here[state.due == Due.VOICES]
    mask[at] &= LATER_ROLES[state.role[at] + 1]
    named = at[state.role[at] >= 0]
    mask[named] |= THAT_BAR[state.bars[named]]
    at = here[state.due == Due.BAR]
    mask[at] = THAT_BAR[state.bars[at]]
    at = here[state.due == Due.LENGTH]
    mask[at] &= AT_MOST[state.steps[at]]
    return mask


def advance(state: State, token: Ints) -> State:
    """The state after one allowed token for each sequence, int [B]."""
    due, new = state.due, State(*(getattr(state, name).copy() for name in state.__dataclass_fields__))
    new.style = np.where(due == Due.STYLE, STYLE_NUMBER[token], state.style)
    at = np.flatnonzero(due == Due.TEMPO)
    new.bars[at] = state.fits[at, state.style[at], TEMPO_NUMBER[token[at]]]
    new.role = np.where(due == Due.VOICES, np.maximum(state.role, ROLE_NUMBER[token]), state.role)
    is_bar = IS_BAR[token]
    new.degrees = np.where(is_bar, CHORDS_PER_BAR[state.style], state.degrees - (due == Due.DEGREE))
    new.steps = np.where(is_bar, STEPS_PER_BAR[state.style], state.steps - LENGTH[token])
    is_full = (due == Due.LENGTH) & (new.steps == 0)
    new.bars -= is_full
    straight_on = np.array([1, 2, 3, 3, 5, 5, 7, 6, 9, 10, 11, 11])  # of Due, where nothing else holds
    new.due = straight_on[due]
    new.due[is_bar] = Due.DEGREE
    new.due[(due == Due.DEGREE) & (new.degrees == 0)] = Due.EVENT
    new.due[is_full] = np.where(new.bars[is_full] > 0, Due.BAR, Due.END)
    return new


def masks(tokens: Ints, seconds: list[float]) -> Bools:
    """bool [B, T, N_TOKENS]: what was allowed at each place of whole tunes, int [B, T], padded with PAD."""
    state, out = begin(seconds), np.empty((*tokens.shape, N_TOKENS), dtype=bool)
    for place in range(tokens.shape[1]):
        out[:, place] = allowed(state)
        state = advance(state, tokens[:, place])
    return out
