"""Which kind of battle comes when: practice first, then blocks with their checks at random places. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Self

from ..study_settings import REPEAT_DISTANCE

RANKED, GOLD, TRAP, REPEAT, PRACTICE = "ranked", "gold", "trap", "repeat", "practice"
CHECKS = (GOLD, TRAP, REPEAT)


@dataclass(frozen=True)
class Schedule:
    """A study's numbers of battles; all per block except `practice`. `blocks` None: unlimited."""

    practice: int = 0
    block_length: int = 10
    blocks: int | None = None
    golds: int = 0
    traps: int = 0
    repeats: int = 0

    @classmethod
    def of(cls, study: Any) -> Self:
        """The schedule of a study, or of any object with these attributes."""
        names = cls.__dataclass_fields__
        return cls(**{name: getattr(study, name) for name in names})

    @property
    def block_size(self) -> int:
        return self.block_length + self.golds + self.traps + self.repeats

    def kind_at(self, position: int, seed: str) -> str | None:
        """The kind of a rater's battle at `position` (0 is the first); None after the last.

        seed: secret and different for each rater, so that nobody can know in advance where the checks are.
        """
        if position < self.practice:
            return PRACTICE
        block, place = divmod(position - self.practice, self.block_size)
        if self.blocks is not None and block >= self.blocks:
            return None
        return self.block(block, seed)[place]

    def block(self, number: int, seed: str) -> list[str]:
        """The kinds of one block in their order. For each repeat there is an ordinary battle in this block, at least
        REPEAT_DISTANCE places before it, that no earlier repeat of the block uses."""
        kinds = [RANKED] * self.block_length + [GOLD] * self.golds + [TRAP] * self.traps + [REPEAT] * self.repeats
        rng = Random(f"{seed}:{number}")
        for _ in range(100):
            rng.shuffle(kinds)
            if _repeats_fit(kinds):
                return kinds
        return sorted(kinds, key=lambda kind: kind == REPEAT)  # in short blocks few orders are valid: repeats come last


def _repeats_fit(kinds: Sequence[str]) -> bool:
    repeats = 0
    for place, kind in enumerate(kinds):
        if kind == REPEAT:
            repeats += 1
            if kinds[: max(0, place - REPEAT_DISTANCE + 1)].count(RANKED) < repeats:
                return False
    return True
