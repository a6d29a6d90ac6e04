"""From YAML values to values of model fields, or a sentence about what the value should be."""

from datetime import UTC, date, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive

from arena.study_settings import out_of_range

YES_OR_NO = {("questions", "degree"), ("questions", "comment")}  # all else inside an object is text


class Unfit(ValueError):
    """The value does not fit its field; the message says what would."""


def read_field(field: models.Field, document: Any) -> Any:
    """The value of this key of the document for its model field. Raises Unfit; a problem inside an object is added to
    the document instead, and the value is used as if it were quoted."""
    value, spelled = document.value[field.name], document.spelled.get((field.name,), "")
    if isinstance(field, models.JSONField):
        return _object(value, (field.name,), document)
    if value is None and field.null:
        return None
    for kind, reader in READERS:
        if isinstance(field, kind):
            return reader(field, value, spelled)
    raise TypeError(f"{field.name}: no reader for {type(field).__name__}")


def text(value: object, spelled: str) -> str:
    """The value if it is a text; else Unfit, which says how to write it as one."""
    if isinstance(value, str):
        return value
    if value is None:
        raise Unfit("It is empty; leave it out for the default.")
    if isinstance(value, list | dict):
        raise Unfit("It must be a text.")
    kind = "true or false" if isinstance(value, bool) else "a date" if isinstance(value, date) else "a number"
    raise Unfit(f"{spelled} is interpreted as {kind}; put it in quotation marks.")


def _text(field, value, spelled):
    if field.choices:
        known = [name for name, _ in field.choices]
        if spelled not in known:  # as spelled, since YAML reads off as false
            raise Unfit(f"{spelled or 'It'} is not one of {', '.join(known)}.")
        return spelled
    try:
        return field.clean(text(value, spelled).strip(), None)
    except ValidationError as error:
        raise Unfit(" ".join(error.messages)) from error


def _yes_or_no(field, value, spelled):
    if not isinstance(value, bool):
        raise Unfit(f"{spelled or 'It'} is neither true nor false.")
    return value


def _whole_number(field, value, spelled):
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit(f"{spelled or 'It'} is not a whole number{_unquote(value, int)}.")
    if sentence := out_of_range(value, *limits(field)):
        raise Unfit(sentence)
    return value


def _number(field, value, spelled):
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit(f"{spelled or 'It'} is not a number{_unquote(value, float)}.")
    return value


def _unquote(value, number):
    try:
        return "; write it without quotation marks" if isinstance(value, str) and number(value) is not None else ""
    except ValueError:
        return ""


def _moment(field, value, spelled):
    if isinstance(value, str):
        try:
            value = parse_datetime(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime) or is_naive(value):
        raise Unfit(f"{spelled or 'It'} is not a time with its zone, such as 2027-01-31T18:00:00+01:00.")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise Unfit(f"{spelled} is too far away.") from error


def _object(value, path, document):
    """A JSON value whose leaves are texts, except those in YES_OR_NO."""
    if isinstance(value, dict):
        return {key: _object(part, (*path, key), document) for key, part in value.items()}
    if isinstance(value, list):
        return [_object(part, (*path, number), document) for number, part in enumerate(value)]
    if isinstance(value, bool) and path in YES_OR_NO:
        return value
    try:
        return text(value, document.spelled.get(path, ""))
    except Unfit as problem:
        document.refuse(path, str(problem))
        return document.spelled.get(path, "")


def limits(field: models.Field) -> tuple[Any, Any]:
    """(low, high) of an integer field: the narrowest of its validators and the range of its column."""
    low = [v.limit_value for v in field.validators if isinstance(v, MinValueValidator)]
    high = [v.limit_value for v in field.validators if isinstance(v, MaxValueValidator)]
    return max(low), min(high)


READERS = (
    (models.BooleanField, _yes_or_no),
    (models.IntegerField, _whole_number),
    (models.FloatField, _number),
    (models.DateTimeField, _moment),
    (models.CharField | models.TextField, _text),
)
