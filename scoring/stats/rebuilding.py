"""What is published can be computed again: the honest answer where it cannot, and the first place where it is not the
same. No database."""

import json
from collections.abc import Collection
from typing import Any, NamedTuple

LONGEST = 80  # characters of a value that are shown
ABSENT = "(absent)"


class CannotBeRebuilt(Exception):
    """Why something published cannot be computed again, in a sentence for people. It says nothing against it."""


class Difference(NamedTuple):
    """The place of a value, as `groups[0][2].rating`, and what is there on each side: JSON, or ABSENT."""

    path: str
    stored: str
    rebuilt: str

    def __str__(self) -> str:
        """In one line: of long values the part where they begin to differ."""
        pairs = enumerate(zip(self.stored, self.rebuilt, strict=False))
        common = next((place for place, (left, right) in pairs if left != right), 0)
        return f"{self.path}: stored {_short(self.stored, common)}, rebuilt {_short(self.rebuilt, common)}"


def require_method(published: object, method: tuple[str, int], known: Collection[tuple[str, int]]) -> None:
    """Raises CannotBeRebuilt, naming what is published, where its method is none of the known ones.

    method, known: (name, version).
    """
    if method not in known:
        name, version = method
        raise CannotBeRebuilt(
            f"{published}: its method, {name} {version}, is not in this code. It stays as published; to compute it"
            " again, use the code of its time."
        )


def first_difference(stored: Any, rebuilt: Any, path: str = "") -> Difference | None:
    """The first place where two values made of JSON differ, None where they are the same JSON.

    Keys are compared in alphabetical order. 1 and 1.0 differ, for they are written differently.
    """
    if isinstance(stored, dict) and isinstance(rebuilt, dict):
        for key in sorted({*stored, *rebuilt}):
            place = f"{path}.{key}" if path else key
            if key not in stored or key not in rebuilt:
                return Difference(place, *(_json(side[key]) if key in side else ABSENT for side in (stored, rebuilt)))
            if difference := first_difference(stored[key], rebuilt[key], place):
                return difference
        return None
    if isinstance(stored, list) and isinstance(rebuilt, list):
        for index, (left, right) in enumerate(zip(stored, rebuilt, strict=False)):
            if difference := first_difference(left, right, f"{path}[{index}]"):
                return difference
        if len(stored) == len(rebuilt):
            return None
        end = min(len(stored), len(rebuilt))
        sides = (_json(side[end]) if end < len(side) else ABSENT for side in (stored, rebuilt))
        return Difference(f"{path}[{end}]", *sides)
    left, right = _json(stored), _json(rebuilt)
    return None if left == right else Difference(path, left, right)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _short(text: str, common: int) -> str:
    """At most LONGEST characters, from a little before the first that is not common."""
    if len(text) <= LONGEST:
        return text
    start = max(0, common - LONGEST // 4)
    shown = text[start : start + LONGEST]
    return f"{'...' if start else ''}{shown}{'...' if start + LONGEST < len(text) else ''}"
