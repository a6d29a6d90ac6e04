"""Every word a listener reads is there in every language: complete catalogues, whole placeholders, right plurals."""

# ruff: noqa: RUF001

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.conf import settings as django_settings
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.utils import translation
from django.views.defaults import server_error

from arena import language
from scoring.boards.refit import refit_board
from scoring.inputs import NOT_RANKED
from scoring.stats.board_method import QUALITY_RULES
from scoring.wording.boards import EXCLUDED
from tests.casts.votes import cast

CHECKOUT = Path(django_settings.BASE_DIR)
LANGUAGES = ("de", "fr")
DOMAINS = ("django", "djangojs")
CATALOGUES = [(code, domain) for code in LANGUAGES for domain in DOMAINS]
PLURALS = {"de": "nplurals=2; plural=(n != 1);", "fr": "nplurals=2; plural=(n > 1);"}
PLACEHOLDER = re.compile(r"%\(\w+\)s|%%|\{\w*\}|\$\{")
MARKUP = re.compile(r"</?\w+[^>]*>")


def po_file(root, code, domain):
    return root / "locale" / code / "LC_MESSAGES" / f"{domain}.po"


def read(code, domain, root=CHECKOUT):
    with po_file(root, code, domain).open("rb") as file:
        return read_po(file, locale=code, domain=domain)


def entries(catalogue):
    """[(id, singular, plural or None, translations)], without the header."""
    for message in catalogue:
        if message.id:
            ids = message.id if message.pluralizable else (message.id, None)
            yield message, *ids, message.string if message.pluralizable else (message.string,)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The catalogues compiled as the Makefile compiles them, so that these tests need no make before them."""
    folder = tmp_path_factory.mktemp("locale")
    for code, domain in CATALOGUES:
        target = folder / code / "LC_MESSAGES" / f"{domain}.mo"
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            write_mo(file, read(code, domain))
    return folder


@pytest.fixture
def translated(compiled, settings):
    settings.LOCALE_PATHS = [compiled]
    language.words_in.cache_clear()
    yield
    language.words_in.cache_clear()


# ---- the catalogues ----


@pytest.mark.parametrize(("code", "domain"), CATALOGUES)
def test_every_entry_is_translated_and_none_is_a_guess(code, domain):
    catalogue = read(code, domain)
    assert f"{catalogue.plural_forms}".rstrip(";") == PLURALS[code].rstrip(";")
    found = list(entries(catalogue))
    assert found
    for message, singular, plural, strings in found:
        assert "fuzzy" not in message.flags, singular
        assert len(strings) == (1 if plural is None else 2), singular
        assert all(string.strip() for string in strings), singular


@pytest.mark.parametrize(("code", "domain"), CATALOGUES)
def test_no_placeholder_and_no_markup_is_lost_or_made_up(code, domain):
    for _, singular, plural, strings in entries(read(code, domain)):
        forms = zip(strings, (singular, plural or singular), strict=False)
        for string, source in forms:
            for part in (PLACEHOLDER, MARKUP):
                # A singular may say "one" where the English says %(n)s, and the other way round.
                allowed = set(part.findall(singular)) | set(part.findall(plural or ""))
                assert set(part.findall(string)) <= allowed, string
                if plural is None or source == plural:
                    assert sorted(part.findall(string)) == sorted(part.findall(source)), string


@pytest.mark.parametrize("code", LANGUAGES)
def test_listeners_are_addressed_in_one_way(code):
    """German says du and French says vous, everywhere."""
    other = {
        "de": r"\b(Ihnen|Ihre?[nmrs]?)\b|\bSie (haben|können|sind|müssen)\b",
        "fr": r"\b([Tt]u|[Tt]es|[Tt]on|[Tt]oi)\b",
    }
    for domain in DOMAINS:
        for _, _, _, strings in entries(read(code, domain)):
            assert not re.search(other[code], " ".join(strings)), strings


def need_gettext():
    if not (shutil.which("xgettext") and shutil.which("msgmerge")):
        reason = "There is no GNU gettext here; `apt-get install gettext` brings it."
        return pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    """A copy of what holds words, its catalogues brought up to date with them."""
    need_gettext()
    copy = tmp_path_factory.mktemp("checkout")
    for part in ("arena", "annotations", "scoring", "templates", "static", "locale"):
        shutil.copytree(CHECKOUT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "*.mo"))
    shutil.copy(CHECKOUT / "manage.py", copy)
    runs = [
        subprocess.Popen(
            [*f"{sys.executable} manage.py makemessages --no-obsolete".split(), "-d", domain, "-l", LANGUAGES[0]],
            cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for domain in DOMAINS
    ]  # fmt: skip
    for run in runs:
        said, _ = run.communicate(timeout=60)
        assert run.returncode == 0, said
    return copy


@pytest.mark.slow
@pytest.mark.parametrize("domain", DOMAINS)
def test_the_catalogues_hold_what_pages_and_scripts_say_and_nothing_else(extracted, domain):
    said = {message.id for message in read(LANGUAGES[0], domain, extracted) if message.id}
    for code in LANGUAGES:
        known = {message.id for message in read(code, domain) if message.id}
        assert said - known == set(), f"`make messages` adds these to {code}: then translate them"
        assert known - said == set(), f"`make messages` removes these from {code}"


def test_the_catalogues_know_every_reason_for_leaving_a_vote_out():
    assert {*QUALITY_RULES, *NOT_RANKED, "withdrawn", "both_bad"} <= EXCLUDED.keys()


# ---- the pages ----

SENTINELS = {
    "/": {
        "en": ["Two clips, one prompt, your ears.", "Start listening", "Full board"],
        "de": ["Zwei Clips, ein Prompt, deine Ohren.", "Jetzt anhören", "Ganze Rangliste"],
        "fr": ["Deux extraits, un prompt, vos oreilles.", "Commencer l’écoute", "Classement complet"],
    },
    "/boards/open/": {
        "en": ["Ratings", "How this was computed", "A tie is half a win for each side."],
        "de": ["Wertungen", "Wie das berechnet wurde", "Ein Unentschieden ist für beide Seiten ein halber Sieg."],
        "fr": ["Scores", "Comment ce classement est calculé", "Une égalité vaut une demi-victoire pour chacun."],
    },
    "/nothing/here/": {
        "en": ["There is no page at this address."],
        "de": ["Unter dieser Adresse gibt es keine Seite."],
        "fr": ["Il n’y a aucune page à cette adresse."],
    },
}  # fmt: skip


@pytest.fixture
def rated(study, translated):
    cast(study, ["A", "TIE", "BOTH_BAD"])  # one win, so that no other can undo it: some rating is not zero
    refit_board(study)
    return study


@pytest.mark.parametrize("code", ["en", *LANGUAGES])
@pytest.mark.parametrize("path", SENTINELS)
def test_a_page_speaks_the_browsers_language_and_no_other(rated, client, path, code):
    answer = client.get(path, headers={"Accept-Language": f"{code}-XX, en;q=0.5"})
    page = answer.content.decode()
    assert f'<html lang="{code}">' in page and answer["Content-Language"] == code
    for other, sentences in SENTINELS[path].items():
        for sentence in sentences:
            assert (sentence in page) is (other == code), sentence
    assert {"Accept-Language", "Cookie"} <= set(re.split(r", *", answer["Vary"]))


def test_numbers_and_dates_are_written_as_the_reader_writes_them(rated, client):
    german = client.get("/boards/open/", headers={"Accept-Language": "de"}).content.decode()
    english = client.get("/boards/open/").content.decode()
    decimal = r"[+−]\d{}\d\d\s*<span>"
    assert re.search(decimal.format(","), german) and not re.search(decimal.format(r"\."), german)
    assert re.search(decimal.format(r"\."), english) and not re.search(decimal.format(","), english)
    places = r'x1="\d+\.\d+%"'  # of the plot: a browser reads only points
    assert re.findall(places, german) == re.findall(places, english) != []


def test_the_language_chosen_in_the_footer_is_remembered_and_the_page_kept(rated):
    client = Client(enforce_csrf_checks=True, headers={"Accept-Language": "fr"})
    path = "/boards/open/?edition=1&PROLIFIC_PID=x"
    page = client.get(path).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    form = {
        "csrfmiddlewaretoken": token,
        "next": re.search(r'name="next" value="([^"]+)"', page)[1].replace("&amp;", "&"),
    }
    answer = client.post("/i18n/setlang/", {**form, "language": "de"})
    assert (answer.status_code, answer["Location"]) == (302, path)
    cookie = client.cookies["django_language"]
    assert (cookie.value, cookie["samesite"], bool(cookie["httponly"])) == ("de", "Lax", True)
    assert cookie["max-age"] > 30 * 24 * 3600
    again = client.get(path).content.decode()
    assert '<html lang="de">' in again
    assert re.findall(r'lang="(\w\w)" aria-current="true"', again) == ["de"]
    away = client.post("/i18n/setlang/", {**form, "language": "fr", "next": "https://elsewhere.example/"})
    assert away["Location"] == "/"


def test_the_api_and_the_files_speak_english_whoever_asked_before(rated, client):
    client.get("/", headers={"Accept-Language": "de"})  # this thread last spoke German
    answer = client.get("/api/leaderboard/?study=none", headers={"Accept-Language": "de"})
    assert answer.status_code == 404 and translation.get_language() == "en"
    assert "Content-Language" not in answer.headers and "Accept-Language" not in answer.get("Vary", "")


def test_a_page_that_broke_says_so_in_the_readers_language(translated):
    """Django renders it without the request, so without the switch."""
    with translation.override("fr"):
        page = server_error(RequestFactory().get("/")).content.decode()
    assert '<html lang="fr">' in page and "C’est notre faute" in page and "<form" not in page


# ---- plurals ----


@pytest.mark.parametrize(
    ("code", "written"),
    [
        ("en", ["0 votes", "1 vote", "2 votes", "1,234 votes"]),
        ("de", ["0 Stimmen", "1 Stimme", "2 Stimmen", "1.234 Stimmen"]),
        ("fr", ["0 vote", "1 vote", "2 votes", "1\xa0234 votes"]),
    ],
)
def test_zero_one_and_two_take_the_right_plural_on_a_page(translated, code, written):
    source = Template('{% include "scoring/_plot.html" with rows=rows %}')
    rows = [{"system": "alder", "n_votes": n, "rating": 0.0, "low": 0.0, "high": 0.0} for n in (0, 1, 2, 1234)]
    with translation.override(code):
        page = source.render(Context({"rows": rows}))
    found = [text.replace("\u202f", "\xa0") for text in re.findall(r"alder\s*<span>\s*([^<]+?)\s*<", page)]
    assert found == written


@pytest.fixture(scope="module")
def page(chromium):
    return chromium.new_page()


@pytest.mark.parametrize(("code", "forms"), [("en", [1, 0, 1]), ("de", [1, 0, 1]), ("fr", [0, 0, 1])])
def test_zero_one_and_two_take_the_right_plural_in_a_script(page, live_server, translated, code, forms):
    """forms: which form 0, 1 and 2 take."""
    messages = [(s, p, t) for _, s, p, t in entries(read("de" if code == "en" else code, "djangojs")) if p]
    singular, plural, strings = next(m for m in messages if len({*m[2]}) == 2)
    wanted = (singular, plural) if code == "en" else strings
    page.context.set_extra_http_headers({"Accept-Language": code})
    page.goto(live_server.url + "/")
    said = page.evaluate(
        """async ([one, many]) => {
            const { gettext, ngettext } = await import('/static/js/i18n.js');
            return [...[0, 1, 2].map((n) => ngettext(one, many, n)), gettext('no such words')];
        }""",
        [singular, plural],
    )
    assert said == [*(wanted[form] for form in forms), "no such words"]


# ---- the words of the scripts ----


def test_the_words_of_scripts_are_kept_for_good_under_their_version(translated, client, db):
    page = client.get("/", headers={"Accept-Language": "de"}).content.decode()
    url = re.search(r'<script src="(/jsi18n/de/\w+\.js)" defer>', page)[1]
    words = client.get(url)
    assert words["Content-Type"].startswith("text/javascript")
    assert "immutable" in words["Cache-Control"] and "Vary" not in words.headers
    assert "nplurals" not in client.get("/").content.decode() and "/jsi18n/" not in client.get("/").content.decode()
    assert client.get("/jsi18n/de/old.js")["Cache-Control"] == "no-store"
    assert client.get("/jsi18n/xx/old.js").status_code == 404


def test_pages_come_without_compiled_catalogues_too(settings, tmp_path, client, db):
    settings.LOCALE_PATHS = [tmp_path]
    language.words_in.cache_clear()
    page = client.get("/", headers={"Accept-Language": "de"})
    assert page.status_code == 200 and "Two clips, one prompt, your ears." in page.content.decode()
    language.words_in.cache_clear()
