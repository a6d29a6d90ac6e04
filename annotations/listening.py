"""What a rater heard of a clip, from the intervals that their player reports. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Listening:
    """The intervals [start, end] in ms of clip time, clipped to the excerpt, of both slots."""

    intervals: dict[str, list[list[int]]]

    @property
    def total_ms(self) -> int:
        """Listening time; repeats count."""
        return sum(end - start for played in self.intervals.values() for start, end in played)

    def coverage_ms(self, slot: str) -> int:
        """Length of the union of the slot's intervals; repeats do not count."""
        covered, reached = 0, 0
        for start, end in sorted(self.intervals[slot]):
            covered += max(0, end - max(start, reached))
            reached = max(reached, end)
        return covered


def clip_intervals(heard: Any, length_ms: int) -> Listening:
    """Validate {"A": [[s, e], ...], "B": [...]} and clip it to [0, length_ms].

    Raises ValueError with a sentence that says what is wrong.
    """
    if not isinstance(heard, dict) or set(heard) != {"A", "B"}:
        raise ValueError('heard must be an object with the two keys "A" and "B".')
    return Listening({slot: [*_clipped(slot, heard[slot], length_ms)] for slot in ("A", "B")})


def _clipped(slot: str, intervals: Any, length_ms: int) -> Iterator[list[int]]:
    if not isinstance(intervals, list):
        raise ValueError(f"heard.{slot} must be a list of [start, end] pairs in milliseconds.")
    if len(intervals) > 10_000:
        raise ValueError(f"heard.{slot} has {len(intervals)} intervals; at most 10,000 are accepted.")
    for interval in intervals:
        numbers = isinstance(interval, list) and len(interval) == 2 and all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in interval
        )  # fmt: skip
        if not numbers or not 0 <= interval[0] <= interval[1]:
            raise ValueError(f"heard.{slot}: {interval!r} is not [start, end] with 0 <= start <= end in ms.")
        start, end = (min(round(value), length_ms) for value in interval)
        if end > start:
            yield [start, end]


def listening_ends(listening: Listening, served_at: datetime, ears_free_at: datetime | None) -> datetime:
    """The earliest time at which this listening can have ended. A rater hears one battle at a time: listening starts
    when the battle was served, or when the rater's previous listening ended if that is later."""
    starts = max(served_at, ears_free_at) if ears_free_at else served_at
    return starts + timedelta(milliseconds=listening.total_ms)
