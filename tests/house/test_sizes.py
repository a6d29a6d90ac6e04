"""Code that can be read without scrolling: no long functions, no long files."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST_FUNCTION, LONGEST_FILE = 60, 400  # lines, docstrings included
TRAINING_LOOP = "scoring/reward/train.py:train"  # reads from top to bottom in one function, on purpose


def production_files():
    paths = [path for app in ("arena", "annotations", "scoring") for path in (ROOT / app).rglob("*.py")]
    return [path.relative_to(ROOT) for path in paths if "migrations" not in path.parts]


def long_functions(name, source, limit=LONGEST_FUNCTION):
    """["file:function: lines"] of the functions over the limit, without their decorators."""
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {f"{name}:{function.name}": function.end_lineno - function.lineno + 1 for function in functions}
    return [f"{place}: {length} lines" for place, length in lengths.items() if length > limit]


def test_a_long_function_is_found_wherever_it_is_defined():
    source = "class A:\n    async def b(self):\n        def c():\n            x = 1\n            y = 2\n"
    assert long_functions("f.py", source, limit=3) == ["f.py:b: 4 lines"]


def test_no_function_but_the_training_loop_has_over_sixty_lines():
    found = [place for name in production_files() for place in long_functions(name, (ROOT / name).read_text())]
    assert [place for place in found if not place.startswith(f"{TRAINING_LOOP}:")] == []


def test_no_file_has_over_four_hundred_lines():
    lengths = {str(name): len((ROOT / name).read_text().splitlines()) for name in production_files()}
    assert len(lengths) > 200, "the files were not listed"
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}
