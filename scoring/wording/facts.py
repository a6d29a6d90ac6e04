"""Facts as a line of text, for the admin and the commands."""

from collections.abc import Mapping
from typing import Any


def facts(values: Mapping[str, Any]) -> str:
    """{name: value} as "name value, name value"."""
    return ", ".join(f"{name.replace('_', ' ')} {short(value)}" for name, value in values.items())


def short(value: Any) -> str:
    """A number with four digits, the content of lists and dicts in a row."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return f"({facts(value)})"
    if isinstance(value, list | tuple):
        return ", ".join(map(short, value)) or "none"
    return str(value)
