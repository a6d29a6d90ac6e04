"""How a battle was listened to, from the events of the player. Pure.

Events come from the browser: they are evidence, not proof. Entries of another form are ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

KINDS = {"play", "pause", "switch", "seek", "loop", "volume", "hidden", "visible", "opened", "decided"}
AUTOMATIC = ("end", "vote")  # reasons for pauses that nobody pressed: the clip ended, or the answer was given
LONGEST_MS = 2**31 - 1  # 24 days; the maximum of the database column


@dataclass(frozen=True)
class Timeline:
    """Times in ms since the battle appeared on the page; None where no event says."""

    first_play_ms: int | None = None
    opened_ms: int | None = None
    decided_ms: int | None = None
    pauses: int | None = None
    hidden: int | None = None
    volume: float | None = None

    def contradicts(self, heard_ms: int, tolerance_ms: int = 1000) -> bool:
        """Whether more was heard than there was time for between the first play and the decision."""
        if self.first_play_ms is None or self.decided_ms is None:
            return False
        return heard_ms > self.decided_ms - self.first_play_ms + tolerance_ms


def timeline(events: Sequence[Any]) -> Timeline:
    """The Timeline of [{"t": ms, "kind": ..., "value"?}, ...]; entries of another form are ignored."""
    events = [event for event in events if _is_event(event)]
    if not events:
        return Timeline()
    first: dict[str, int] = {}
    for event in events:
        first.setdefault(event["kind"], round(event["t"]))
    decided = [round(event["t"]) for event in events if event["kind"] == "decided"]
    volumes = [event["value"] for event in events if event["kind"] == "volume" and _is_share(event.get("value"))]
    return Timeline(
        first_play_ms=first.get("play"),
        opened_ms=first.get("opened"),
        decided_ms=decided[-1] if decided else None,
        pauses=sum(event["kind"] == "pause" and event.get("value") not in AUTOMATIC for event in events),
        hidden=sum(event["kind"] == "hidden" for event in events),
        volume=volumes[-1] if volumes else None,
    )


def _is_event(event: Any) -> bool:
    return (
        isinstance(event, dict)
        and isinstance(event.get("kind"), str)
        and event["kind"] in KINDS
        and _is_number(event.get("t"))
        and 0 <= event["t"] <= LONGEST_MS
    )


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
