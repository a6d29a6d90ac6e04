"""Tables that people bring, as CSV or JSON lines: read strictly, every fault in words with its line and what to do.

A file is looked through before its first row is handed out, so that a file whose rows would run together, or that is
in another encoding or dialect, is refused whole. Rows that do not fit are handed out with their problem.
"""

import csv
import io
import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from arena.csv_files import unguarded  # which also raises the limit of a cell

REFUSED, IGNORED, KEPT = "refused", "ignored", "kept"  # what becomes of columns that have no meaning here
JSON_LINES = (".jsonl", ".ndjson")
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
SAVE = "Save it as UTF-8 with commas (in Excel: CSV UTF-8, comma delimited)."
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
BINARY = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b")  # .xlsx and .zip, .xls, .gz
BYTE_ORDER_MARK = "\ufeff"


class BadTable(ValueError):
    """The file cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Row:
    """line: where it begins, from 1. cells: {column: text}; of JSON the values as they are. problem: why it cannot be
    used, "" if it can; then characters that cannot be printed are replaced in the cells."""

    line: int
    cells: dict[str, Any]
    problem: str = ""


@dataclass(frozen=True)
class Columns:
    """required, optional: the names that have a meaning. others: what becomes of further ones. is_row: whether the
    cells of a line, as {column: text}, look like a row; by it rows are found that a stray quote would swallow."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    others: str = REFUSED
    is_row: Callable[[dict[str, Any]], bool] = lambda cells: False

    @property
    def known(self) -> tuple[str, ...]:
        return self.required + self.optional

    def needs(self) -> str:
        optional = f"; {', '.join(self.optional)} are optional" if self.optional else ""
        return f"It needs {', '.join(self.required)}{optional}." if self.required else ""


@dataclass(frozen=True)
class Table:
    """columns: of the header; of JSON lines, which have none, those that are known."""

    columns: tuple[str, ...]
    content: bytes = field(repr=False)
    meaning: Columns
    is_json: bool

    @property
    def ignored(self) -> list[str]:
        return [name for name in self.columns if name not in self.meaning.known]

    def __iter__(self) -> Iterator[Row]:
        rows = _json_rows(self) if self.is_json else _csv_rows(self)
        for row in rows:
            problem = row.problem or _problem(row.cells)
            yield Row(row.line, _printable(row.cells), problem) if problem else row


def read(path: str | Path, meaning: Columns) -> Table:
    """The table of a file; BadTable or OSError if it cannot be used."""
    content = Path(path).read_bytes()
    is_json = str(path).lower().endswith(JSON_LINES)
    _check_kind(content, is_json)
    if is_json:
        if not content.strip():
            raise BadTable(f"The file is empty. {meaning.needs()}".strip())
        return Table(meaning.known, content, meaning, is_json=True)
    header = next(_records(content), None)
    if header is None:
        raise BadTable(f"The file is empty. {meaning.needs()}".strip())
    table = Table(tuple(header[1]), content, meaning, is_json=False)
    _check_header(table.columns, meaning)
    n_rows = sum(1 for row in _csv_rows(table) if not _swallows(row, table))
    if not n_rows:
        raise BadTable("The file has a header and no rows.")
    return table


# ---- the file as a whole --------------------------------------------------------------------------------


def _check_kind(content: bytes, is_json: bool) -> None:
    if content.startswith(BINARY):
        raise BadTable(f"This is a workbook or an archive, not a text file. {SAVE}")
    if content.startswith(UTF_16) or _is_utf_16(content[:16]):
        raise BadTable(f"The file is UTF-16 text (which Excel calls Unicode text). {SAVE}")
    if not is_json and content.removeprefix(BYTE_ORDER_MARK.encode()).lstrip()[:2] in (b'{"', b"[{", b"[\n", b"[\r"):
        raise BadTable("This is JSON, not CSV: write an object on each line, in a file whose name ends in .jsonl.")


def _is_utf_16(head: bytes) -> bool:
    """Whether every other byte is zero, as where UTF-16 without a mark begins with the Latin letters of a header."""
    halves = head[: len(head) // 2 * 2 : 2], head[1::2]
    return any(zeros and not zeros.strip(b"\0") and b"\0" not in others for zeros, others in (halves, halves[::-1]))


def _lines(content: bytes) -> io.TextIOWrapper:
    """The lines with their ends, at line feeds; in a file without any, at carriage returns. A byte that is not UTF-8 is
    a surrogate, which concerns only its own row."""
    newline = "\n" if b"\n" in content or b"\r" not in content else "\r"
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", errors="surrogateescape", newline=newline)


def _check_header(names: tuple[str, ...], meaning: Columns) -> None:
    if len(names) == 1:
        _check_separator(names[0])
    for number, name in enumerate(names, start=1):
        if strange := _not_text(name):
            raise BadTable(f"The name of column {number} {strange}.")
        if not name.strip():
            raise BadTable(
                f"Column {number} has no name: give it one, or remove the comma at the end of each line of the file."
            )
        if _bare_form(name) in map(_bare_form, names[: number - 1]):
            raise BadTable(f"The column {name.strip()} is named twice: rename or remove one of the two.")
    slips = [(name, right) for name in names if (right := _slip(name, meaning.known)) and right not in names]
    if slips:
        raise BadTable("; ".join(f"The column {name!r} should be called {right}" for name, right in slips) + ".")
    missing = [name for name in meaning.required if name not in names]
    unknown = [name for name in names if name not in meaning.known] if meaning.others == REFUSED else []
    if missing or unknown:
        hints = [
            f"is {near[0]} meant by {name!r}?" for name in names
            if name not in meaning.known and (near := get_close_matches(name.lower(), meaning.known, 1))
        ]  # fmt: skip
        raise BadTable(
            f"Columns missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}. "
            f"{'; '.join([meaning.needs(), *hints])}"
        )


def _check_separator(header: str, beside: str = "") -> None:
    """BadTable where the header has separators other than commas (each `beside` a quote)."""
    for separator, called in SEPARATORS.items():
        if beside + separator in header:
            raise BadTable(f"The columns are separated by {called}. {SAVE}")


def _bare_form(name: str) -> str:
    """As which it would be taken for another: without spaces around it, in Unicode's composed form."""
    return unicodedata.normalize("NFC", name.strip())


def _slip(name: str, known: tuple[str, ...]) -> str | None:
    """The known name that this one is but for case, spaces, hyphens and underscores; None for a known name itself."""

    def bare(text: str) -> str:
        return "".join(letter for letter in text.lower() if letter.isalnum())

    if name in known:
        return None
    return next((right for right in known if bare(right) == bare(name)), None)


# ---- CSV ------------------------------------------------------------------------------------------------


def _csv_rows(table: Table) -> Iterator[Row]:
    records = _records(table.content)
    next(records)
    n = len(table.columns)
    for line, cells in records:
        if len(cells) == n:
            yield Row(line, dict(zip(table.columns, cells, strict=True)))
        else:
            surplus = ", more cells than the header has columns" if len(cells) > n else ""
            named = dict.fromkeys(table.columns, "") | dict(zip(table.columns, cells, strict=False))
            yield Row(line, named, f"{_count(len(cells), 'cell')} where the header has {n}{surplus}")


def _records(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """(line on which it begins, cells) of each record, empty lines left out. BadTable for a quote that is not right."""
    read_lines: list[str] = []

    def lines() -> Iterator[str]:
        for line in _lines(content):
            read_lines.append(line)
            yield line

    reader = csv.reader(lines(), strict=True)
    number = -1  # of the record; the header is number 0
    while True:
        read_lines.clear()
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if number < 0:
                _check_separator(read_lines[0], beside='"')
            raise BadTable(_fault(error, line, number + 1, read_lines)) from error
        if cells is None:
            return
        if cells:
            number += 1
            yield line, [unguarded(cell) for cell in cells]


def _fault(error: csv.Error, line: int, number: int, lines: list[str]) -> str:
    """What is wrong with the record that begins on this line, number `number` after the header."""
    if "new-line" in str(error):
        return (
            f"Line {line + len(lines) - 1}: a carriage return stands alone, outside quotes: remove it, or put quotes "
            "around the cell."
        )
    if "field larger" in str(error) and not any('"' in text for text in lines):
        return f"Line {line}: a cell is longer than {csv.field_size_limit():,} characters."
    offset, is_closed = _last_quote(lines)
    where = f"Line {line + offset} (row {number})"
    if is_closed:
        return (
            f"{where}: after the closing quote of a cell there is more text. Quotes within a cell are written twice, "
            "with quotes around the cell."
        )
    return (
        f"{where}: the quote that opens here is never closed, so that the rows after it would be lost. Close it; "
        "quotes within a cell are written twice, with quotes around the cell."
    )


def _last_quote(lines: list[str]) -> tuple[int, bool]:
    """The line, from 0, of the quote that opens the last quoted cell; whether it is closed before something that is no
    end of a cell."""
    opened, state = 0, "start"
    for number, line in enumerate(lines):
        for letter in line:
            if state == "quoted":
                state = "closing" if letter == '"' else "quoted"
            elif state == "closing" and letter == '"':
                state = "quoted"
            elif letter in ",\r\n":
                state = "start"
            elif state == "closing":
                return opened, True
            elif state == "start" and letter == '"':
                opened, state = number, "quoted"
            else:
                state = "cell"
    return opened, False


def _swallows(row: Row, table: Table) -> bool:
    """False; BadTable where a line within a cell of this row looks like a row of its own."""
    for text in row.cells.values():
        if "\n" not in text and "\r" not in text:
            continue
        for inner in text.splitlines()[1:]:
            cells = next(csv.reader([inner]), [])
            if len(cells) == len(table.columns) and table.meaning.is_row(dict(zip(table.columns, cells, strict=True))):
                raise BadTable(
                    f"Line {row.line}: a quote that opens in this row takes in the row {inner[:60]!r} too. Close it "
                    "before; quotes within a cell are written twice, with quotes around the cell."
                )
    return False


# ---- JSON lines -----------------------------------------------------------------------------------------


def _json_rows(table: Table) -> Iterator[Row]:
    for line, text in enumerate(_lines(table.content), start=1):
        if not text.strip():
            continue
        try:
            cells = json.loads(text, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            yield Row(line, {}, f"not JSON: {error}")
            continue
        if not isinstance(cells, dict):
            yield Row(line, {}, "not a JSON object")
        elif slips := [(name, right) for name in cells if (right := _slip(name, table.meaning.known))]:
            yield Row(line, cells, "; ".join(f"the key {name!r} should be called {right}" for name, right in slips))
        elif unknown := [name for name in cells if name not in table.meaning.known and table.meaning.others == REFUSED]:
            yield Row(line, cells, f"no column is called {', '.join(map(repr, unknown))}. {table.meaning.needs()}")
        else:
            yield Row(line, cells)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [_bare_form(name) for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"the key {twice!r} is there twice")
    return dict(pairs)


# ---- cells ----------------------------------------------------------------------------------------------


def text(name: str, value: Any, *also: type) -> str:
    """A cell as text, without spaces around it; "" for null. ValueError for a value of JSON that is neither text nor a
    whole number nor of the types `also`."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, *also)):
        raise ValueError(f"{name} is {value!r}, not text")
    return str(value).strip()


def _problem(cells: dict[str, Any]) -> str:
    for name, value in cells.items():
        if isinstance(value, str) and (strange := _not_text(value)):
            return f"{name} {strange}"
    return ""


def _not_text(text: str) -> str:
    """What is wrong with a text that the database could not store; "" for nothing."""
    if "\0" in text:
        return "holds a NUL character: remove it"
    if text.startswith(BYTE_ORDER_MARK):
        return "begins with a byte order mark (U+FEFF), as where two files were joined: remove it"
    for letter in text:
        if "\udc80" <= letter <= "\udcff":
            byte = ord(letter) - 0xDC00
            windows = bytes([byte]).decode("cp1252", errors="replace")
            return (
                f"holds the byte 0x{byte:02X}, not UTF-8 text (in Windows-1252 it is {windows}): save the file as UTF-8"
            )
        if "\ud800" <= letter <= "\udfff":
            return "holds half a surrogate pair, which is no character"
    return ""


def _printable(cells: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if isinstance(value, str)
        else value
        for name, value in cells.items()
    }


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
