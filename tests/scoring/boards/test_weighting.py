"""Boards weighted to uniform pairing: which votes weigh what, and where boards tend to as votes become many."""

import numpy as np
import pytest
from scipy.special import expit

from annotations import ledger
from annotations.models import Vote
from arena.models import Battle
from scoring import inputs
from scoring.boards.refit import rebuild_edition, refit_board
from scoring.stats import board_method, pair_design
from scoring.stats.bradley_terry import fit
from tests.casts.votes import cast

ABILITY = np.linspace(-1.5, 1.5, 6)
FIRST, SECOND = np.triu_indices(6, 1)
EPSILON, VOTES = 0.1, 100_000


def true_to_bradley_terry(i, j):
    return expit(ABILITY[i] - ABILITY[j])


def louder_among_neighbours(i, j):
    """Who is a little better always sounds so; who is far better is not liked much more. And one circle."""
    d = ABILITY[i] - ABILITY[j]
    circle = np.where((i == 1) & (j == 2), -1.2, 0.0)
    return expit(2.2 * np.sign(d) * np.abs(d) ** 0.3 + circle)


def board_of(probability, share, weighted, seed=0):
    """The board of VOTES votes on pairs that have the shares."""
    rng = np.random.default_rng(seed)
    pair = rng.choice(share.size, size=VOTES, p=share)
    a, b = FIRST[pair], SECOND[pair]
    weight = (1 / share.size) / share[pair] if weighted else None
    outcome = (rng.random(VOTES) < probability(a, b)).astype(float)
    return fit(a, b, outcome, 6, weight=weight)


def informative():
    """What the policy draws once it knows the board well."""
    votes = np.full(FIRST.size, 200.0)
    covariance = pair_design.posterior_covariance(FIRST, SECOND, votes, ABILITY, 0.1)
    share = pair_design.design(ABILITY, covariance, int(votes.sum()))
    return EPSILON / share.size + (1 - EPSILON) * share


def limit_under_uniform_pairing(probability):
    p = probability(FIRST, SECOND)
    return fit(
        np.tile(FIRST, 2), np.tile(SECOND, 2), np.repeat([1.0, 0.0], p.size), 6, weight=np.append(p, 1 - p)
    ).theta


def far_off(board, theta):
    """The largest difference, in standard errors."""
    return np.abs((board.theta - theta) / board.stderr).max()


def test_where_bradley_terry_holds_both_boards_tend_to_the_truth_and_the_weighted_one_less_surely():
    plain, weighted = (board_of(true_to_bradley_terry, informative(), weighted) for weighted in (False, True))
    assert far_off(plain, ABILITY) < 4
    assert far_off(weighted, ABILITY) < 4
    assert (weighted.stderr > 0.99 * plain.stderr).all()
    assert weighted.stderr.mean() > 1.1 * plain.stderr.mean()


def test_where_it_does_not_only_the_weighted_board_tends_to_that_of_uniform_pairing():
    limit = limit_under_uniform_pairing(louder_among_neighbours)
    plain, weighted = (board_of(louder_among_neighbours, informative(), weighted) for weighted in (False, True))
    assert far_off(weighted, limit) < 4
    assert far_off(plain, limit) > 10
    assert far_off(board_of(louder_among_neighbours, np.full(15, 1 / 15), False), limit) < 4


# ---- votes of a study ----


def test_a_vote_weighs_what_its_pair_was_drawn_too_seldom(study):
    cast(study, "ABABAB")
    votes = inputs.study_votes(study, ledger.head(), weighting="uniform_pairs")
    expected = [1 / (battle.pair_probability * battle.eligible_pairs) for battle in Battle.objects.order_by("vote__pk")]
    assert votes.weight == pytest.approx(expected)
    assert len(set(votes.weight.round(6))) > 1


def test_votes_whose_draw_is_not_known_are_left_out_and_counted(study):
    rater = cast(study, "ABAB")
    imported = Battle.objects.create(
        study=study, rater=rater, kind="imported", served_at=study.created_at, closed_at=study.created_at,
        close_reason="voted", system_a=study.systems.first(), system_b=study.systems.last(),
    )  # fmt: skip
    Vote.objects.create(battle=imported, rater=rater, preference="A", received_at=study.created_at)
    ledger.extend()
    votes = inputs.study_votes(study, ledger.head(), weighting="uniform_pairs")
    assert votes.excluded == {"draw_unknown": 1}
    assert inputs.study_votes(study, ledger.head()).excluded == {}


def test_a_board_is_weighted_from_the_edition_on_for_which_that_was_chosen(study):
    cast(study, "ABABBA")
    plain = refit_board(study)
    weighted = refit_board(study, weighting="uniform_pairs")
    assert (plain.config["weighting"], weighted.config["weighting"]) == ("none", "uniform_pairs")
    assert plain.result != weighted.result
    assert plain.input_hash != weighted.input_hash
    cast(study, "A")
    assert refit_board(study).config["weighting"] == "uniform_pairs"
    for edition in study.editions.all():
        assert rebuild_edition(edition) == board_method.canonical_json(edition.result)


def test_under_uniform_pairing_the_weights_change_nothing(study):
    study.pairing = "uniform"
    study.save()
    cast(study, "ABABBA")
    plain, weighted = refit_board(study), refit_board(study, weighting="uniform_pairs")
    assert plain.result == weighted.result
