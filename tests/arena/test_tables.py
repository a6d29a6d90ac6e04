"""Tables of other people: what their programs write is read, or refused with the line and what to do."""

import json

import pytest

from arena import tables

COLUMNS = tables.Columns(("path", "system", "prompt"), ("tags",), is_row=lambda cells: cells["path"].endswith(".wav"))
HEADER = "path,system,prompt\n"


@pytest.fixture
def table(tmp_path):
    def write(content, columns=COLUMNS, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tables.read(path, columns)

    return write


def cells(table):
    return [list(row.cells.values()) for row in table]


def refused(table, content, **how):
    with pytest.raises(tables.BadTable) as refusal:
        list(table(content, **how))
    return str(refusal.value)


# ---- what is read ----


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_a_byte_order_mark_make_no_difference(table, end, mark):
    text = mark + end.join(["path,system,prompt", "a.wav,s,p", "", 'b.wav,s,"q, r"']) + end
    assert cells(table(text)) == [["a.wav", "s", "p"], ["b.wav", "s", "q, r"]]
    assert [row.line for row in table(text)] == [2, 4]


def test_quotes_in_a_cell_and_cells_of_several_lines_are_kept_as_they_are(table):
    text = HEADER + 'a.wav,s,12" vinyl\nb.wav,s,"a ""b"", c"\nc.wav,s,"one\r\ntwo, three\r\n\rfour"\nd.wav,s,p\n'
    assert [row[2] for row in cells(table(text))] == ['12" vinyl', 'a "b", c', "one\r\ntwo, three\r\n\rfour", "p"]
    assert [row.line for row in table(text)] == [2, 3, 4, 7]


def test_the_mark_against_formulas_is_taken_off(table):
    assert cells(table(HEADER + "a.wav,s,'=1+1\n")) == [["a.wav", "s", "=1+1"]]


def test_columns_without_a_meaning_are_refused_ignored_or_kept(table):
    text = "path,system,prompt,mood\na.wav,s,p,calm\n"
    assert "unknown: mood" in refused(table, text)
    for others in (tables.IGNORED, tables.KEPT):
        read = table(text, tables.Columns(COLUMNS.required, COLUMNS.optional, others))
        assert read.ignored == ["mood"]
        assert next(iter(read)).cells["mood"] == "calm"


# ---- files that are refused whole ----


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "The file is empty. It needs path, system, prompt; tags are optional."),
        ("\n\n", "The file is empty."),
        (HEADER, "The file has a header and no rows."),
        ("path;system;prompt\na.wav;s;p, q\n", "The columns are separated by semicolons. Save it as UTF-8 with commas"),
        ("path\tsystem\tprompt\na.wav\ts\tp\n", "The columns are separated by tabs."),
        ("path,system,prompt,\na.wav,s,p,\n", "Column 4 has no name: give it one, or remove the comma at the end"),
        ("path,system,prompt,prompt\na.wav,s,p,q\n", "The column prompt is named twice"),
        ("path,system\na.wav,s\n", "Columns missing: prompt"),
        ("path,system,promt\na.wav,s,p\n", "is prompt meant by 'promt'?"),
        ("Path, system,prompt\na.wav,s,p\n", "The column 'Path' should be called path; The column ' system' should be"),
        ("path,system,prompt,TAGS\na.wav,s,p,t\n", "The column 'TAGS' should be called tags"),
        ("path,system,prom\0pt\na.wav,s,p\n", "The name of column 3 holds a NUL character"),
        ("path,system,prompt,pr\xe9f\xe9r\xe9\n".encode("cp1252"), "column 4 holds the byte 0xE9, not UTF-8 text"),
        (HEADER.encode("utf-16"), "The file is UTF-16 text (which Excel calls Unicode text). Save it as UTF-8"),
        (HEADER.encode("utf-16-le"), "The file is UTF-16 text"),
        (b"PK\x03\x04" + bytes(100), "This is a workbook or an archive"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), "This is a workbook or an archive"),
        (b"\x1f\x8b\x08" + bytes(100), "This is a workbook or an archive"),
        ('"path";"system";"prompt"\n"a.wav";"s";"p, q"\n', "The columns are separated by semicolons."),
        ('"path"\t"system"\t"prompt"\n"a.wav"\t"s"\t"p"\n', "The columns are separated by tabs."),
        ((HEADER + "a.wav,s," + "\u65cb\u5f8b" * 999).encode("utf-16-be"), "The file is UTF-16 text"),
        ("\ufeff\ufeff" + HEADER + "a.wav,s,p\n", "The name of column 1 begins with a byte order mark"),
        (HEADER[:-1] + ",caf\u00e9,cafe\u0301\na.wav,s,p,1,2\n", "The column cafe\u0301 is named twice"),
        (HEADER[:-1] + ",prompt \na.wav,s,p,q\n", "The column prompt is named twice"),
        ('{"path": "a.wav"}\n', "This is JSON, not CSV: write an object on each line, in a file whose name ends in"),
        (HEADER + "a.wav,s,one\rtwo\nb.wav,s,p\n", "Line 2: a carriage return stands alone, outside quotes"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_with_what_to_do(table, content, sentence):
    assert sentence in refused(table, content)


def test_a_slip_in_an_optional_column_is_not_ignored(table):
    columns = tables.Columns(COLUMNS.required, COLUMNS.optional, tables.IGNORED)
    sentence = refused(table, "path,system,prompt,Tags \na.wav,s,p,t\n", columns=columns)
    assert sentence == "The column 'Tags ' should be called tags."


ROWS = [f"{n}.wav,s,prompt {n}" for n in range(1, 21)]


def with_row(number, text):
    return HEADER + "\n".join([*ROWS[: number - 1], text, *ROWS[number:]]) + "\n"


@pytest.mark.parametrize("number", [1, 7, 20])
def test_an_unclosed_quote_is_named_by_the_line_where_it_opens(table, number):
    sentence = refused(table, with_row(number, f'{number}.wav,s,"oops'))
    assert sentence.startswith(f"Line {number + 1} (row {number}): the quote that opens here is never closed")


def test_the_line_is_that_of_the_quote_and_not_of_its_row(table):
    assert refused(table, with_row(3, '3.wav,"two\nlines","oops')).startswith("Line 5 (row 3): the quote that opens")


def test_text_after_a_closing_quote_is_refused_where_the_cell_begins(table):
    assert refused(table, with_row(4, '4.wav,s,"Heroes" by someone')).startswith("Line 5 (row 4): after the closing")
    text = with_row(4, '4.wav,s,"oops').replace("prompt 9", '"quoted" here')
    assert refused(table, text).startswith("Line 5 (row 4): after the closing quote")


def test_a_quote_that_a_later_one_closes_by_chance_is_noticed_by_the_rows_it_takes_in(table):
    text = with_row(4, '4.wav,s,"oops').replace("prompt 9", 'a 12"')
    sentence = refused(table, text)
    assert sentence.startswith("Line 5: a quote that opens in this row takes in the row '5.wav,s,prompt 5' too.")


def test_a_quote_takes_in_no_row_of_a_file_that_ends_its_lines_with_carriage_returns(table):
    text = HEADER + '1.wav,s,"one\n2.wav,s,two\n3.wav,s,three"\n'
    for end in ("\n", "\r\n", "\r"):
        assert "takes in the row '2.wav,s,two' too" in refused(table, text.replace("\n", end))


# ---- rows that do not fit ----


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"a.wav,s", "2 cells where the header has 3"),
        (b"a.wav", "1 cell where the header has 3"),
        (b"a.wav,s,p,q", "4 cells where the header has 3, more cells than the header has columns"),
        (b"a.wav,s,p,", "4 cells where the header has 3"),
        (b"a.wav,s,nul \0 here", "prompt holds a NUL character: remove it"),
        (b"a.wav,s," + bytes(3000), "prompt holds a NUL character: remove it"),
        ("\ufeffa.wav,s,p".encode(), "path begins with a byte order mark (U+FEFF), as where two files were joined"),
        (
            b"a.wav,M\xfcller,p",
            "system holds the byte 0xFC, not UTF-8 text (in Windows-1252 it is \u00fc): save the file",
        ),
    ],
)
def test_a_row_that_does_not_fit_has_its_line_and_problem_and_the_others_are_read(table, row, problem):
    rows = list(table(HEADER.encode() + b"x.wav,s,p\n" + row + b"\ny.wav,s,p\n"))
    assert [bool(row.problem) for row in rows] == [False, True, False]
    assert rows[1].line == 3
    assert rows[1].problem.startswith(problem)
    for value in rows[1].cells.values():
        value.encode()  # it can be printed


# ---- JSON lines ----


def json_lines(*rows):
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)


GOOD = {"path": "a.wav", "system": "s", "prompt": "p"}


def test_json_lines_are_split_at_line_feeds_only(table):
    text = json_lines({**GOOD, "prompt": "one\rtwo\u2028three\x85four"}, '{"path": "b.wav",\r "system": "s"}', GOOD)
    rows = list(table(text, name="t.jsonl"))
    assert [row.line for row in rows] == [1, 2, 3]
    assert rows[0].cells["prompt"] == "one\rtwo\u2028three\x85four"
    assert rows[1].cells == {"path": "b.wav", "system": "s"}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{broken", "not JSON"),
        ("[]", "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"path": "a", "path": "b"}', "not JSON: the key 'path' is there twice"),
        ('{"caf\u00e9": 1, "cafe\u0301": 2}', "not JSON: the key 'caf\u00e9' is there twice"),
        ({"Path": "a"}, "the key 'Path' should be called path"),
        ({**GOOD, "mood": "good"}, "no column is called 'mood'. It needs path, system, prompt"),
        ({**GOOD, "prompt": "n\0l"}, "prompt holds a NUL character"),
        ({**GOOD, "prompt": "\ud800"}, "prompt holds half a surrogate pair"),
    ],
)
def test_a_line_of_json_that_does_not_fit_is_named(table, row, problem):
    rows = list(table(json_lines(GOOD, row, GOOD), name="t.jsonl"))
    assert [(row.line, bool(row.problem)) for row in rows] == [(1, False), (2, True), (3, False)]
    assert rows[1].problem.startswith(problem)


def test_an_empty_file_of_json_lines_is_refused(table):
    assert "empty" in refused(table, "\n", name="t.jsonl")
