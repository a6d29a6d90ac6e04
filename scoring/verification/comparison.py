"""One published row held against what computing it again gives: the same, different, not computable, or an error."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet

from arena.models import Study
from scoring.stats.rebuilding import CannotBeRebuilt, first_difference


@dataclass(frozen=True)
class Sides:
    """Two values made of JSON that must be the same. not_rebuilt: what of the row is on neither side because it can no
    longer be computed, and why; "" where all of it is there."""

    stored: object
    rebuilt: object
    not_rebuilt: str = ""


@dataclass(frozen=True)
class Kind:
    """name: as the command names it. study, number: lookups of a row's study and number.

    rebuild(row) -> Sides of what the row says and what computing it again gives. copies(row) -> Sides of what the row,
    or rows beside it, repeat, and what they repeat it from. CannotBeRebuilt where either cannot be had.
    """

    name: str
    model: type[Model]
    study: str
    number: str
    rebuild: Callable[[Any], Sides]
    copies: Callable[[Any], Sides] | None = None

    def rows(self, studies: Collection[Study] = (), number: str | int | None = None) -> QuerySet[Any]:
        """The rows of these studies and of this number; of all where none is named. In a fixed order."""
        rows = self.model._default_manager.order_by(self.study, self.number, "pk")
        if studies:
            rows = rows.filter(**{f"{self.study}__in": studies})
        return rows if number is None else rows.filter(**{self.number: number})


class Outcome(StrEnum):
    SAME = "same"
    DIFFERENT = "different"
    NOT_REBUILT = "not rebuilt"  # wholly or in part: there is a reason why it cannot be
    FAILED = "failed"


@dataclass(frozen=True)
class Verdict:
    """name: of the row, with its kind. details: what differs and how, why it cannot be rebuilt, or the error."""

    name: str
    outcome: Outcome
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.outcome}" + "".join(f"\n    {detail}" for detail in self.details)


def verify(kind: Kind, pk: Any) -> Verdict:
    """The Verdict on the row of a Kind. Whatever goes wrong with the row is part of it: nothing is raised."""
    name = f"{kind.name} (id {pk})"
    try:
        with transaction.atomic():  # so that a failed query leaves the connection to the next row
            row = kind.model._default_manager.get(pk=pk)
            name = f"{kind.name}, {row} (id {pk})"
            return _verdict(name, kind, row)
    except Exception as error:
        return Verdict(name, Outcome.FAILED, (f"{type(error).__name__}: {error}",))


def _verdict(name, kind, row):
    differences, reasons = [], []
    for what, compared in (("", kind.rebuild), ("copies: ", kind.copies)):
        try:
            sides = compared(row) if compared else None
        except CannotBeRebuilt as reason:
            reasons.append(str(reason))
            continue
        if sides and sides.not_rebuilt:
            reasons.append(sides.not_rebuilt)
        if sides and (difference := first_difference(sides.stored, sides.rebuilt)):
            differences.append(f"{what}{difference}")
    details = (*differences, *dict.fromkeys(reasons))
    if differences:
        return Verdict(name, Outcome.DIFFERENT, details)
    return Verdict(name, Outcome.NOT_REBUILT if reasons else Outcome.SAME, details)
