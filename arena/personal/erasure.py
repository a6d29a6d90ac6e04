"""A withdrawal, as the tables declare it: rows deleted, fields emptied, files removed."""

from functools import reduce
from graphlib import TopologicalSorter
from operator import or_
from typing import Any

from django.db import transaction
from django.db.models import FileField, Q, QuerySet

from .declaration import Declaration, declarations, stations


@transaction.atomic(savepoint=False)
def erase(rows: QuerySet[Any]) -> None:
    """Erase the personal data that belongs to these rows: a QuerySet of raters, or of any model on the way from a table
    to its rater (for votes: what came with each).

    One statement for each table that declares `deleted` or `blanked`, however many rows. Files are deleted last, before
    the commit: if the storage fails, the erasure is rolled back, so that nobody is told wrongly that a file is gone.
    """
    erasable = [(declared, mine) for declared in _referring_first() if (mine := rows_of(declared, rows)) is not None]
    files = [file for declared, mine in erasable for file in _files(declared, mine)]
    for declared, mine in erasable:
        if declared.deleted:
            mine.delete()
        else:
            mine.update(**{name: empty(declared.model._meta.get_field(name)) for name in declared.fields("blanked")})
    for storage, name in files:
        storage.delete(name)


def rows_of(declared: Declaration, rows: QuerySet[Any]) -> QuerySet[Any] | None:
    """The rows of a declared table that belong to `rows`, as a QuerySet; None where no way to a rater passes their
    model."""
    ways = [
        Q(**{f"{so_far or 'pk'}__in": rows.order_by()})
        for way in declared.rater
        for so_far, model in stations(declared.model, way)
        if model is rows.model
    ]
    return declared.model._base_manager.filter(reduce(or_, ways)) if ways else None


def empty(field: Any) -> Any:
    """The value of a blanked field: NULL where allowed, else its default, else the empty string."""
    if field.null:
        return None
    return field.get_default() if field.has_default() else ""


def _referring_first():
    """Declarations with something to erase for a rater, in an order that deletes referring rows first."""
    erasing = {
        declared.model: declared
        for declared in declarations()
        if declared.rater and (declared.deleted or declared.blanked)
    }
    order = TopologicalSorter({model: set() for model in erasing})
    for model in erasing:
        for field in model._meta.concrete_fields:
            if field.related_model in erasing and field.related_model is not model:
                order.add(field.related_model, model)
    return [erasing[model] for model in order.static_order()]


def _files(declared, rows):
    """[(storage, name)] of the files to delete with the rows, or with their blanked fields."""
    fields = [
        field
        for field in declared.model._meta.concrete_fields
        if isinstance(field, FileField) and (declared.deleted or field.name in declared.fields("blanked"))
    ]
    return [(field.storage, name) for field in fields for name in rows.values_list(field.name, flat=True) if name]
