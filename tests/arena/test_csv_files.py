"""CSV that spreadsheets do not run and that reads back as it was written."""

import csv
import io
import re
import subprocess
from pathlib import Path
from urllib.parse import quote

import pandas
import pytest
from django.conf import settings

from arena import csv_files
from arena.models import Prompt, System
from arena.serving import process_cache
from scoring.boards.figures import data as figures
from scoring.boards.refit import refit_board
from scoring.staff.system_report import TABLES
from tests.casts.clips import make_clips
from tests.casts.votes import cast

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


def test_nothing_else_writes_csv():
    """So no file that leaves the arena is without the guard."""
    writers = re.compile(r"csv\.(writer|DictWriter)|\.to_csv\(")
    files = [file for app in ("arena", "annotations", "scoring") for file in (settings.BASE_DIR / app).rglob("*.py")]
    assert [file.name for file in files if writers.search(file.read_text())] == ["csv_files.py"]


@pytest.fixture
def hostile(study):
    """Everything on a board that somebody may name is a formula."""
    systems = [System.objects.create(name=f"=cmd|'/C calc'!A{number}") for number in range(3)]
    study.systems.set(systems)
    make_clips(systems, [Prompt.objects.create(text="@SUM(A1) with a piano")])
    process_cache.forget()
    cast(study, "ABA")
    refit_board(study)
    figures.draw_figures(study)
    return study


def test_no_address_serves_a_cell_that_a_spreadsheet_would_run(hostile, admin_client):
    system = hostile.systems.first()
    report = f"/boards/open/systems/{quote(system.name, safe='')}/data.csv?table="
    addresses = ["/api/exports/votes/?format=csv", "/api/exports/pairs/?format=csv", "/review/data.csv"]
    addresses += [f"/boards/open/plots/{name}.csv" for name in ("intervals", "wins", "history")]
    addresses += [report + table for table in TABLES]
    guarded = 0
    for address in addresses:
        answer = admin_client.get(address)
        assert answer.status_code == 200 and answer["Content-Type"].startswith("text/csv"), address
        for row in csv.reader(io.StringIO(answer.getvalue().decode(), newline="")):
            assert not [
                cell
                for cell in row
                if csv_files.FORMULA.match(cell) and not cell.startswith("'") and not csv_files.NUMBER.fullmatch(cell)
            ], address
            guarded += sum(cell.startswith("'=") for cell in row)
    assert guarded > 10


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
