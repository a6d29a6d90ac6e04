"""How a computed figure is written down: rounded, so that computing it again gives the same characters."""

from typing import Any, SupportsFloat

DIGITS = 6


def rounded(value: SupportsFloat) -> float:
    """The number to DIGITS decimals, and never -0.0."""
    return round(float(value), DIGITS) + 0.0


def rounded_floats(figures: dict[str, Any]) -> dict[str, Any]:
    """{name: value} with every float rounded, and the rest as it is."""
    return {name: rounded(value) if isinstance(value, float) else value for name, value in figures.items()}
