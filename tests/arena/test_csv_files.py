"""CSV that spreadsheets do not run and that reads back as it was written."""

import csv
import io
import subprocess
from pathlib import Path

import pandas
import pytest

from arena import csv_files

FORMULAS = ["=1+1", "+cmd", "-cmd|' /C calc'!A0", "@SUM(A1)", "\tx", "\rx", "\nx", "-", "+49 30 1234", "- calm piano"]
HARMLESS = ["", "calm", "it's = fine", "'tis", "''", "2024-01-01", " =1", "a\rb", "a\nb", "a\r\nb", 'a"b', "a,b"]
NUMBERS = ["-1.5", "+3", "-.5", "-2e-07", "1.", "-inf", "nan", "0"]


def written(columns, rows):
    return "".join(csv_files.lines(columns, rows))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_a_spreadsheet_would_run_is_marked_as_text(text):
    assert csv_files.guarded(text) == f"'{text}"


@pytest.mark.parametrize("cell", [*HARMLESS, *NUMBERS, -1.5, 3, None, True, float("-inf")])
def test_other_texts_and_numbers_stay_as_they_are(cell):
    assert csv_files.guarded(cell) is cell


@pytest.mark.parametrize("text", [*FORMULAS, *HARMLESS, *NUMBERS, "'=1", "''-x", "'-1.5", "'"])
def test_every_text_reads_back_as_it_was(text):
    header, row = csv_files.Reader(io.StringIO(written(["name", text], [{"name": text, text: "x"}]), newline=""))
    assert (header, row) == (["name", text], [text, "x"])


def test_line_breaks_of_any_kind_stay_in_their_cell_for_every_reader():
    texts = ["a\rb", "a\nb", "a\r\nb", "end\r"]
    text = written(["n", "text"], [{"n": n, "text": each} for n, each in enumerate(texts)])
    assert [row["text"] for row in csv.DictReader(io.StringIO(text, newline=""))] == texts
    assert pandas.read_csv(io.BytesIO(text.encode()))["text"].tolist() == texts


def test_pandas_reads_the_same_numbers():
    values = [-1.5, 0.1 + 0.2, -2e-7, 1e300, float("-inf")]
    text = written(["typed", "as_text"], [{"typed": value, "as_text": repr(value)} for value in values])
    read = pandas.read_csv(io.BytesIO(text.encode()))
    assert read["typed"].tolist() == read["as_text"].tolist() == values


def test_none_is_an_empty_cell_and_a_row_of_one_empty_cell_is_still_a_row():
    assert written(["a", "b"], [{"a": None, "b": False}]) == "a,b\n,False\n"
    assert list(csv_files.Reader(io.StringIO(written(["a"], [{"a": None}])))) == [["a"], [""]]


def test_a_row_without_one_of_the_columns_is_an_error():
    with pytest.raises(KeyError, match="b"):
        written(["a", "b"], [{"a": 1}])


def test_csv_is_written_in_one_place():
    names = subprocess.run(["git", "ls-files", "*.py"], capture_output=True, text=True, check=True).stdout.split()
    code = {name: Path(name).read_text() for name in names if not name.startswith("tests/")}
    writers = {name for name, text in code.items() if "csv.writer" in text or "csv.DictWriter" in text}
    assert writers <= {"arena/csv_files.py"}
