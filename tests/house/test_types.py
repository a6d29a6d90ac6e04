"""The type checker finds what it should, where it should. `make lint` runs it over everything."""

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
APPS = ("arena", "annotations", "scoring")
STRICT_ROOM, BASIC_ROOM = "scoring/stats/rounding.py", "annotations/alarms.py"
NOTHING_IS_OPENED = {"SECRET_KEY": "none", "DATABASE_URL": "postgres://none", "REDIS_URL": "redis://none"}


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """What the checker says of a file, (exit status, text), as if these lines stood at its end."""
    folder = tmp_path_factory.mktemp("types")

    def run(file: str, planted: str = "") -> tuple[int, str]:
        as_if = folder / "as_if.py"
        as_if.write_text((CHECKOUT / file).read_text() + planted)
        mypy = [sys.executable, "-m", "mypy", "--cache-dir", folder / "cache", "--shadow-file", file, as_if, file]
        checked = subprocess.run(
            mypy, cwd=CHECKOUT, env=os.environ | NOTHING_IS_OPENED, capture_output=True, text=True, check=False
        )
        return checked.returncode, checked.stdout + checked.stderr

    return run


@pytest.mark.parametrize("file", [STRICT_ROOM, BASIC_ROOM])
def test_a_file_without_a_mistake_passes(check, file):
    assert check(file) == (0, "Success: no issues found in 1 source file\n")


def test_a_wrong_return_type_is_found(check):
    status, says = check(STRICT_ROOM, '\n\ndef planted() -> int:\n    return "a text"\n')
    assert status == 1 and "[return-value]" in says, says


def test_a_strict_room_wants_every_signature_annotated(check):
    status, says = check(STRICT_ROOM, "\n\ndef planted(value):\n    return value\n")
    assert status == 1 and "[no-untyped-def]" in says, says


def test_a_field_that_a_model_does_not_have_is_found_anywhere_also_without_annotations(check):
    planted = "\n\ndef planted():\n    return Battle.objects.get(pk=1).no_such_field\n"
    status, says = check(BASIC_ROOM, "\n\nfrom arena.models import Battle\n" + planted)
    assert status == 1 and '"Battle" has no attribute "no_such_field"' in says, says


def test_all_that_may_not_know_django_is_strict():
    tools = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]
    [pure] = [c for c in tools["importlinter"]["contracts"] if c["name"] == "No Django in what is pure"]
    strict = [
        name for rule in tools["mypy"]["overrides"] if rule.get("disallow_untyped_defs") for name in rule["module"]
    ]
    not_strict = [
        module
        for module in pure["source_modules"]
        if not any(fnmatch(module, name.removesuffix(".*")) for name in strict)
    ]
    assert not not_strict


def test_public_functions_say_what_they_take_and_give():
    silent = []
    for path in sorted(path for app in APPS for path in (CHECKOUT / app).rglob("*.py")):
        file = path.relative_to(CHECKOUT)
        if "migrations" not in file.parts:
            silent += [f"{file}: {name}" for name in _unannotated(ast.parse(path.read_text()).body)]
    assert not silent


def _unannotated(body: list[ast.stmt]) -> Iterator[str]:
    """The public functions, and methods of public classes, of which an argument or the result has no type."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _unannotated(node.body)
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
            untyped = [a for a in every if a and a.arg not in ("self", "cls") and not a.annotation]
            if untyped or not node.returns:
                yield node.name


def test_what_the_checker_is_told_to_ignore_is_little_and_says_why():
    ignored = [
        f"{path}: {line.strip()}"
        for app in APPS
        for path in sorted((CHECKOUT / app).rglob("*.py"))
        for line in path.read_text().splitlines()
        if "type: ignore" in line
    ]
    assert len(ignored) <= 20
    without_reason = [line for line in ignored if not line.partition("type: ignore")[2].partition("#")[2].strip()]
    assert not without_reason
