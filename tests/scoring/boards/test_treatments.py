"""How a board treats ties and "both bad" is chosen by name, recorded, and can be rebuilt."""

from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotations import ledger
from annotations.models import Vote
from annotations.services import withdraw_rater
from arena.models import Clip
from arena.refusals import Conflict
from arena.services import give_consent
from arena.serving import serve_battle
from scoring import inputs
from scoring.boards.refit import board_is_due, rebuild_edition, refit_board
from scoring.inputs.covariates import covariates_of
from scoring.models import Edition
from scoring.stats import board_method
from scoring.stats.bradley_terry import BOTH_BAD, BadCovariate, NotOffered
from scoring.wording.methods import MEANINGS, METHODS, MODELS, RULES
from tests.casts.votes import cast

EVERY_ANSWER = ["A", "B", "TIE", "BOTH_BAD", "A", "B"]
VERSION_1 = {
    "l2": 0.05,
    "level": 0.95,
    "tie": "half a win each way",
    "both_bad": "excluded",
    "excluded_flags": ["withdrawn"],
    "cluster": "rater; a vote without rater is a cluster of its own",
    "categories": ["overall"],
}
# What the code of version 1 computed from `votes()`.
BOARD_OF_VERSION_1 = (
    '{"converged":true,"excluded":{"both_bad":3},"g_eff":14.035088,"groups":[[{"high":1.147591,"losses":1'
    '8,"low":-0.031878,"n_votes":70,"rating":0.557857,"stderr":0.273053,"system":"alder","ties":10,"wins"'
    ':42},{"high":0.543864,"losses":24,"low":-0.362756,"n_votes":61,"rating":0.090554,"stderr":0.209887,"'
    'system":"birch","ties":11,"wins":26},{"high":0.497677,"losses":25,"low":-0.745579,"n_votes":51,"rati'
    'ng":-0.123951,"stderr":0.28782,"system":"cedar","ties":7,"wins":19},{"high":-0.011831,"losses":35,"l'
    'ow":-1.037088,"n_votes":58,"rating":-0.524459,"stderr":0.237353,"system":"dogwood","ties":8,"wins":1'
    '5}]],"heaviest_rater_share":0.108333,"n_raters":12,"n_votes":120,"n_without_rater":3}'
)


def votes(size=120, both_bad=0.0):
    """A StudyVotes, without a database."""
    rng = np.random.default_rng(5)
    a = rng.integers(4, size=size)
    b = (a + rng.integers(1, 4, size=size)) % 4
    outcome = np.where(rng.random(size) < 0.15, 0.5, (rng.random(size) < 0.5 + 0.1 * (b - a)).astype(float))
    cluster = rng.integers(-3, 12, size=size)
    outcome[rng.random(size) < both_bad] = BOTH_BAD
    return SimpleNamespace(
        systems=["alder", "birch", "cedar", "dogwood"], a=a, b=b, outcome=outcome, cluster=cluster,
        weight=np.ones(size), excluded={"both_bad": 3}, n_raters=12, n_without_rater=3, covariates={},
        connection=np.full(size, -1), network=np.full(size, -1),
    )  # fmt: skip


def ratings(result):
    return {rating["system"]: rating for group in result["groups"] for rating in group}


# ---- what a board says ----


def test_a_board_of_version_1_is_computed_as_it_was():
    assert board_method.canonical_json(board_method.compute(votes(), VERSION_1)) == BOARD_OF_VERSION_1


def test_half_ties_say_what_they_said_before_treatments_had_names():
    result = board_method.compute(votes(), board_method.CONFIG)
    result.pop("influence")  # which version 3 says beside the ratings
    assert result == board_method.compute(votes(), VERSION_1)


def test_davidson_says_how_readily_raters_tie():
    result = board_method.compute(votes(), {**board_method.CONFIG, "treatment": "davidson"})
    assert result["zero"] == "mean"
    assert result["eta"]["low"] < result["eta"]["value"] < result["eta"]["high"]
    assert sum(rating["rating"] for rating in ratings(result).values()) == pytest.approx(0, abs=1e-5)


def test_the_grounded_board_counts_both_bad_against_an_absolute_zero():
    result = board_method.compute(votes(400, both_bad=0.6), {**board_method.CONFIG, "treatment": "grounded"})
    assert result["zero"] == "absolute"
    for rating in ratings(result).values():
        assert rating["rating"] < -0.1  # most were bad
        assert rating["wins"] + rating["losses"] + rating["ties"] + rating["both_bad"] == rating["n_votes"]
        assert rating["both_bad_share"] == pytest.approx(1 / (1 + 2 * np.exp(rating["rating"])), abs=1e-5)
        assert rating["both_bad_low"] < rating["both_bad_share"] < rating["both_bad_high"]


def test_an_empty_board_is_empty_under_every_treatment():
    empty = votes(0)
    for treatment in board_method.TREATMENTS:
        assert board_method.compute(empty, {**board_method.CONFIG, "treatment": treatment})["groups"] == []


def test_every_treatment_has_words_for_the_form_the_history_and_the_board():
    for words in (METHODS, MEANINGS, MODELS):
        assert set(words) == set(board_method.TREATMENTS)
    sentences = {(what, says) for about in board_method.TREATMENTS.values() for what, says in about.items()}
    assert sentences - set(RULES) == set()


# ---- editions ----


def test_an_edition_of_version_1_still_rebuilds(study):
    cast(study, EVERY_ANSWER)
    edition = refit_board(study)
    seq, config = edition.ledger_seq, {**VERSION_1, "excluded_flags": edition.config["excluded_flags"]}
    old = Edition.objects.create(
        study=study, number=2, method="bradley-terry", method_version=1, config=config, ledger_seq=seq,
        input_hash=edition.input_hash, n_votes=5, excluded={"both_bad": 1}, created_at=edition.created_at,
        result=board_method.compute(inputs.board_votes(study, seq, config), config),
    )  # fmt: skip
    assert rebuild_edition(old) == board_method.canonical_json(old.result)
    assert ratings(old.result) == ratings(edition.result)


@pytest.mark.parametrize("treatment", board_method.TREATMENTS)
def test_the_treatment_is_in_the_configuration_and_rebuilds(study, treatment):
    cast(study, EVERY_ANSWER)
    edition = refit_board(study, treatment=treatment)
    assert edition.config["treatment"] == treatment
    assert edition.config["both_bad"] == board_method.TREATMENTS[treatment]["both_bad"]
    without_both_bad = edition.config["both_bad"] == "excluded"
    assert (edition.n_votes, edition.excluded) == ((5, {"both_bad": 1}) if without_both_bad else (6, {}))
    edition.refresh_from_db()
    assert rebuild_edition(edition) == board_method.canonical_json(edition.result)


def test_a_treatment_once_chosen_stays(study):
    cast(study, EVERY_ANSWER)
    later = refit_board(study, treatment="grounded").created_at + timedelta(minutes=1)
    assert not board_is_due(study, later)
    cast(study, "A")
    assert refit_board(study, later, only_if_due=True).config["treatment"] == "grounded"


def test_a_treatment_whose_answers_nobody_gave_is_refused_and_no_edition_written(study):
    cast(study, "ABA")
    with pytest.raises(NotOffered, match="no tie"):
        refit_board(study, treatment="davidson")
    assert not study.editions.exists()


def test_a_board_goes_back_to_half_ties_when_the_votes_no_longer_bear_its_treatment(study):
    cast(study, "AB")
    rater = cast(study, EVERY_ANSWER)
    refit_board(study, treatment="grounded")
    withdraw_rater(rater)
    ledger.extend()
    assert refit_board(study).config["treatment"] == "half_tie"


def test_the_page_and_the_api_say_what_zero_is(study, client):
    cast(study, EVERY_ANSWER)
    refit_board(study, treatment="grounded")
    page = client.get("/boards/open/").content.decode()
    assert "Zero is absolute" in page
    assert "“Both bad” is an answer of its own." in page
    assert client.get("/api/leaderboard/?study=open").json()["about"]["zero"] == "absolute"


# ---- covariates ----


def cast_played(study, preferences, first_played, heard=(8000, 4000)):
    """One vote per letter by a new rater, saying which clip was played first and how much of each was heard."""
    rater = give_consent(None, study, study.consent_version)
    for preference, first in zip(preferences, first_played, strict=True):
        battle, _ = serve_battle(rater, study)
        battle.closed_at, battle.close_reason = timezone.now(), "voted"
        battle.save(update_fields=["closed_at", "close_reason"])
        Vote.objects.create(
            battle=battle, rater=rater, preference=preference, received_at=timezone.now(),
            first_played=first, heard_a_ms=heard[0], heard_b_ms=heard[1],
        )  # fmt: skip
    ledger.extend()


@pytest.fixture
def played(study):
    for _ in range(4):
        cast_played(study, "ABABAB", "AABBAB")
    cast_played(study, "AB", ["", ""])
    return study


def test_a_board_adjusted_for_covariates_says_their_effects_and_rebuilds(played):
    edition = refit_board(played, covariates=["slot", "first_played"])
    assert edition.config["covariates"] == ["slot", "first_played"]
    assert list(edition.result["effects"]) == ["slot", "first_played"]
    first = edition.result["effects"]["first_played"]
    assert 0 < first["value"] < first["high"]  # four of six votes went to the clip that was played first
    edition.refresh_from_db()
    assert rebuild_edition(edition) == board_method.canonical_json(edition.result)


def test_votes_whose_covariates_are_not_known_are_left_out_and_counted(played):
    edition = refit_board(played, covariates=["first_played"])
    assert (edition.n_votes, edition.excluded) == (24, {"covariate_unknown": 2})
    assert refit_board(played, covariates=["slot"]).n_votes == 26


def test_the_votes_as_arrays_carry_their_covariates_with_units_and_signs(study):
    cast_played(study, "AB", "AB")
    Clip.objects.filter(system__name="alder").update(duration_ms=32_000, loudness_lufs=-20)
    found = inputs.study_votes(
        study,
        ledger.head(),
        covariates=covariates_of({"covariates": ["slot", "first_played", "duration", "loudness", "heard"]}),
    )
    columns = found.covariates
    longer = np.array([(name == "alder") for name in found.systems]).astype(int)
    sign = longer[found.a] - longer[found.b]
    assert columns["slot"].tolist() == [1, 1]
    assert columns["first_played"].tolist() == [1, -1]
    assert columns["duration"] == pytest.approx(2.0 * sign)  # 32 s against 12 s, in units of 10 s
    louder = -20 - Clip.objects.exclude(system__name="alder").first().loudness_lufs
    assert columns["loudness"] == pytest.approx(louder * sign)
    assert columns["heard"] == pytest.approx([0.4, 0.4])  # 8 s against 4 s of 10 s


def test_a_covariate_that_never_varied_is_refused_and_no_edition_written(study):
    cast_played(study, "ABAB", "AAAA")
    with pytest.raises(BadCovariate, match="first_played"):
        refit_board(study, covariates=["first_played"])
    assert not study.editions.exists()


def test_a_choice_that_would_leave_out_every_vote_is_refused_and_once_made_given_up(study):
    cast(study, "ABAB")
    refit_board(study)
    with pytest.raises(Conflict, match="Every vote would be left out: covariate_unknown"):
        refit_board(study, covariates=["first_played"])
    with pytest.raises(CommandError, match=r"open keeps its board: Every vote .*unknown\.$"):
        call_command("refit_board", "open", "--covariates", "first_played")
    assert study.editions.count() == 1
    cast_played(study, "ABAB", "ABBA")
    assert refit_board(study, covariates=["first_played"]).n_votes == 4
    withdraw_rater(Vote.objects.exclude(first_played="").first().rater)
    ledger.extend()
    after = refit_board(study)
    assert (after.config["covariates"], after.n_votes) == ([], 4)


def test_the_page_says_what_the_ratings_are_adjusted_for(played, client):
    refit_board(played, covariates=["first_played"])
    page = client.get("/boards/open/").content.decode()
    assert "Adjusted for" in page
    assert "Being played first" in page
    assert "A value that the ratings are adjusted for is unknown" in page


# ---- the command ----


def test_the_command_changes_the_method_of_the_boards_it_names(played):
    for arguments, treatment, covariates in (
        (["--treatment", "davidson"], None, None),
        (["--covariates", "slot,first_played"], "half_tie", ["slot", "first_played"]),
        ([], "half_tie", ["slot", "first_played"]),
        (["--covariates", "none"], "half_tie", []),
    ):
        if treatment is None:
            with pytest.raises(CommandError, match="open keeps its board: there is no tie"):
                call_command("refit_board", "open", *arguments)
            continue
        call_command("refit_board", "open", *arguments)
        config = played.editions.order_by("-number").first().config
        assert (config["treatment"], config["covariates"]) == (treatment, covariates)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--treatment", "davidson"], "Name the studies"),
        (["open", "--covariates", "mood"], "no covariate mood"),
        (["open", "--treatment", "grounded", "--covariates", "slot"], "covariates go with"),
    ],
)
def test_the_command_refuses_what_cannot_be_meant(played, arguments, message):
    with pytest.raises(CommandError, match=message):
        call_command("refit_board", *arguments)
