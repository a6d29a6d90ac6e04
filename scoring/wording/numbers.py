"""Numbers as text in the reader's language. An unknown value is a dash, never a zero."""

from django.utils.formats import number_format

DASH = "–"  # noqa: RUF001
MINUS = "−"  # noqa: RUF001


def signed(value: float | None, digits: int = 2) -> str:
    """1.5 as +1.50, with a typographic minus sign and the language's decimal mark."""
    if value is None:
        return DASH
    text = f"{abs(value):.{digits}f}"
    sign = "" if float(text) == 0 else "+" if value > 0 else MINUS
    return sign + number_format(text)


def plus_minus(stderr: float | None, digits: int = 2) -> str:
    """A standard error as "± 0.12"; an empty text if there is none."""
    return "" if stderr is None else f"± {number_format(f'{stderr:.{digits}f}')}"


def percent(share: float | None) -> str:
    return DASH if share is None else f"{100 * share:.0f} %"


def figure(value: float | None, digits: int = 3) -> str:
    """0.0341 as 0.034, with the reader's decimal mark; a dash for an unknown value."""
    return DASH if value is None else number_format(f"{value:.{digits}f}")


def share(value: float | None) -> str:
    """0.7086 as 70.9 %."""
    return DASH if value is None else f"{number_format(f'{100 * value:.1f}')} %"


def p_value(value: float) -> str:
    return f"< {number_format('0.0001')}" if value < 0.0001 else f"= {number_format(f'{value:.2g}')}"


def chance(p: float | None) -> str:
    """A probability: 43 %; never 0 % or 100 % for what was merely never, or always, drawn."""
    if p is None:
        return DASH
    if 0 < p < 0.01:
        return "< 1 %"
    if 0.99 < p < 1:
        return "> 99 %"
    return f"{100 * p:.0f} %"
