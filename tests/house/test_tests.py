"""The rules of the tests themselves: what may be shared, and from where."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FILES = sorted(TESTS.rglob("*.py"))


def tree_of(path):
    return ast.parse(path.read_text(), str(path))


def imported_modules(tree):
    """The dotted name of every module that a file imports, or imports from; of a name imported, too: it may be one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_fixture(decorator):
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called) in ("pytest.fixture", "fixture")


def test_files_of_tests_share_casts_and_never_import_from_each_other():
    imported = [
        (str(path.relative_to(TESTS)), module)
        for path in FILES
        for module in imported_modules(tree_of(path))
        if module.startswith("tests.") and any(p == "conftest" or p.startswith("test_") for p in module.split("."))
    ]
    assert imported == [], "move what is shared into tests/casts/, fixtures into the conftest.py of a common folder"


def test_fixtures_stand_in_the_file_that_uses_them_or_in_a_conftest():
    elsewhere = [
        f"{path.relative_to(TESTS)}: {node.name}"
        for path in FILES
        if path.name != "conftest.py" and not path.name.startswith("test_")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef) and any(map(is_fixture, node.decorator_list))
    ]
    assert elsewhere == [], "a fixture that is imported needs a noqa in every file; a conftest.py does not"


@pytest.mark.parametrize(
    "line", ["from tests.arena.test_run import free_port", "import tests.conftest", "from tests.arena import test_run"]
)
def test_an_import_from_another_file_of_tests_would_be_noticed(line):
    assert any("test_run" in module or "conftest" in module for module in imported_modules(ast.parse(line)))
