"""The command `study`: links that invite, the key that signs, and what it refuses."""

import io

import pytest
from django.core.management import CommandError, call_command

from arena.models import Study
from arena.participants import participant_of, return_key


def run(*arguments, stderr=None):
    out = io.StringIO()
    call_command("study", *arguments, stdout=out, stderr=stderr or io.StringIO())
    return out.getvalue().splitlines()


def test_every_invitation_is_a_link_for_another_person(study):
    Study.objects.filter(pk=study.pk).update(access="invited")
    study.refresh_from_db()
    links = run("invite", "open", "--count", "3", "--base-url", "https://listen.example/")
    assert all(link.startswith("https://listen.example/listen/open/?invite=") for link in links)
    assert len({participant_of(study, {}, link.partition("invite=")[2]) for link in links}) == 3


@pytest.fixture
def invited(study):
    Study.objects.filter(pk=study.pk).update(access="invited")


def test_links_lead_to_where_the_arena_is_reached(invited, settings):
    settings.PUBLIC_URL = "http://127.0.0.1:8123"
    said = io.StringIO()
    assert run("invite", "open", stderr=said)[0].startswith("http://127.0.0.1:8123/listen/open/?invite=")
    assert "open on this machine only" in said.getvalue()
    assert run("invite", "open", "--base-url", "https://x.example")[0].startswith("https://x.example/listen/open/")


@pytest.mark.parametrize("base", [[], ["--base-url", "listen.example"], ["--base-url", "https:///"]])
def test_no_link_is_printed_that_leads_nowhere(invited, settings, base):
    settings.PUBLIC_URL = ""
    with pytest.raises(CommandError, match="--base-url"):
        run("invite", "open", *base)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["invite", "open"], "open to everybody"),
        (["invite", "closed", "--count", "0"], "--count 0 is not between 1 and 10000"),
        (["invite", "nowhere"], "There is no study 'nowhere'; there are: closed, open."),
        (["key", "nowhere"], "There is no study"),
        (["dump", "nowhere"], "There is no study"),
    ],
)
def test_what_cannot_be_done_is_told_so(study, arguments, says):
    Study.objects.create(slug="closed", name="x", access="invited")
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    assert says in str(refused.value)


def test_the_key_that_is_printed_is_the_one_that_signs(study):
    assert run("key", "open") == [return_key(study)]
