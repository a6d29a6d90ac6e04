"""What is stored: JSON that PostgreSQL can (no NUL, no lone surrogate, not nested too deeply), text in one form."""

import unicodedata
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


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
    """Refuses JSON that the database could not store."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            data = super().parse(stream, media_type, parser_context)
            fits = storable(data)
        except RecursionError:
            fits = False
        if not fits:
            raise ParseError("The JSON contains a NUL or a lone surrogate, or is nested too deeply.")
        return data
