"""Boards for staff only: no page, file or endpoint about them answers anybody else."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from drf_spectacular.generators import SchemaGenerator

from scoring.boards import categories
from scoring.boards.figures import data as figures
from scoring.boards.refit import refit_board
from scoring.pages.urls import urlpatterns
from tests.casts.votes import cast

ARGUMENTS = {"slug": "open", "name": "alder", "form": "csv", "format": "json"}
ARGUMENTS_OF = {"plot-data": {"name": "wins"}}  # by the name of the address, where ARGUMENTS do not fit
QUERIES = {"system-data": "?table=clips", "/api/editions/compare/": "&from=1&to=2"}  # what cannot be left out
FOR_RESEARCHERS = {"/api/exports/{content}/", "/api/score/{job_id}/"}  # with a token, whoever may see the boards


def pages():
    """The addresses of all pages and files about the boards of a study: of those that name it."""
    for pattern in urlpatterns:
        names = pattern.pattern.regex.groupindex
        if "slug" in names:
            arguments = ARGUMENTS | ARGUMENTS_OF.get(pattern.name, {})
            address = reverse(pattern.name, kwargs={name: arguments[name] for name in names})
            yield address + QUERIES.get(pattern.name, "")


def endpoints():
    """The addresses of all endpoints about the boards of a study: of those with the parameter `study`."""
    for path, methods in SchemaGenerator().get_schema(request=None, public=True)["paths"].items():
        parameters = {parameter["name"] for parameter in methods.get("get", {}).get("parameters", ())}
        if "study" in parameters and path not in FOR_RESEARCHERS:
            yield f"{path}?study=open{QUERIES.get(path, '')}"


@pytest.fixture
def for_staff(study):
    for _ in range(2):
        cast(study, "ABAB")
        refit_board(study)
    categories.compute_categories(study)
    figures.draw_figures(study)
    study.boards_public = False
    study.save()
    return study


def sees(client, address):
    """Whether the client is shown what is there; else it is refused or, on pages of staff, sent to log in."""
    answer = client.get(address)
    if answer.status_code == 302:
        assert answer["Location"].startswith("/admin/login/"), address
        return False
    assert answer.status_code in (200, 403), address
    return answer.status_code == 200


def test_there_are_addresses_to_ask():
    assert {"/boards/open/", "/boards/open/plots/wins.csv", "/boards/open/method/"} <= set(pages())
    assert {"/api/leaderboard/?study=open", "/api/exclusions/?study=open"} <= set(endpoints())


def test_boards_for_staff_are_seen_by_staff_alone(for_staff, client):
    addresses = [*pages(), *endpoints(), "/api/leaderboard/"]
    assert [address for address in addresses if sees(client, address)] == []
    assert "/boards/open/" not in client.get("/").content.decode()
    client.force_login(User.objects.create_user("guest"))
    assert [address for address in addresses if sees(client, address)] == []
    client.force_login(User.objects.create_user("admin", is_staff=True))
    assert [address for address in addresses if not sees(client, address)] == []
    assert "/boards/open/" in client.get("/").content.decode()


def test_no_shared_cache_keeps_them(for_staff, client):
    client.force_login(User.objects.create_user("admin", is_staff=True))
    for address in (*pages(), *endpoints()):
        assert client.get(address).headers.get("Cache-Control") == "private, no-store", address
