"""Tables and figures as plain text, for commands to print."""

from collections.abc import Sequence

NOTHING = "-"


def aligned(header: Sequence[str] | None, rows: Sequence[Sequence[str]], *, left: int = 1, indent: str = "  ") -> str:
    """Columns under their headers, if any, the first `left` to the left and the others to the right."""
    table = [*([tuple(header)] if header else []), *map(tuple, rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return "\n".join(
        (
            indent
            + "  ".join(
                cell.ljust(width) if place < left else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        ).rstrip()
        for row in table
    )


def number(value: float | None, digits: int = 4) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 2) -> str:
    """With its sign, "+0.00" also for what rounds to zero from below."""
    return NOTHING if value is None else f"{round(value, digits) + 0.0:+.{digits}f}"


def percent(share: float | None, digits: int = 2) -> str:
    return NOTHING if share is None else f"{100 * share:.{digits}f}"
