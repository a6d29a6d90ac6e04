"""What is stored: JSON that PostgreSQL can (no NUL, no lone surrogate, not nested too deeply), text in one form."""

import io
import unicodedata
from typing import Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from .refusals import TooLarge


def storable(value: Any) -> bool:
    """Whether every text in a JSON value can be stored. RecursionError for one nested too deeply."""
    if isinstance(value, str):
        return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, dict):
        return all(storable(part) for item in value.items() for part in item)
    return all(map(storable, value)) if isinstance(value, list) else True


def nfc(text: str) -> str:
    """The text in Unicode's composed form (NFC): however an accent was typed, a name is one name. Names of systems,
    prompts and raters' labels are stored so."""
    return unicodedata.normalize("NFC", text)


class StorableJSONParser(JSONParser):
    """Refuses JSON that the database could not store, and bodies of more than DATA_UPLOAD_MAX_MEMORY_SIZE bytes, of
    which no more than that is read: where REST framework reads the stream, Django's own limit does not apply."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(most + 1)
        if len(body) > most:
            raise TooLarge(f"A request body may have {most:,} bytes.")
        try:
            data = super().parse(io.BytesIO(body), media_type, parser_context)
            fits = storable(data)
        except RecursionError:
            fits = False
        if not fits:
            raise ParseError("The JSON contains a NUL or a lone surrogate, or is nested too deeply.")
        return data
