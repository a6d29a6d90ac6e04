"""A board of few votes says that it is preliminary and what it lacks, and shows neither plots nor odds."""

import pytest

from scoring.boards import robustness_cards
from scoring.boards.figures import data as figures
from scoring.boards.refit import refit_board
from scoring.templatetags.boards import interval_plot
from scoring.templatetags.staff import rating_history_plot
from tests.casts.staff import edition, vote
from tests.casts.votes import cast

pytestmark = pytest.mark.usefixtures("real_thresholds")
PLOT = '<ul class="plot">'


@pytest.fixture
def young(study):
    """Three votes of one listener."""
    cast(study, "ABA")
    refit_board(study)
    robustness_cards.write_card(study)
    return study


@pytest.fixture
def grown(study):
    """Forty votes, each of somebody else."""
    for a, b in (("alder", "birch"), ("birch", "cedar"), ("alder", "cedar"), ("cedar", "birch")):
        vote(study, a, b, "AABABBAABA")
    edition(study)
    robustness_cards.write_card(study)
    return study


def told(client, path):
    return " ".join(client.get(path).content.decode().split())


def test_three_votes_make_a_board_that_is_preliminary_in_json(young, client):
    lacks = client.get("/api/leaderboard/").json()["preliminary"]
    assert [lack["reason"] for lack in lacks] == ["votes", "raters", "intervals"]
    assert lacks[0] == {"reason": "votes", "has": 3, "needs": 30}
    card = client.get("/api/robustness/").json()
    assert card["card"] is None and card["preliminary"] == lacks and not card["pending"]


def test_its_page_says_what_is_missing_and_shows_no_plot_and_no_odds(young, client):
    page = told(client, "/boards/open/")
    assert "Preliminary: these votes do not support an order yet." in page
    assert "3 votes of at least 30" in page and "of at least 5" in page
    assert PLOT not in page and "Ranks that these votes allow" not in page
    assert "Too few votes to say: this board is preliminary." in page
    assert "<table" in page, "the numbers are there all the same"
    front = told(client, "/")
    assert "Preliminary: these votes" in front and PLOT not in front


def test_its_figures_are_tables(young, client, monkeypatch):
    monkeypatch.setattr(figures, "_drawn", lambda name, data: {"narrow": "<svg></svg>", "wide": "<svg></svg>"})
    figures.draw_figures(young)
    page = told(client, "/boards/open/plots/")
    assert "Preliminary: these votes" in page
    assert page.count("There is no plot of this; see the table.") >= 3


def test_enough_votes_bring_plot_and_odds(grown, client):
    assert client.get("/api/leaderboard/").json()["preliminary"] == []
    assert client.get("/api/robustness/").json()["card"]["leader"]
    page = told(client, "/boards/open/")
    assert "Preliminary" not in page and PLOT in page and "Ranks that these votes allow" in page


def test_before_the_first_edition_there_is_nothing_to_call_preliminary(study, client):
    assert client.get("/api/leaderboard/").json()["preliminary"] == []


def test_the_history_of_a_rating_begins_where_it_can_be_drawn():
    vague, clear = {"rating": 2.0, "low": -17.0, "high": 20.0}, {"rating": 0.3, "low": -0.2, "high": 0.8}
    history = [{"edition": number, **row} for number, row in enumerate((vague, clear, clear), start=1)]
    plot = rating_history_plot(history)
    assert (plot["first"]["edition"], plot["last"]["edition"]) == (2, 3)
    assert all(abs(tick["value"]) <= 1 for tick in plot["y_ticks"])


def test_a_newcomer_does_not_squeeze_the_plot_of_the_others():
    known = {"system": "alder", "rating": 0.3, "low": -0.2, "high": 0.8}
    plot = interval_plot([known, {"system": "new", "rating": -2.0, "low": -20.0, "high": 17.0}])
    assert [row["drawn"] for row in plot["rows"]] == [True, False]
    assert {tick["value"] for tick in plot["ticks"]} <= {-1, 0, 1}
