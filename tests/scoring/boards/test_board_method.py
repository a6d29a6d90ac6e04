"""What a board's page says of its method, and how its staff chooses another."""

import numpy as np
import pytest
from django.contrib.auth.models import User

from scoring.boards.refit import refit_board
from scoring.stats import board_method
from scoring.stats.bradley_terry import fit_davidson, fit_grounded
from scoring.templatetags.boards import tie_share
from scoring.wording.methods import MEANINGS
from tests.casts.votes import cast

EVERY_ANSWER = ["A", "B", "TIE", "BOTH_BAD", "A", "TIE"]
PAGE = "/boards/open/"


def page(client, path=PAGE):
    """The words of a page, white space evened out."""
    return " ".join(client.get(path).content.decode().split())


# ---- what the page says ----


def test_the_page_of_a_plain_board_says_that_nothing_was_done_to_its_votes(study, client):
    cast(study, EVERY_ANSWER)
    refit_board(study)
    said = page(client)
    assert "A tie is half a win for each side. A “both bad” vote is left out." in said
    assert "Every vote counts the same" in said
    assert "Nothing: the ratings use the votes as they are." in said
    assert "η" not in said


def test_the_page_of_a_board_of_ties_says_how_often_equals_tie_with_an_interval(study, client):
    cast(study, EVERY_ANSWER)
    eta = refit_board(study, treatment="davidson").result["eta"]
    said = page(client)
    assert "Davidson’s model" in said  # noqa: RUF001
    share, low, high = (f"{100 * tie_share(eta[name]):.0f} %" for name in ("value", "low", "high"))
    assert f"Two equal systems tie in {share} of their comparisons ({low} to {high})." in said
    assert f"η = {eta['value']:+.2f}".replace("-", "−") in said  # noqa: RUF001
    refit_board(study, treatment="grounded")
    said = page(client)
    assert "grounded Rao-Kupper model" in said
    assert "so good that nobody finds both bad, tie in" in said


def test_the_share_of_ties_is_that_of_the_models():
    rng = np.random.default_rng(0)
    outcome = rng.choice([0, 1, 0.5, -1], 400)
    davidson = fit_davidson([0] * 400, [1] * 400, np.abs(outcome), 2)
    eta = davidson.eta + 0.0
    equals = type(davidson)(**{**vars(davidson), "theta": np.zeros(2)})
    assert tie_share(eta) == pytest.approx(equals.probabilities(0, 1)["tie"][0])
    grounded = fit_grounded([0] * 400, [1] * 400, outcome, 2)
    good = type(grounded)(**{**vars(grounded), "theta": np.full(2, 30.0)})
    assert tie_share(grounded.eta) == pytest.approx(good.probabilities(0, 1)["tie"][0])
    assert (tie_share(-2000.0), tie_share(2000.0)) == (0, 1)


def test_the_page_says_what_weights_and_adjustments_do(study, client):
    for _ in range(3):
        cast(study, "ABBABA")
    refit_board(study, covariates=["slot"], weighting="uniform_pairs")
    said = page(client)
    assert "as if" not in said
    assert "what it would be if every pair had been equally likely" in said
    assert "Being in slot A: " in said
    assert "Nothing: the ratings" not in said
    assert "as if every pair had been equally likely" in page(client, f"{PAGE}editions/")


# ---- how staff chooses ----

FORM = f"{PAGE}method/"
PLAIN = {"treatment": "half_tie", "weighting": "none"}


@pytest.fixture
def voted(study):
    for _ in range(3):
        cast(study, "ABBABA")
    refit_board(study)
    return study


def choose(client, **choice):
    return client.post(FORM, {**PLAIN, **choice}, follow=True)


def last_choice(study):
    return board_method.choice_of(study.editions.order_by("-number")[0].config)


def test_staff_chooses_how_the_board_is_computed_and_it_stays_so(voted, admin_client):
    answer = choose(admin_client, weighting="uniform_pairs", covariates=["slot"])
    assert "Edition 2 is computed this way" in answer.content.decode()
    cast(voted, "A")
    refit_board(voted)
    expected = {"treatment": "half_tie", "weighting": "uniform_pairs", "covariates": ["slot"]}
    assert last_choice(voted) == expected
    assert admin_client.get(FORM).context["form"].initial == expected
    choose(admin_client)
    assert last_choice(voted) == {**PLAIN, "covariates": []}


def test_staff_reads_what_every_treatment_means(voted, admin_client):
    said = page(admin_client, FORM)
    for term, meaning in MEANINGS.values():
        assert f"<dt>{term}</dt> <dd>{meaning}</dd>" in said


def test_a_choice_counts_the_votes_up_to_now(voted, admin_client):
    cast(voted, ["TIE", "A"])
    choose(admin_client, treatment="davidson")
    assert voted.editions.order_by("-number")[0].n_votes == 20
    assert last_choice(voted)["treatment"] == "davidson"


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"treatment": "davidson"}, "there is no tie among the votes"),
        ({"treatment": "grounded"}, "ties and “both bad” as answers (grounded): there is no"),
        (
            {"covariates": ["slot", "first_played"]},
            "Every vote would be left out. A value that the ratings are adjusted for is unknown",
        ),
        (
            {"covariates": ["lyrics"]},
            "Singing the requested lyrics, compared with a system that does not sing: is 0 in every",
        ),
        ({"covariates": ["slot"], "treatment": "davidson"}, "Adjusting works only where ties count half"),
        ({"covariates": ["mood"]}, "mood is not one of the available choices"),
        ({}, "The board is already computed this way."),
    ],
)
def test_what_the_votes_do_not_bear_is_said_and_the_board_and_the_choice_on_the_page_stay(
    voted, admin_client, choice, sentence
):
    answer = choose(admin_client, **choice)
    assert answer.status_code == 400
    said = answer.content.decode()
    assert "The board stays as it is." in said
    assert sentence in said
    assert voted.editions.count() == 1
    for name, value in choice.items():
        assert answer.context["form"][name].value() == value


def test_before_the_first_edition_there_is_nothing_to_choose_for(study, admin_client):
    assert admin_client.get(FORM).status_code == 200
    assert "There is no edition yet" in choose(admin_client, weighting="uniform_pairs").content.decode()
    assert not study.editions.exists()


def test_only_staff_who_may_add_editions_chooses(voted, client):
    assert client.get(FORM).status_code == 302
    assert client.post(FORM, {**PLAIN, "weighting": "uniform_pairs"}).status_code == 302
    client.force_login(User.objects.create_user("ada", is_staff=True))
    assert "Only people who may add editions" in client.get(FORM).content.decode()
    assert client.post(FORM, {**PLAIN, "weighting": "uniform_pairs"}).status_code == 403
    assert voted.editions.count() == 1


def test_the_board_leads_staff_there_and_nobody_else(voted, client, admin_client):
    assert FORM in admin_client.get(PAGE).content.decode()
    assert FORM not in client.get(PAGE).content.decode()
