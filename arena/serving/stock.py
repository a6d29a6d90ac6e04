"""What a study can serve now: the number of clip pairs of every pair of systems, and the clips behind them."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from itertools import product
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from arena.models import Excerpt, PairingTable, Study
from arena.serving.candidates import Candidate, clips_by_prompt, ready_excerpts
from arena.serving.pairing import Wheel
from arena.serving.process_cache import recent

NEWCOMER = 2.0  # weight of a pair that is not in the pairing table yet, in units of its average weight


class Stock:
    """The clips of a study that can be played. Systems have places 0 to n - 1 in the order of their ids; their pairs
    are numbered as in numpy's `triu_indices(n, 1)`: (0, 1), (0, 2), ... Clip pairs are counted, and listed for one
    pair.

    systems: int [n], ids, ascending. low, high: int [pairs], places. options: int [pairs], clip pairs.
    """

    def __init__(self, grouped, excerpts):
        """grouped: {prompt: [(clip, system, length)]}. excerpts: {(clip, length): excerpt}, those that are ready."""
        self._grouped, self._excerpts = grouped, excerpts
        self.systems = np.unique([system for clips in grouped.values() for _, system, _ in clips]).astype(np.int64)
        self.low, self.high = np.triu_indices(self.systems.size, 1)
        self._place = {system: place for place, system in enumerate(self.systems.tolist())}
        self._of_clip = {
            clip: (prompt, system, length) for prompt, clips in grouped.items() for clip, system, length in clips
        }
        self._of_system: dict[int, dict[int, list[tuple]]] = defaultdict(lambda: defaultdict(list))
        for clip, (prompt, system, length) in self._of_clip.items():
            self._of_system[system][prompt].append((clip, system, length))
        self._wheels = {}

    @classmethod
    def of(cls, study: Study) -> Self:
        ready = ready_excerpts(study, [Excerpt.Variant.PLAIN])
        return cls(clips_by_prompt(study), {place: pk for place, [(_, pk)] in ready.items()})

    @cached_property
    def options(self) -> NDArray[np.int64]:
        return sum((self._count(prompt) for prompt in self._grouped), np.zeros(self.low.size, np.int64))

    @cached_property
    def shut(self) -> NDArray[np.intp]:
        """int: the pairs without clip pairs, ascending."""
        return np.flatnonzero(self.options == 0)

    def options_on(self, prompt: int) -> NDArray[np.int64]:
        """int [pairs]: clip pairs for this prompt alone."""
        return self._count(prompt) if prompt in self._grouped else np.zeros(self.low.size, np.int64)

    def _count(self, prompt):
        """int [pairs]: clip pairs for a prompt. Two clips need ready excerpts of the shorter one's length."""
        clips = self._grouped[prompt]
        lengths, at = np.unique([length for *_, length in clips], return_inverse=True)
        ready = np.array([[(clip, length) in self._excerpts for length in lengths.tolist()] for clip, *_ in clips])
        mine = ready[np.arange(len(clips))[:, None], np.minimum(at[:, None], at[None, :])]
        place = np.array([self._place[system] for _, system, _ in clips])
        first, second = np.nonzero(np.triu(mine & mine.T, 1) & (place[:, None] != place[None, :]))
        return np.bincount(self._number(place[first], place[second]), minlength=self.low.size)

    def _number(self, place_a, place_b):
        low, high = np.minimum(place_a, place_b), np.maximum(place_a, place_b)
        return low * (2 * self.systems.size - low - 1) // 2 + high - low - 1

    def numbers_of(self, systems: Iterable[int]) -> NDArray[np.intp]:
        """int: every pair that one of the systems (ids) is in, ascending."""
        places = [self._place[system] for system in systems if system in self._place]
        return np.flatnonzero(np.isin(self.low, places) | np.isin(self.high, places)) if places else np.array([], int)

    def find(self, clip: int, other: int) -> Candidate | None:
        """The Candidate of two clips; None where they cannot be served together now."""
        (prompt, *of_clip), (prompt_of_other, *of_other) = (self._of_clip.get(pk, (None,)) for pk in (clip, other))
        if prompt is None or prompt != prompt_of_other:
            return None
        return self._candidate((clip, *of_clip), (other, *of_other), prompt)

    def number_of(self, clip: int, other: int) -> Any:
        """(pair, prompt) of two clips; None where they cannot be served together now."""
        candidate = self.find(clip, other)
        if not candidate:
            return None
        low, high = (self._place[system] for system in candidate.system_ids)
        return int(self._number(low, high)), self._of_clip[clip][0]

    def candidates(self, pair: int) -> list[Candidate]:
        """The clip pairs of a pair of systems, as Candidates."""
        clips_low, clips_high = (self._of_system[int(self.systems[place[pair]])] for place in (self.low, self.high))
        candidates = (
            self._candidate(first, second, prompt)
            for prompt in clips_low
            if prompt in clips_high
            for first, second in product(clips_low[prompt], clips_high[prompt])
        )
        return [candidate for candidate in candidates if candidate]

    def _candidate(self, first, second, prompt):
        (clip1, system1, length1), (clip2, system2, length2) = sorted((first, second), key=lambda clip: clip[1])
        length = min(length1, length2)
        excerpts = self._excerpts.get((clip1, length)), self._excerpts.get((clip2, length))
        if system1 == system2 or None in excerpts:
            return None
        return Candidate(prompt, length, (system1, system2), (clip1, clip2), excerpts)

    def tally(self, rows: Any) -> NDArray[np.int64]:
        """int [pairs]: the sum of n over rows (system id, system id, n); systems not in stock are left out."""
        rows = np.array(rows, dtype=np.int64).reshape(-1, 3)
        if not self.systems.size:
            return np.zeros(0, np.int64)
        place_a, place_b = (_places_of(self.systems, rows[:, column]) for column in (0, 1))
        known = (place_a >= 0) & (place_b >= 0)
        number = self._number(place_a[known], place_b[known])
        return np.bincount(number, rows[known, 2], self.low.size).astype(np.int64)

    def wheel(self, table: PairingTable) -> Wheel:
        """The Wheel of the pairs with the weights of a PairingTable."""
        if table.pk not in self._wheels:
            self._wheels = {table.pk: Wheel(self._weigh(table) * (self.options > 0))}
        return self._wheels[table.pk]

    def _weigh(self, table):
        place = _places_of(np.array(table.systems, dtype=np.int64), self.systems)
        known = (place[self.low] >= 0) & (place[self.high] >= 0)
        n, low, high = len(table.systems), place[self.low[known]], place[self.high[known]]
        weight = np.full(self.low.size, NEWCOMER / max(1, table.probability.size))
        weight[known] = table.probability[low * (2 * n - low - 1) // 2 + high - low - 1]
        return weight


def _places_of(ascending, values):
    """int: the index of each of the values in `ascending`; -1 where it is missing."""
    if not ascending.size:
        return np.full(values.size, -1)
    place = np.minimum(np.searchsorted(ascending, values), ascending.size - 1)
    return np.where(ascending[place] == values, place, -1)


def recent_stock(study: Study) -> Stock:
    """The study's Stock, cached for a few seconds: every battle needs it, and new clips can wait that long."""
    return recent(("stock", study.pk), lambda _: Stock.of(study))


def recent_table(study: Study) -> PairingTable | None:
    """The study's last PairingTable, cached for a few seconds; None before the first."""

    def load(before):
        version = study.pairing_tables.values_list("pk", flat=True).first()
        return before if before and before.pk == version else study.pairing_tables.first()

    return recent(("table", study.pk), load)
