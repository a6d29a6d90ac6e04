"""The figures of a study: drawn in a worker, said in words, written out as a table, and taken along as data."""

import csv
import io
import xml.etree.ElementTree as ET

import pytest
from django.utils import timezone, translation

from annotations.models import Flag, Vote
from annotations.services import flag
from arena.models import Clip, Prompt, System
from arena.serving import process_cache
from scoring import tasks
from scoring.anchors.refit import refit_anchors
from scoring.boards.figures import data as figures
from scoring.boards.figures import drawing
from scoring.boards.figures import page as plots_page
from scoring.boards.refit import refit_board
from scoring.jury.rewards import store_rewards
from scoring.models import Figure, RewardModel
from scoring.stats import anchor_drift
from tests.casts.clips import make_clip
from tests.casts.votes import cast


@pytest.fixture
def board(study):
    cast(study, "ABABAB")
    refit_board(study)
    cast(study, "AAB")
    refit_board(study)
    return study


@pytest.fixture
def judged(study):
    """A live model that has not seen the votes; the clips' rewards."""
    model = RewardModel.objects.create(name="jury", encoders=[], weights="w", sha256="s", status="live")
    store_rewards(model, {clip.pk: clip.pk % 7 / 5 for clip in Clip.objects.all()})
    return model


@pytest.fixture
def undrawn(board, monkeypatch):
    """The board, where nothing is drawn, which takes a second: most of what is asked here is not about drawings."""
    monkeypatch.setattr(figures, "_drawn", lambda name, data: {})
    return board


def test_there_is_every_figure_of_the_last_edition(undrawn, judged):
    figures.draw_figures(undrawn)
    assert {row.name: row.edition.number for row in Figure.objects.all()} == dict.fromkeys(figures.NAMES, 2)


def test_ratings_and_history_are_the_editions(undrawn):
    figures.draw_figures(undrawn)
    last = [rating for group in undrawn.editions.get(number=2).result["groups"] for rating in group]
    found = Figure.objects.get(name="intervals").data["rows"]
    assert [(row["system"], row["rating"], row["low"]) for row in found] == [
        (rating["system"], rating["rating"], rating["low"]) for rating in last
    ]
    history = Figure.objects.get(name="history").data["rows"]
    assert {row["edition"] for row in history} == {1, 2}
    assert [row["rating"] for row in history if row["edition"] == 2] == [row["rating"] for row in found]


def test_every_pair_has_its_own_votes_the_better_system_first(undrawn):
    figures.draw_figures(undrawn)
    wins = Figure.objects.get(name="wins").data
    assert sum(row["n"] for row in wins["rows"]) == 9
    for row in wins["rows"]:
        assert wins["systems"].index(row["a"]) < wins["systems"].index(row["b"])
        assert row["n"] == row["wins"] + row["losses"] + row["ties"]
        assert row["low"] <= row["wins"] / row["n"] <= row["high"]
        assert row["share"] == pytest.approx(row["wins"] / row["n"], abs=1e-6)


def test_the_model_is_judged_on_votes_that_it_has_not_seen(undrawn, judged):
    figures.draw_figures(undrawn)
    data = Figure.objects.get(name="reliability").data
    assert (data["n"], data["n_seen"], data["n_unscored"]) == (9, 0, 0)
    assert sum(row["n"] for row in data["rows"]) == 9
    RewardModel.objects.update(ledger_seq=6)
    figures.draw_figures(undrawn)
    data = Figure.objects.get(name="reliability").data
    assert (data["n"], data["n_seen"]) == (3, 6)


def test_the_bias_is_told_part_by_part_of_the_votes(undrawn, judged, monkeypatch):
    monkeypatch.setattr(anchor_drift, "FEWEST_PAIRS", 1)
    figures.draw_figures(undrawn)
    assert Figure.objects.get(name="biases").data["rows"] == []
    later = timezone.now() + figures.PATIENCE
    assert not figures.figures_are_due(undrawn, later)
    fit = refit_anchors(undrawn, judged)
    assert figures.figures_are_due(undrawn, later)
    figures.draw_figures(undrawn)
    data = Figure.objects.get(name="biases").data
    told = [(row["part"], row["system"], row["bias"], row["n_pairs"]) for row in data["rows"]]
    assert len(fit.slices) > 1
    assert sorted(told) == sorted(
        (number, one["system"], one["bias"], one["n_pairs"])
        for number, part in enumerate(fit.slices, start=1)
        for one in part["biases"]
    )
    assert all(row["low"] < row["bias"] < row["high"] for row in data["rows"])


def test_votes_are_counted_by_day_the_withdrawn_apart(undrawn):
    flag(Vote.objects.first(), Flag.WITHDRAWN, 1)
    figures.draw_figures(undrawn)
    day = timezone.now().date().isoformat()
    assert Figure.objects.get(name="days").data["rows"] == [{"day": day, "votes": 9, "standing": 8}]


def test_what_follows_from_nothing_new_is_not_drawn_again(undrawn, judged):
    assert figures.figures_are_due(undrawn)
    figures.draw_figures(undrawn)
    soon, later = timezone.now(), timezone.now() + figures.PATIENCE
    assert not figures.figures_are_due(undrawn, later)
    cast(undrawn, "A")
    refit_board(undrawn)
    assert not figures.figures_are_due(undrawn, soon)  # a young board has an edition every few seconds
    assert figures.figures_are_due(undrawn, later)


def test_before_the_first_edition_there_is_nothing_to_draw(study, client):
    assert not figures.figures_are_due(study)
    assert "There are no plots yet" in client.get("/boards/open/plots/").content.decode()
    assert client.get("/boards/open/plots/wins.csv").status_code == 404


def test_a_figure_is_taken_along_as_csv_and_json(undrawn, client):
    figures.draw_figures(undrawn)
    rows = Figure.objects.get(name="intervals").data["rows"]
    answer = client.get("/boards/open/plots/intervals.csv")
    assert answer["Content-Disposition"] == 'attachment; filename="open-intervals-edition-2.csv"'
    read = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [float(row["rating"]) for row in read] == [row["rating"] for row in rows]
    said = client.get("/boards/open/plots/intervals.json").json()
    assert (said["study"], said["edition"], said["rows"]) == ("open", 2, rows)
    assert client.get("/boards/open/plots/nosuch.json").status_code == 404


def test_a_system_whose_name_a_spreadsheet_would_run_is_marked_as_text_in_the_csv(undrawn, client):
    evil = System.objects.create(name="=evil")
    undrawn.systems.add(evil)
    make_clip(evil, Prompt.objects.first())
    process_cache.forget()
    cast(undrawn, "AABB")
    refit_board(undrawn)
    figures.draw_figures(undrawn)
    read = csv.DictReader(io.StringIO(client.get("/boards/open/plots/intervals.csv").content.decode()))
    assert {row["system"]: float(row["rating"]) for row in read}.keys() == {"alder", "birch", "cedar", "'=evil"}


def test_without_a_drawing_the_table_stands_alone(undrawn, client):
    figures.draw_figures(undrawn)
    page = client.get("/boards/open/plots/").content.decode()
    assert "<svg role" not in page
    assert page.count("see the table") == 4  # no model: three figures have nothing to show
    assert "<details open>" in page


def test_what_cannot_be_drawn_is_shown_all_the_same(board, monkeypatch):
    def broken(*_):
        raise RuntimeError("no fonts")

    monkeypatch.setattr(drawing, "draw", broken)
    tasks.draw_figures()
    assert Figure.objects.filter(narrow="").count() == len(figures.NAMES)
    assert Figure.objects.get(name="intervals").data["rows"]


# ---- the drawings ----

AWKWARD = ["<script>alert(1)</script>", "$x^2$ & co", "[[number:3]] [[word:none]]", "a" * 90]


@pytest.fixture(scope="module")
def drawn():
    """{(name, size): svg} of made-up figures whose systems have awkward names."""
    spread = [(name, 0.9 - 0.6 * place) for place, name in enumerate(AWKWARD)]
    rated = [{"system": s, "rating": r, "low": r - 0.3, "high": r + 0.3, "n_votes": 9} for s, r in spread]
    pairs = [(a, b) for a in AWKWARD for b in AWKWARD if a < b]
    data = {
        "intervals": {"rows": [{"group": 1, **row} for row in rated]},
        "history": {"rows": [{"edition": n, "at": "", **row} for n in (1, 2, 3) for row in rated]},
        "wins": {"systems": AWKWARD, "rows": [{"a": a, "b": b, "share": 0.7, "n": 12} for a, b in pairs]},
        "rewards": {"rows": [{**r, "reward": 0.1, "reward_low": None, "reward_high": None} for r in rated]},
        "reliability": {"rows": [{"confidence": 0.7, "accuracy": 0.6, "low": 0.4, "high": 0.8}]},
        "biases": {"rows": [{"part": n, "bias": row["rating"], **row} for n in (1, 2) for row in rated]},
        "days": {"rows": [{"day": "2026-11-25", "votes": 3, "standing": 2}]},
    }
    return {(name, size): drawing.draw(name, one, size) for name, one in data.items() for size in drawing.WIDTHS}


def test_every_figure_is_drawn_in_both_sizes(drawn):
    assert {name for name, _ in drawn} == set(figures.NAMES)
    for (_, size), svg in drawn.items():
        root = ET.fromstring(svg)
        assert root.tag.endswith("svg") and "width" not in root.attrib
        assert float(root.attrib["viewBox"].split()[2]) == drawing.WIDTHS[size]


def test_drawings_have_the_colours_and_letters_of_the_page_and_no_style_for_it(drawn):
    for name, svg in drawn.items():
        assert "<style" not in svg and "#0000" not in svg, name
        assert "var(--a)" in svg and "DejaVu" not in svg, name


def test_a_page_shows_a_drawing_without_inline_styles_which_its_policy_forbids(drawn):
    for (name, size), svg in drawn.items():
        shown = plots_page._readable(svg, name, size, "says")
        before, after = (list(ET.fromstring(text).iter()) for text in (svg, shown))
        styles = [node.attrib["style"] for node in before if "style" in node.attrib]
        assert styles and not [node for node in after if "style" in node.attrib], name
        assert {"fill", "stroke", "font-size", "text-anchor"} <= {key for node in after for key in node.attrib}


def test_no_two_drawings_of_a_page_have_an_id_in_common_and_every_reference_leads_somewhere(drawn):
    found = []
    for svg in drawn.values():
        tree = list(ET.fromstring(svg).iter())
        ids = {node.attrib["id"] for node in tree if "id" in node.attrib}
        used = {v[1:] for node in tree for k, v in node.attrib.items() if k.endswith("href")}
        used |= {node.attrib["clip-path"][5:-1] for node in tree if "clip-path" in node.attrib}
        assert used == ids
        found += ids
    assert len(found) == len(set(found))


def test_names_of_systems_are_neither_markup_nor_mathematics_nor_words_of_ours(drawn):
    for size in drawing.WIDTHS:
        svg = plots_page._readable(drawn["intervals", size], "intervals", size, "A <b> & c")
        assert "<script" not in svg and "A &lt;b&gt; &amp; c</desc>" in svg
        texts = [node.text for node in ET.fromstring(svg).iter() if node.tag.endswith("text")]
        assert "$x^2$ & co" in texts
        assert any(text.endswith("…") for text in texts)
        assert any("[[word:none]]" in text for text in texts)


def test_a_drawing_says_what_it_shows_in_the_language_of_its_reader(drawn):
    with translation.override("de"):
        svg = plots_page._readable(drawn["reliability", "wide"], "reliability", "wide", "Der Satz.")
    root = ET.fromstring(svg)
    assert root.attrib["role"] == "img"
    said = {node.attrib["id"]: node.text for node in root if node.attrib.get("id", "").startswith("figure-")}
    assert list(said) == root.attrib["aria-labelledby"].split()
    assert list(said.values())[1] == "Der Satz."
    assert "[[" not in svg
    with translation.override("de"):
        history = plots_page._readable(drawn["intervals", "wide"], "intervals", "wide", "")
    assert "−0,5" in history  # noqa: RUF001


def test_the_page_has_the_drawings_and_the_sentence_of_each(board, judged, client, monkeypatch):
    monkeypatch.setattr(anchor_drift, "FEWEST_PAIRS", 1)
    refit_anchors(board, judged)
    figures.draw_figures(board)
    page = client.get("/boards/open/plots/").content.decode()
    assert page.count('role="img"') == 2 * len(figures.NAMES)
    assert "9 votes on 1 day" in page
    assert "On 9 decided votes that jury had not seen" in page


def test_a_share_is_rounded_once():
    data = {"systems": ["x", "y"], "rows": [{"a": "x", "b": "y", "share": 13.5 / 23, "n": 23}]}
    svg = plots_page._readable(drawing.draw("wins", data, "wide"), "wins", "wide", "")
    assert ">59 %<" in svg and ">41 %<" in svg
