"""CSV as this project writes it and reads it back: quoted by RFC 4180, with no cell that a spreadsheet would run.

Spreadsheets take a text that begins with = + - @, a tab or a line break for a formula, whoever wrote it. Such a text
gets an apostrophe before it, the mark by which spreadsheets know text (OWASP, "CSV Injection"). A text that already
begins with apostrophes before one of these gets one more, so that taking one off again always gives the text back.
Numbers, and texts that are numbers, stay as they are.

Lines end in "\\n". A lone carriage return is quoted too: readers take it for the end of a line.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)
csv.field_size_limit(10_000_000)  # a prompt with lyrics is longer than the module's default for a cell


def guarded(cell: Any) -> Any:
    """The cell, with an apostrophe before it if it is a text that a spreadsheet would take for a formula."""
    if not isinstance(cell, str) or not FORMULA.match(cell) or NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"


def unguarded(text: str) -> str:
    """The text that `guarded` made this of."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The header, then a line for each row, as texts. rows: dicts that have all columns; None is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")  # with "\n" Python 3.11 leaves a lone carriage return unquoted
    yield _line(writer, buffer, columns)
    for row in rows:
        yield _line(writer, buffer, [row[name] for name in columns])


def _line(writer: Any, buffer: io.StringIO, cells: Iterable[Any]) -> str:
    buffer.seek(0)
    buffer.truncate()
    writer.writerow(map(guarded, cells))
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def lines_without_guard(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """As releases were written before method version 5: those stay as published, byte by byte."""
    for cells in chain([columns], ([row[name] for name in columns] for row in rows)):
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow(cells)
        yield buffer.getvalue()


class Reader:
    """The rows of lines of CSV, as lists of texts without the guard; `line_num` as in `csv.reader`."""

    def __init__(self, source: Iterable[str]) -> None:
        self._reader = csv.reader(source)

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        return [unguarded(cell) for cell in next(self._reader)]

    @property
    def line_num(self) -> int:
        return self._reader.line_num
