"""Designs against what optimal design theory says of them, and tables against the editions they are made after."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from arena.models import PairingTable, System
from arena.services import give_consent
from arena.serving import process_cache, serve_battle
from scoring.boards.refit import refit_board
from scoring.stats import pair_design
from scoring.stats.bradley_terry import fit
from tests.casts.votes import cast

FIRST, SECOND = np.triu_indices(6, 1)
AHEAD = 60  # votes, of 300


def after(share, theta, covariance, n_votes):
    """The precision after so many votes, written out plainly."""
    precision = np.linalg.inv(covariance)
    for i, j, q in zip(FIRST, SECOND, share, strict=True):
        p, x = expit(theta[i] - theta[j]), np.eye(6)[i] - np.eye(6)[j]
        precision = precision + n_votes * q * p * (1 - p) * np.outer(x, x)
    return precision


def loss_matrix(theta, covariance):
    """sum c x x' over pairs, c = P(wrong order) / variance."""
    total = np.zeros((6, 6))
    for i, j in zip(FIRST, SECOND, strict=True):
        x = np.eye(6)[i] - np.eye(6)[j]
        variance = x @ covariance @ x
        total += norm.cdf(-abs(theta[i] - theta[j]) / np.sqrt(variance)) / variance * np.outer(x, x)
    return total


def loss(share, theta, covariance, n_votes):
    return np.trace(loss_matrix(theta, covariance) @ np.linalg.inv(after(share, theta, covariance, n_votes)))


def gains(share, theta, covariance, n_votes, h=1e-4):
    """How much the loss falls with a vote more on each pair, by finite differences."""
    more = share + h * np.eye(15)
    return (loss(share, theta, covariance, n_votes) - [loss(one, theta, covariance, n_votes) for one in more]) / h


@pytest.fixture
def board():
    """Ratings, and a covariance in which the last system has hardly been heard."""
    theta = np.array([-1.5, -0.7, 0.1, 0.2, 1.0, 0.4])
    a = np.array([0, 1, 2, 3, 0, 4, 1, 2, 5])
    b = np.array([1, 2, 3, 4, 2, 0, 4, 4, 0])
    weight = np.array([30, 40, 50, 60, 30, 20, 40, 50, 2.0])
    return theta, pair_design.posterior_covariance(a, b, weight, theta, 0.1)


@pytest.fixture
def best(monkeypatch):
    monkeypatch.setattr(pair_design, "STEPS", 5000)


def test_the_best_design_gains_as_much_from_every_pair_that_it_draws(board, best):
    """Whittle's equivalence (1973): no pair would gain more than those that have a share."""
    share = pair_design.design(*board, n_votes=300)
    gain = gains(share, *board, AHEAD)
    assert share.sum() == pytest.approx(1)
    assert gain[share > 0.01] == pytest.approx(gain.max(), rel=0.01)


def test_a_few_steps_come_near_the_best_design(board, monkeypatch):
    few = pair_design.design(*board, n_votes=300)
    monkeypatch.setattr(pair_design, "STEPS", 5000)
    at_best, uniform = loss(pair_design.design(*board, 300), *board, AHEAD), loss(np.full(15, 1 / 15), *board, AHEAD)
    assert at_best < loss(few, *board, AHEAD) < at_best + 0.1 * (uniform - at_best)


def test_who_is_new_is_heard_twice_as_often_as_the_average_and_the_others_as_among_themselves():
    low, high = np.triu_indices(8, 1)
    share = np.random.default_rng(0).exponential(size=28)
    share /= share.sum()
    new = np.arange(8) == 5
    welcomed = pair_design.welcome(share, new)
    with_new = new[low] | new[high]
    assert welcomed.sum() == pytest.approx(1)
    assert welcomed[with_new].sum() / welcomed[~with_new].sum() == pytest.approx(0.5 / share[~with_new].sum())
    assert np.ptp(welcomed[~with_new] / share[~with_new]) < 1e-12
    assert np.ptp(welcomed[with_new] / share[with_new]) < 1e-12
    assert pair_design.welcome(share, np.zeros(8, bool)) == pytest.approx(share)


def test_equals_are_heard_more_than_those_far_apart_and_alike_systems_alike():
    share = pair_design.design([0.0, 0.0, 3.0, 3.0], np.eye(4), 1000)
    near, far = share[[0, 5]], share[1:5]
    assert near == pytest.approx(share[0])
    assert far == pytest.approx(share[1])
    assert share[0] > 2 * share[1]
    assert pair_design.design(np.zeros(4), np.eye(4), 100) == pytest.approx(np.full(6, 1 / 6))


def test_what_all_ratings_have_in_common_moves_no_share(board):
    theta, covariance = board
    centre = np.eye(6) - 1 / 6
    assert pair_design.design(theta + 5, centre @ covariance @ centre, 300) == pytest.approx(
        pair_design.design(theta, covariance, 300), abs=1e-6
    )


def test_the_posterior_covariance_is_the_inverse_curvature_of_the_boards_fit():
    """Where the model is right and each vote its own, the sandwich is that curvature's inverse."""
    rng = np.random.default_rng(0)
    ability, size = np.array([-0.6, 0.0, 0.6]), 400_000
    a = rng.integers(3, size=size)
    b = (a + rng.integers(1, 3, size=size)) % 3
    outcome = (rng.random(size) < expit(ability[a] - ability[b])).astype(float)
    board = fit(a, b, outcome, 3, l2=0.05)
    ours = pair_design.posterior_covariance(a, b, np.ones(size), board.theta, 0.1)
    centre = np.eye(3) - 1 / 3
    assert centre @ ours @ centre == pytest.approx(board.covariance, rel=0.02, abs=1e-9)


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(ValueError, match="two or more"):
        pair_design.design([0.0], np.eye(1), 10)
    with pytest.raises(ValueError, match="two or more"):
        pair_design.design([0.0, 1.0], np.eye(3), 10)
    with pytest.raises(ValueError, match="full rank"):
        pair_design.design([0.0, 1.0, 2.0], np.diag([1.0, 0.0, 0.0]), 10)
    with pytest.raises(ValueError, match="precision"):
        pair_design.posterior_covariance([0], [1], [1.0], np.zeros(2), 0)


# ---- the table of an edition ----


@pytest.fixture
def informative(study):
    study.pairing = "informative"
    study.save()
    return study


def test_an_edition_writes_the_table_that_the_next_battles_are_drawn_from(informative):
    cast(informative, "ABAB")
    edition = refit_board(informative)
    table = informative.pairing_tables.get()
    assert (table.version, table.config["n_votes"], table.config["criterion"]) == (
        edition.number,
        4,
        "A, of open orders",
    )
    assert table.systems == sorted(informative.systems.values_list("pk", flat=True))
    assert table.probability.sum() == pytest.approx(1)
    process_cache.forget()
    battle, _ = serve_battle(give_consent(None, informative, 1), informative)
    assert battle.policy == "informative"
    names = sorted((battle.system_a_id, battle.system_b_id))
    share = table.probability[[(0, 1), (0, 2), (1, 2)].index(tuple(table.systems.index(pk) for pk in names))]
    assert battle.pair_probability == pytest.approx(informative.epsilon / 3 + (1 - informative.epsilon) * share)


def test_other_policies_need_no_table(study):
    cast(study, "AB")
    refit_board(study)
    assert not PairingTable.objects.exists()


def test_who_is_new_is_in_the_table_and_who_has_retired_is_not(informative):
    for _ in range(8):
        cast(informative, "ABABAB")
    System.objects.filter(name="alder").update(retired_at="2026-01-01T00:00Z")
    new = System.objects.create(name="dogwood")
    informative.systems.add(new)
    refit_board(informative)
    table = informative.pairing_tables.get()
    active = informative.systems.filter(retired_at=None)
    assert table.systems == sorted(active.values_list("pk", flat=True))
    share = dict(zip(["birch cedar", "birch dogwood", "cedar dogwood"], table.probability, strict=True))
    assert share["birch cedar"] < share["birch dogwood"] == pytest.approx(share["cedar dogwood"], rel=0.2)


def test_the_last_tables_are_kept(informative):
    for _ in range(PairingTable.KEPT + 2):
        cast(informative, "A")
        refit_board(informative)
    versions = list(informative.pairing_tables.values_list("version", flat=True))
    assert versions == [5, 4, 3]


def test_a_study_of_one_system_has_none(informative):
    cast(informative, "AB")
    informative.systems.set(informative.systems.filter(name="alder"))
    refit_board(informative)
    assert not PairingTable.objects.exists()
