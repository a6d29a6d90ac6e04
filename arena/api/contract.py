"""What every endpoint shares: strict requests, answers that are as they are declared, and how a refusal looks.

The shape of an answer is declared once, as an `Answer`. The OpenAPI document is generated from it (`extend_schema`),
and `answer` checks by it what it sends.
"""

import logging
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from drf_spectacular.plumbing import get_lib_doc_excludes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.response import Response

logger = logging.getLogger(__name__)


class StrictSerializer(serializers.Serializer):
    """A serializer that refuses unknown fields by name instead of dropping them."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({name: ["Unknown field."] for name in unknown})
        return super().to_internal_value(data)


def validated(serializer_class: type[serializers.Serializer], data: Any) -> Any:
    """What a request asks, in Python's types. One instance for all requests: making one copies every field of it, and
    takes longer than the rest."""
    if data is None:
        raise serializers.ValidationError({"non_field_errors": ["No data provided"]})
    return _shape(serializer_class).run_validation(data)


# ---- answers ------------------------------------------------------------------------------------------


class Answer(serializers.Serializer):
    """The shape of an answer, or of a part of one. `required=False`: a key that may be missing; `allow_null=True`: a
    value that may be null. A name that Python keeps for itself is declared with an underscore after it (`from_`)."""

    def get_fields(self) -> dict[str, serializers.Field]:
        return {name.removesuffix("_"): field for name, field in super().get_fields().items()}


COMPOSITE = (Answer, serializers.ListSerializer, serializers.ListField, serializers.DictField)


def answer(shape: type[Answer], content: dict[str, Any], **response: Any) -> Response:
    """The Response with `content`, a dict that is as `shape`, an Answer class, declares it. Nothing is converted, so
    that a declaration cannot change what is sent. response: keyword arguments of Response."""
    for mismatch in mismatches(_shape(shape), content, shape.__name__):
        report_mismatch(mismatch)
    return Response(content, **response)


def report_mismatch(sentence: str) -> None:
    """An answer that is not as declared is still the answer to a question, so it is sent, and the log says what is
    wrong with the declaration. In the tests it is an error."""
    logger.error("The API description is wrong: %s", sentence)


def mismatches(field: Any, value: Any, path: str) -> Iterator[str]:
    """A sentence for every key of `value` that is missing or not declared, and for every null that may not be."""
    if value is None:
        if not field.allow_null:
            yield f"{path} is null."
    elif isinstance(field, Answer):
        yield from _mismatches_of_keys(field.fields, value, path)
    elif isinstance(field, serializers.ListSerializer | serializers.ListField):
        for place, item in enumerate(value):
            yield from mismatches(field.child, item, f"{path}[{place}]")
    elif isinstance(field, serializers.DictField):
        for name, item in value.items():
            yield from mismatches(field.child, item, f"{path}.{name}")


def _mismatches_of_keys(fields, value, path):
    if not isinstance(value, Mapping):
        yield f"{path} is no object."
        return
    for name in value.keys() - fields.keys():
        yield f"{path}.{name} is not declared."
    for name, part in fields.items():
        if name not in value:
            if part.required:
                yield f"{path}.{name} is missing."
        elif value[name] is None or isinstance(part, COMPOSITE):  # of the rest, most of an answer, all is said
            yield from mismatches(part, value[name], f"{path}.{name}")


@cache
def _shape(shape):
    """One instance for all answers: it holds no data, and to make one is slower than to check an answer."""
    return shape()


def bases_without_words() -> list[type]:
    """Classes whose docstrings are for who writes endpoints: no words for the OpenAPI document."""
    return [*get_lib_doc_excludes(), StrictSerializer, Answer]


# ---- refusals -----------------------------------------------------------------------------------------


class MissingMs(Answer):
    A = serializers.IntegerField()
    B = serializers.IntegerField()


class UnscoredFile(Answer):
    index = serializers.IntegerField(help_text="Its place in the request, from 0.")
    filename = serializers.CharField()
    error = serializers.CharField()


class Refused(Answer):
    """A code for programs and a sentence for people. The rest comes with some codes only."""

    code = serializers.CharField()
    detail = serializers.CharField()
    retry_after_s = serializers.IntegerField(required=False, help_text="When to try again; also a header.")
    consent_version = serializers.IntegerField(required=False, help_text="With consent_outdated: the current one.")
    challenge = serializers.CharField(required=False, help_text="With proof_needed: what to answer.")
    bits = serializers.IntegerField(required=False, help_text="With proof_needed: zero bits of each hash.")
    parts = serializers.IntegerField(required=False, help_text="With proof_needed: how many numbers.")
    missing_ms = MissingMs(required=False, help_text="With not_heard: what is still to be heard of each clip.")
    open = serializers.IntegerField(required=False, help_text="With not_finished: battles left.")
    id = serializers.UUIDField(required=False, help_text="With bad_audio: the job's.")
    filename = serializers.CharField(required=False, help_text="With bad_audio: the file that has no reward.")
    files = UnscoredFile(many=True, required=False, help_text="With bad_audio: why none has a reward.")


REFUSED = OpenApiResponse(Refused)
# What REST framework says of fields that do not fit: {field: [sentence]}, and so on inside fields that hold others.
_SENTENCES = {"type": "array", "items": {"type": "string"}}
_FIELDS_THAT_DO_NOT_FIT = {
    "type": "object",
    "additionalProperties": {"anyOf": [_SENTENCES, {"type": "object", "additionalProperties": _SENTENCES}]},
}
BAD_REQUEST = OpenApiResponse(
    {"oneOf": [{"$ref": "#/components/schemas/Refused"}, _FIELDS_THAT_DO_NOT_FIT]},
    description="What does not fit, by field; or as every other refusal.",
)


def refusals(*statuses: int) -> dict[int, Any]:
    """{status: how its answer looks}, for `extend_schema(responses=...)`."""
    return {status: BAD_REQUEST if status == 400 else REFUSED for status in statuses}
