"""docs/asvs.md has every requirement of levels 1 and 2 of ASVS 4.0.3 once, and the tests that it names are there."""

import re

from django.conf import settings

ROW = re.compile(r"^\| ([\d., -]+) \| ([^|]+) \| (yes|no|host|none) \| (.+) \|$", re.MULTILINE)
# {section: its requirements of levels 1 and 2}. What is missing is of level 3, or was withdrawn.
REQUIREMENTS = {
    "1.1": "1-7", "1.2": "1-4", "1.4": "1 4-5", "1.5": "1-4", "1.6": "1-4", "1.7": "1-2", "1.8": "1-2", "1.9":
    "1-2", "1.10": "1", "1.11": "1-2", "1.12": "2", "1.14": "1-6", "2.1": "1-12", "2.2": "1-3", "2.3": "1-3", "2.4":
    "1-5", "2.5": "1-7", "2.6": "1-3", "2.7": "1-6", "2.8": "1-7", "2.9": "1-3", "2.10": "1-4", "3.1": "1", "3.2":
    "1-4", "3.3": "1-4", "3.4": "1-5", "3.5": "1-3", "3.7": "1", "4.1": "1-3 5", "4.2": "1-2", "4.3": "1-3", "5.1":
    "1-5", "5.2": "1-8", "5.3": "1-10", "5.4": "1-3", "5.5": "1-4", "6.1": "1-3", "6.2": "1-6", "6.3": "1-2", "6.4":
    "1-2", "7.1": "1-4", "7.2": "1-2", "7.3": "1 3-4", "7.4": "1-3", "8.1": "1-4", "8.2": "1-3", "8.3": "1-8",
    "9.1": "1-3", "9.2": "1-4", "10.2": "1-2", "10.3": "1-3", "11.1": "1-8", "12.1": "1-3", "12.2": "1", "12.3":
    "1-6", "12.4": "1-2", "12.5": "1-2", "12.6": "1", "13.1": "1 3-5", "13.2": "1-3 5-6", "13.3": "1-2", "13.4":
    "1-2", "14.1": "1-4", "14.2": "1-6", "14.3": "2-3", "14.4": "1-7", "14.5": "1-4",
}  # fmt: skip


def numbers(text):
    """["2.7.1", "2.7.2", "2.7.3"] of "2.7.1-2.7.3", and of several with commas between."""
    for part in text.split(", "):
        first, _, last = part.partition("-")
        section, _, low = first.rpartition(".")
        for number in range(int(low), int((last or first).rpartition(".")[2]) + 1):
            yield f"{section}.{number}"


def rows():
    page = (settings.BASE_DIR / "docs" / "asvs.md").read_text(encoding="utf-8")
    return ROW.findall(page), page


def test_every_requirement_stands_there_once():
    found = [number for named, *_ in rows()[0] for number in numbers(named)]
    wanted = [f"{section}.{n}" for section, spans in REQUIREMENTS.items() for span in spans.split()
              for n in range(int(span.split("-")[0]), int(span.split("-")[-1]) + 1)]  # fmt: skip
    assert len(wanted) == 259
    assert sorted(found) == sorted(wanted)


def test_every_row_of_the_page_is_read():
    found, page = rows()
    assert len(found) == sum(line.startswith("| ") and line[2].isdigit() for line in page.splitlines())


def test_the_tests_that_it_names_are_there():
    _, page = rows()
    named = set(re.findall(r"`(test_\w+)`", page))
    there = {
        name
        for file in (settings.BASE_DIR / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 80
    assert named - there == set()
