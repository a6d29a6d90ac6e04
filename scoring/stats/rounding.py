"""How a computed figure is written down: rounded, so that computing it again gives the same characters."""

DIGITS = 6


def rounded(value) -> float:
    """The number to DIGITS decimals, and never -0.0."""
    return round(float(value), DIGITS) + 0.0


def rounded_floats(figures: dict) -> dict:
    """{name: value} with every float rounded, and the rest as it is."""
    return {name: rounded(value) if isinstance(value, float) else value for name, value in figures.items()}
