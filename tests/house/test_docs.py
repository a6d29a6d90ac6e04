"""The pages in docs/ say what the code says: the data model, the HTTP contract, and what they link to."""

import re
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.conf import settings
from drf_spectacular.generators import SchemaGenerator

from arena.management.commands import data_model

CHECKOUT = Path(settings.BASE_DIR)
PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])
ENDPOINT = re.compile(r"^### `(GET|POST|DELETE|PUT|PATCH) (/api/\S*)`$", re.MULTILINE)
STATUS = re.compile(r"^\| (\d{3}) ", re.MULTILINE)
NAME = re.compile(r"`((?:arena|annotations|scoring)(?:\.\w+)+)`")
PLACE = re.compile(r"`((?:arena|annotations|scoring|static|templates|tests|docs|locale)/[\w./-]*)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("name", data_model.DRAWN_BY)
def test_the_diagrams_of_the_data_model_are_those_of_the_models(name):
    page = (data_model.DOCS / name).read_text(encoding="utf-8")
    drawn = page.partition(data_model.BEGIN)[2].partition(data_model.END)[0]
    assert drawn.strip() == data_model.DRAWN_BY[name](), "`make diagrams` draws them anew"


@pytest.mark.parametrize("app", data_model.APPS)
def test_every_room_of_an_app_has_its_line(app):
    page = (data_model.DOCS / "architecture.md").read_text(encoding="utf-8")
    inside = {path.name + "/" * path.is_dir() for path in (CHECKOUT / app).iterdir()}
    rooms = {f"`{app}/{name}`" for name in inside if not name.startswith("__")}
    assert {room for room in rooms if room not in page} == set()


def test_the_layers_of_scoring_on_the_page_are_those_of_the_contract():
    tools = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    [contract] = [c for c in tools["importlinter"]["contracts"] if c["name"] == "The layers of scoring"]
    layers = [[name for name in re.split(r" [|:] ", layer) if "(" not in name] for layer in contract["layers"]]
    page = (data_model.DOCS / "architecture.md").read_text(encoding="utf-8")
    section = page.partition("## The layers\n")[2].partition("\n## ")[0]
    assert [line.split(", ") for line in re.findall(r"^\d+\. (.+)$", section, re.MULTILINE)] == layers


def is_there(dotted):
    """Whether a dotted name leads to a module, or to what one holds."""
    parts = dotted.split(".")
    last = next((n for n in range(len(parts), 0, -1) if _is_module(parts[:n])), 0)
    found = import_module(".".join(parts[:last]))
    for name in parts[last:]:
        found = getattr(found, name, None)
    return found is not None


def _is_module(parts):
    try:
        return find_spec(".".join(parts)) is not None
    except ModuleNotFoundError:  # its parent is no package
        return False


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: str(page.relative_to(CHECKOUT))
)
def test_names_and_files_of_the_code_are_those_of_today(page):
    text = page.read_text(encoding="utf-8")
    assert [name for name in NAME.findall(text) if not is_there(name)] == []
    assert [place for place in PLACE.findall(text) if not (CHECKOUT / place).exists()] == []


def described():
    """{(method, path): its section} of docs/api.md."""
    page = (CHECKOUT / "docs" / "api.md").read_text(encoding="utf-8")
    parts = ENDPOINT.split(page)[1:]
    sections = (re.split(r"^##+ ", text, maxsplit=1, flags=re.MULTILINE)[0] for text in parts[2::3])
    return dict(zip(zip(parts[::3], parts[1::3], strict=True), sections, strict=True))


@pytest.fixture(scope="module")
def operations():
    """{(method, path): operation} of the generated OpenAPI schema."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    return {
        (method.upper(), path): operation for path, methods in paths.items() for method, operation in methods.items()
    }


def test_the_contract_lists_every_endpoint_and_no_other(operations):
    assert set(described()) == set(operations)


def test_the_contract_gives_the_reason_of_every_status_in_the_schema(operations):
    for endpoint, section in described().items():
        missing = set(operations[endpoint]["responses"]) - set(STATUS.findall(section))
        assert not missing, f"docs/api.md, {endpoint}: {', '.join(sorted(missing))}"


def test_the_contract_names_every_parameter_in_the_schema(operations):
    for endpoint, section in described().items():
        for parameter in operations[endpoint].get("parameters", ()):
            assert f"`{parameter['name']}`" in section or f"{{{parameter['name']}}}" in endpoint[1], (
                f"docs/api.md, {endpoint}: {parameter['name']}"
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_between_pages_lead_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        target = link.partition("#")[0]
        if target and not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), link
