"""What a study can serve now: the number of clip pairs of every pair of systems, and the clips behind them."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from itertools import product
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from arena.models import PairingTable, Study
from arena.serving.candidates import Candidate, clips_by_prompt, served_by_prompt
from arena.serving.pairing import Wheel
from arena.serving.process_cache import recent

NEWCOMER = 2.0  # weight of a pair that is not in the pairing table yet, in units of its average weight


class Stock:
    """The clips of a study that can be played. Systems have places 0 to n - 1 in the order of their ids; their pairs
    are numbered as in numpy's `triu_indices(n, 1)`: (0, 1), (0, 2), ... Clip pairs are counted, and listed for one
    pair.

    systems: int [n], ids, ascending. low, high: int [pairs], places. options: int [pairs], clip pairs.
    """

    def __init__(self, grouped, served):
        """grouped: {prompt: [(clip, system, length)]}. served: {prompt: Served}."""
        self._grouped, self._served = grouped, served
        self.systems = np.unique([system for clips in grouped.values() for _, system, _ in clips]).astype(np.int64)
        self.low, self.high = np.triu_indices(self.systems.size, 1)
        self._place = {system: place for place, system in enumerate(self.systems.tolist())}
        self._of_clip = {
            clip: (prompt, system)
            for prompt, clips in grouped.items()
            for clip, system, _ in clips
            if clip in served[prompt].clips
        }
        self._of_system: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for clip, (prompt, system) in self._of_clip.items():
            self._of_system[system][prompt].append(clip)
        self._wheels = {}

    @classmethod
    def of(cls, study: Study) -> Self:
        grouped = clips_by_prompt(study)
        return cls(grouped, served_by_prompt(study, grouped))

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
        """int [pairs]: clip pairs for a prompt, of the clips that can be played."""
        systems = [system for clip, system, _ in self._grouped[prompt] if clip in self._of_clip]
        place = np.array([self._place[system] for system in systems], dtype=np.intp)
        first, second = np.nonzero(np.triu(place[:, None] != place[None, :], 1))
        return np.bincount(self._number(place[first], place[second]), minlength=self.low.size)

    def _number(self, place_a, place_b):
        low, high = np.minimum(place_a, place_b), np.maximum(place_a, place_b)
        return low * (2 * self.systems.size - low - 1) // 2 + high - low - 1

    def numbers_of(self, systems: Iterable[int]) -> NDArray[np.intp]:
        """int: every pair that one of the systems (ids) is in, ascending."""
        places = [self._place[system] for system in systems if system in self._place]
        return np.flatnonzero(np.isin(self.low, places) | np.isin(self.high, places)) if places else np.array([], int)

    def find(self, clip: int | None, other: int | None) -> Candidate | None:
        """The Candidate of two clips; None where they cannot be served together now."""
        (prompt, _), (prompt_of_other, _) = (self._of_clip.get(pk, (None, None)) for pk in (clip, other))
        return self._candidate(clip, other) if prompt is not None and prompt == prompt_of_other else None

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
            self._candidate(first, second)
            for prompt in clips_low
            if prompt in clips_high
            for first, second in product(clips_low[prompt], clips_high[prompt])
        )
        return [candidate for candidate in candidates if candidate]

    def _candidate(self, first, second):
        """Of two clips for one prompt; None where they are of one system."""
        (system1, clip1), (system2, clip2) = sorted((self._of_clip[clip][1], clip) for clip in (first, second))
        prompt = self._of_clip[first][0]
        if system1 == system2:
            return None
        served = self._served[prompt]
        return Candidate(prompt, served.length_ms, (system1, system2), (clip1, clip2), served.is_own)

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
