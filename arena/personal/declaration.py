"""What a table holds about people, as its model declares in an inner class:

    class Personal:
        rater = "vote__rater"
        deleted = {"comment, events": "what the rater wrote and did while listening"}

rater: the way from a row to its rater, over foreign keys; SELF on the rater's own table; a tuple of ways where a row
    belongs to several raters. user: the same for an account of a researcher or of staff.
deleted, blanked, kept: what a withdrawal does to the fields, each {comma-separated field names: a sentence}. `deleted`
    (the row is deleted, with its files) and `blanked` (the row stays, these fields are emptied) say what the fields
    hold; `kept` also says why they may stay. With `user` alone, `deleted` means: with the account.
not_personal: {field names: what they hold} of fields that could hold text about people, but do not.
lifetime: when the rows are deleted in any case, where they are.

In a table that leads to a rater or a user, a declaration names every field; in any other table, those that can hold
text; see `guard`. Declarations for tables of other packages are in `third_party`.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models import Model

from . import third_party

RATER = "arena.Rater"
SELF = "self"
FATES = ("deleted", "blanked", "kept", "not_personal")
PEOPLE = ("rater", "user")


class BadDeclaration(Exception):
    """A `Personal` class that cannot be understood; the message names the model and says what to write."""


@dataclass(frozen=True)
class Declaration:
    """The `Personal` class of a model; each fate is {comma-separated field names: sentence}, as written."""

    model: type[Model]
    rater: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    deleted: dict[str, str] = dataclasses.field(default_factory=dict)
    blanked: dict[str, str] = dataclasses.field(default_factory=dict)
    kept: dict[str, str] = dataclasses.field(default_factory=dict)
    not_personal: dict[str, str] = dataclasses.field(default_factory=dict)
    lifetime: str = ""

    def fields(self, *fates: str) -> list[str]:
        """Names of the fields with these fates, by default with any; a name that is written twice comes twice."""
        return [name for fate in fates or FATES for names in getattr(self, fate) for name in split(names)]


def split(names: str) -> list[str]:
    """["comment", "events"] of "comment, events"."""
    return [name.strip() for name in names.split(",")]


def tables() -> list[type[Model]]:
    """The models of all apps that have a table of their own."""
    return [model for model in apps.get_models() if not model._meta.proxy]


def declarations() -> list[Declaration]:
    """Every Declaration, in the order of the apps."""
    return [declared for model in tables() if (declared := declaration_of(model))]


def declaration_of(model: type[Model]) -> Declaration | None:
    """The model's Declaration; None where it has none. Raises BadDeclaration."""
    label = model._meta.label
    written = vars(model).get("Personal") or third_party.DECLARED.get(label)
    if written is None:
        return None
    attributes = {name: value for name, value in vars(written).items() if not name.startswith("__")}
    if unknown := sorted(attributes.keys() - {*PEOPLE, *FATES, "lifetime"}):
        raise BadDeclaration(
            f"{label}: its class Personal has {', '.join(unknown)}, which nothing reads. "
            f"Write {', '.join((*PEOPLE, *FATES))} or lifetime."
        )
    for person in attributes.keys() & set(PEOPLE):
        ways = attributes[person]
        attributes[person] = (ways,) if isinstance(ways, str) else tuple(ways)
    return Declaration(model, **attributes)


def person_of(person: str) -> type[Model]:
    """The model of "rater" or "user"."""
    return apps.get_model(RATER if person == "rater" else settings.AUTH_USER_MODEL)


def ways_to(model: type[Model], person: type[Model], passed: tuple[type[Model], ...] = ()) -> dict[str, str]:
    """{field name: the shortest way over it, such as "vote__rater"} of the fields of `model` that lead to `person`."""
    ways: dict[str, str] = {}
    for relation in (*model._meta.concrete_fields, *model._meta.many_to_many):
        target: Any = relation.related_model
        if target is person:
            ways[relation.name] = relation.name
        elif isinstance(target, type) and target is not model and target not in passed:
            further = ways_to(target, person, (*passed, model)).values()
            if further:
                ways[relation.name] = f"{relation.name}__{min(further, key=lambda way: way.count('__'))}"
    return ways


def stations(model: type[Model], way: str) -> list[tuple[str, type[Model]]]:
    """[(the way so far, the model it has reached)] along a way, starting with the model itself; BadDeclaration where a
    step is not a foreign key."""
    here, passed = model, [("", model)]
    steps: list[str] = []
    for step in [] if way == SELF else way.split("__"):
        relation: Any = {field.name: field for field in here._meta.concrete_fields}.get(step)
        if relation is None or relation.related_model is None:
            raise BadDeclaration(
                f"{model._meta.label}: its class Personal has the way {way!r}, but {step!r} is no foreign key of "
                f"{here._meta.label}. Write the names of foreign keys, joined by two underscores."
            )
        here = relation.related_model
        steps.append(step)
        passed.append(("__".join(steps), here))
    return passed
