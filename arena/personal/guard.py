"""Problems with the declarations of personal data: a sentence for each, which says what to write."""

from collections.abc import Iterable
from typing import Any

from django.db import models

from .declaration import FATES, PEOPLE, SELF, BadDeclaration, declaration_of, person_of, stations, tables, ways_to

# Fields that cannot hold text, so neither what people write nor names for them.
BOUNDED = (
    models.IntegerField, models.FloatField, models.DecimalField, models.BooleanField, models.DateField,
    models.TimeField, models.DurationField,
)  # fmt: skip
ARTICLE = {"rater": "a rater", "user": "a user"}


def problems(of: Iterable[type[models.Model]] | None = None) -> list[str]:
    """[sentence] about the declarations of these models, by default of all; empty where nothing is wrong."""
    sentences: list[str] = []
    for model in tables() if of is None else of:
        try:
            sentences += _problems(model)
        except BadDeclaration as bad:
            sentences.append(str(bad))
    return sentences


def _problems(model):
    ways = {person: ways_to(model, person_of(person)) for person in PEOPLE}
    declared = declaration_of(model)
    if declared is None:
        return _undeclared(model, ways)
    wrong = [*_ways(declared, ways), *_fates(declared), *_fields(declared, ways)]
    return [f"{model._meta.label}: {problem}" for problem in wrong]


def holds_text(field: Any) -> bool:
    """Whether this field can hold arbitrary text: a name, an address, a remark, a file, JSON."""
    if field.is_relation or field.choices or isinstance(field, BOUNDED):
        return False
    return not (field.primary_key and isinstance(field, models.UUIDField))


# ---- without a declaration ----------------------------------------------------------------------------


def _undeclared(model, ways):
    texts = [field.name for field in model._meta.concrete_fields if holds_text(field)]
    leading = [(person, name) for person in PEOPLE for name in ways[person]]
    if not texts and not leading:
        return []
    reasons = [f"{name} leads to {ARTICLE[person]}" for person, name in leading]
    reasons += [f"{name} can hold text" for name in texts]
    advice = [f'{person} = "{min(ways[person].values(), key=len)}"' for person in PEOPLE if ways[person]]
    if leading:
        firsts = {min(ways[person].values(), key=len).split("__")[0] for person in PEOPLE if ways[person]}
        names = ", ".join(name for name in _accountable(model) if name not in firsts)
        advice.append(
            f'deleted = {{"{names}": "what they hold"}}, or blanked = {{...}} for fields that are emptied while the '
            "row stays, or kept = {...} with the reason why they stay"
        )
    else:
        advice.append(
            f'not_personal = {{"{", ".join(texts)}": "what they hold"}} if nothing in them is about a person; if '
            "something is, kept = {...} with the reason why it stays"
        )
    return [
        f"{model._meta.label} does not say what it holds of people: {', '.join(reasons)}. Write into the model: "
        f"class Personal: {'; '.join(advice)}. The docstring of arena/personal/declaration.py has the rest."
    ]


# ---- with a declaration -------------------------------------------------------------------------------


def _ways(declared, ways):
    """Problems with the ways: one that does not reach a person, or a person the table leads to without a way."""
    model = declared.model
    for person in PEOPLE:
        written = getattr(declared, person)
        for way in written:
            if stations(model, way)[-1][1] is not person_of(person):
                yield f"the way {way!r} does not end at {ARTICLE[person]}."
        firsts = {way.split("__")[0] for way in written}
        for name, way in ways[person].items():
            if not written:
                yield f'{name} leads to {ARTICLE[person]}; write {person} = "{way}".'
            elif (declared.deleted or declared.blanked) and name not in firsts and SELF not in firsts:
                yield (
                    f"rows that belong to {ARTICLE[person]} over {name} would stay; write {person} = {(*written, way)}."
                )
    for field in model._meta.many_to_many:
        if field.related_model in map(person_of, PEOPLE) and field.remote_field.through._meta.auto_created:
            yield f"{field.name} is a table of people; give it a model of its own (`through`) with a class Personal."


def _fates(declared):
    """Problems with the fates: what cannot be done as declared."""
    if declared.deleted and (declared.blanked or declared.kept):
        yield "deleted means the whole row, so nothing of it can be blanked or kept."
    if declared.blanked and not declared.rater:
        yield "blanked is what a withdrawal does, so say which way leads to the rater: rater = ..."
    if declared.deleted and not declared.rater and not declared.user and not declared.lifetime:
        yield "nothing deletes these rows: write rater = ... or user = ..., or lifetime if a sweep does."
    if declared.deleted and not declared.rater:
        yield from _stays_behind(declared)
    for fate in FATES:
        for names, sentence in getattr(declared, fate).items():
            if not sentence.strip():
                yield f"{fate} says nothing about {names}."
    for name in declared.fields("blanked"):
        field = _all_fields(declared.model).get(name)
        if field and not _can_be_blank(field):
            yield f"{name} cannot be blanked; give it null=True or a default."


def _stays_behind(declared):
    """`deleted` in a user's table: problems where the row is not deleted with the account."""
    for way in declared.user:
        model = declared.model
        for step in [] if way == SELF else way.split("__"):
            field = model._meta.get_field(step)
            if field.remote_field.on_delete is not models.CASCADE:
                yield f"its rows do not go with the account: {step} has to be on_delete=CASCADE."
            model = field.related_model


def _fields(declared, ways):
    """Problems with the names: fields missing, unknown or named twice."""
    named, known = declared.fields(), _all_fields(declared.model)
    for name in sorted({name for name in named if named.count(name) > 1}):
        yield f"{name} is named twice."
    for name in named:
        if name not in known:
            yield f"there is no field {name!r}."
    firsts = {way.split("__")[0] for person in PEOPLE for way in getattr(declared, person)}
    if any(ways.values()) or SELF in firsts:
        needed, why = _accountable(declared.model, SELF in firsts), "the table leads to a person"
    else:
        needed, why = [name for name, field in known.items() if holds_text(field)], "it can hold text"
    for name in needed:
        if name not in named and name not in firsts:
            yield f"{name} is not named, and {why}; add it to deleted, blanked, kept or not_personal."


def _accountable(model, is_person=False):
    """Names of the fields that a table which leads to a person has to declare; a generated primary key is not one."""
    return [
        field.name
        for field in _all_fields(model).values()
        if is_person or not (field.primary_key and isinstance(field, models.AutoField | models.UUIDField))
    ]


def _all_fields(model):
    return {field.name: field for field in (*model._meta.concrete_fields, *model._meta.many_to_many)}


def _can_be_blank(field):
    is_text = isinstance(field, models.CharField | models.TextField | models.FileField) and not field.unique
    return not field.many_to_many and (field.null or field.has_default() or is_text)
