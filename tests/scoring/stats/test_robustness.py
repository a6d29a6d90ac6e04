"""What would change the order: found by influence, confirmed by refitting, held against trying everything."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit

from scoring.stats import board_method, robustness
from scoring.stats.bradley_terry import BOTH_BAD
from scoring.stats.robustness.ballots import leading_group

NAMES = [f"s{i}" for i in range(12)]


def votes_of(theta, n_votes, n_raters=20, seed=0, tie=0.1, both_bad=0.0):
    """StudyVotes' arrays, drawn from these ratings."""
    rng, n = np.random.default_rng(seed), len(theta)
    a = rng.integers(n, size=n_votes)
    b = (a + rng.integers(1, n, size=n_votes)) % n
    outcome = (rng.random(n_votes) < expit(np.array(theta)[a] - np.array(theta)[b])).astype(float)
    outcome[rng.random(n_votes) < tie] = 0.5
    outcome[rng.random(n_votes) < both_bad] = BOTH_BAD
    rater = rng.integers(n_raters, size=n_votes)
    ones = np.ones(n_votes)
    return SimpleNamespace(
        systems=NAMES[:n], a=a, b=b, outcome=outcome, weight=ones, cluster=rater, covariates={"slot": ones},
        connection=np.full(n_votes, -1), network=np.full(n_votes, -1),
    )  # fmt: skip


def ballots_of(*args, treatment="half_tie", covariates=(), **kwargs):
    """Ballots under a treatment, with every answer that it counts among them."""
    config = {**board_method.CONFIG, "treatment": treatment, "covariates": list(covariates)}
    kwargs.setdefault("both_bad", 0.1 if board_method.counts_both_bad(config) else 0.0)
    return robustness.Ballots.of(votes_of(*args, **kwargs), config)


def leader_of(ballots, kept):
    """Who leads the group of the present leader without the others; None where they cannot be compared."""
    rest = ballots.kept(kept)
    return rest.fit() if len(rest) else None


def changes_leader(ballots, leader, kept):
    fit = leader_of(ballots, kept)
    if fit is None:
        return False
    group = next(group for group in fit.groups if leader in group)
    return max(fit.theta[list(group)]) > fit.theta[leader] + 1e-9


def fewest_by_trying_all(ballots, unit, most):
    leader = leading_group(ballots.fit(), ballots.systems)[0]
    units = np.unique(unit)
    for size in range(1, most + 1):
        for subset in combinations(units, size):
            if changes_leader(ballots, leader, ~np.isin(unit, subset)):
                return size
    return None


# ---- influence ----


@pytest.mark.parametrize("treatment", board_method.TREATMENTS)
def test_an_influence_is_what_a_fit_without_that_vote_finds(treatment):
    ballots = ballots_of([0.4, 0.1, -0.2, -0.3], 1500, treatment=treatment)
    fit = ballots.fit()
    linear = ballots.linearise(fit)
    promised = linear.without_each(linear.contrast(0, 2))
    for vote in range(0, 1500, 100):
        without = ballots.kept(np.arange(1500) != vote).fit()
        found = (without.theta[0] - without.theta[2]) - (fit.theta[0] - fit.theta[2])
        assert found == pytest.approx(promised[vote], abs=0.02 * np.abs(promised).max())


@pytest.mark.parametrize("weighed_by", [{"reliability": 1}, {"weighting": "uniform_pairs"}])
def test_influence_knows_what_votes_weigh(weighed_by):
    votes = votes_of([1.0, 0.3, -0.5], 600)
    votes.weight = np.random.default_rng(3).uniform(0.1, 3, 600)
    ballots = robustness.Ballots.of(votes, {**board_method.CONFIG, **weighed_by})
    fit = ballots.fit()
    linear = ballots.linearise(fit)
    moves = linear.without_each(linear.contrast(0, 1))
    heavy = np.argsort(-np.abs(moves))[:5]
    for vote in heavy:
        rest = ballots.kept(np.arange(600) != vote).fit()
        moved = (rest.theta[0] - rest.theta[1]) - (fit.theta[0] - fit.theta[1])
        assert moves[vote] == pytest.approx(moved, rel=0.05)


def test_influences_take_what_covariates_absorb_into_account():
    ballots = ballots_of([0.4, 0.1, -0.2, -0.3], 1200, covariates=["slot"])
    fit = ballots.fit()
    linear = ballots.linearise(fit)
    promised = linear.without_each(linear.contrast(1, 3))
    for vote in range(0, 1200, 200):
        without = ballots.kept(np.arange(1200) != vote).fit()
        found = (without.theta[1] - without.theta[3]) - (fit.theta[1] - fit.theta[3])
        assert found == pytest.approx(promised[vote], abs=0.02 * np.abs(promised).max())


# ---- the fewest votes, and raters ----


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_the_fewest_votes_are_those_that_trying_every_subset_finds(seed):
    ballots = ballots_of([0.6, 0.2, -0.8], 16, seed=seed)
    removal = robustness.fewest_removals(ballots, ballots.fit())
    truth = fewest_by_trying_all(ballots, np.arange(16), most=4)
    leader = leading_group(ballots.fit(), ballots.systems)[0]
    if removal.fewest is not None:
        assert changes_leader(ballots, leader, ~removal.removed)
        assert removal.n_votes == removal.fewest
    if truth is None:
        assert removal.fewest is None or removal.fewest > 4
    else:
        assert truth <= removal.fewest <= truth + 1


def test_trying_every_subset_of_raters_finds_no_fewer():
    exact = 0
    for seed in range(5):
        ballots = ballots_of([0.5, 0.1, -0.4], 60, n_raters=10, seed=seed)
        removal = robustness.fewest_removals(ballots, ballots.fit(), ballots.cluster)
        truth = fewest_by_trying_all(ballots, ballots.cluster, most=4)
        if truth is not None and removal.fewest is not None:
            assert removal.fewest >= truth
            exact += removal.fewest == truth
        assert removal.of == 10
    assert exact >= 3


def test_what_is_reported_was_confirmed_by_a_fit_without_it():
    ballots = ballots_of([0.2, 0.15, 0.0, -0.1, -0.2], 3000, n_raters=200)
    fit = ballots.fit()
    leader = leading_group(fit, ballots.systems)[0]
    for unit in (np.arange(3000), ballots.cluster):
        removal = robustness.fewest_removals(ballots, fit, unit)
        assert changes_leader(ballots, leader, ~removal.removed)
        assert len(np.unique(unit[removal.removed])) == removal.fewest
        assert removal.new_leader != leader


def test_what_the_last_step_took_too_much_is_put_back(monkeypatch):
    ballots = ballots_of([0.5, 0.0, -0.5], 600, n_raters=60, seed=5)
    fit = ballots.fit()
    removal = robustness.fewest_removals(ballots, fit, ballots.cluster)
    monkeypatch.setattr(
        "scoring.stats.robustness.removal._Search.shortest", lambda _, taken, held, leader: (taken, leader)
    )
    longer = robustness.fewest_removals(ballots, fit, ballots.cluster)
    assert removal.fewest < longer.fewest
    assert changes_leader(ballots, leading_group(fit, ballots.systems)[0], ~removal.removed)


def test_a_leader_whom_half_the_votes_do_not_unseat_is_more_than_that():
    ballots = ballots_of([6.0, 0.0], 40, tie=0)
    removal = robustness.fewest_removals(ballots, ballots.fit())
    assert (removal.fewest, removal.more_than) == (None, 20)


def test_votes_without_a_rater_are_no_raters_to_leave_out():
    ballots = ballots_of([0.5, -0.5], 100)
    anonymous = robustness.Ballots(**{**vars(ballots), "cluster": -np.arange(100) - 1})
    card = robustness.card(anonymous, seed=1, draws=100)
    assert card["removal"]["raters"] is None
    assert card["heaviest_raters"] == []
    assert card["removal"]["votes"]["of"] == 100


# ---- ranks ----


def test_the_ranks_are_those_that_new_boards_of_the_same_truth_would_have():
    """Of two systems: the better leads in as many draws as it leads simulated boards."""
    theta, led = [0.15, -0.15], 0
    for seed in range(200):
        led += ballots_of(theta, 150, n_raters=150, seed=seed, tie=0).fit().theta[0] > 0
    ballots = ballots_of(theta, 150, n_raters=150, seed=0, tie=0)
    fit = ballots.fit()
    ranks = robustness.draw_ranks(np.array(theta), fit.covariance, fit.g_eff, seed=1)
    assert ranks.p_best[0] == pytest.approx(led / 200, abs=0.05)


def test_every_draw_gives_every_rank_to_somebody_and_the_same_seed_the_same_ranks():
    ballots = ballots_of([0.4, 0.1, 0.0, -0.5], 400)
    fit = ballots.fit()
    first, again, other = (
        robustness.draw_ranks(fit.theta, fit.covariance, fit.g_eff, seed=seed, draws=2000) for seed in (3, 3, 4)
    )
    assert (first.counts.sum(axis=0) == 2000).all() and (first.counts.sum(axis=1) == 2000).all()
    assert (first.counts == again.counts).all()
    assert (first.counts != other.counts).any()
    best, worst = first.within(0.95)
    assert (best <= worst).all() and best.min() == 1 and worst.max() == 4


def test_draws_spread_as_the_covariance_says():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4)) * 0.3
    theta, covariance = np.array([0.2, 0.1, 0.0, -0.3]), root @ root.T
    drawn = rng.multivariate_normal(theta, covariance, size=20_000)
    expected = (drawn.argmax(axis=1)[:, None] == np.arange(4)).mean(axis=0)
    assert robustness.draw_ranks(theta, covariance, 1e6, seed=1).p_best == pytest.approx(expected, abs=0.02)


# ---- separations ----


def test_as_many_votes_as_are_said_to_be_needed_do_separate_neighbours():
    """Simulated: with that many more votes on the two, half of the interval is as wide as their difference."""
    ballots = ballots_of([0.6, 0.25, 0.05, -0.9], 500, n_raters=500, tie=0.15, seed=3)
    fit = ballots.fit()
    order = leading_group(fit, ballots.systems)
    pairs = robustness.separations(ballots, fit, ballots.linearise(fit), order, 0.95)
    needed = [one for one in pairs if one.extra and one.extra < 20_000]
    assert needed
    for one in needed[:2]:
        widths = []
        for seed in range(20):
            rng = np.random.default_rng(seed)
            p = expit(one.difference)
            tie = (ballots.outcome == 0.5).mean()
            outcome = rng.choice([1.0, 0.0, 0.5], size=one.extra, p=[p - tie / 2, 1 - p - tie / 2, tie])
            more = {
                "a": np.full(one.extra, one.above), "b": np.full(one.extra, one.below), "outcome": outcome,
                "weight": np.ones(one.extra), "cluster": 10_000 + np.arange(one.extra),
            }  # fmt: skip
            columns = {name: np.concatenate([getattr(ballots, name), values]) for name, values in more.items()}
            then = robustness.Ballots(ballots.systems, **columns, config=ballots.config).fit()
            c = np.zeros(4)
            c[one.above], c[one.below] = 1, -1
            widths.append(1.96 * np.sqrt(c @ then.covariance @ c))
        assert np.mean(widths) == pytest.approx(one.difference, rel=0.1)


def test_neighbours_already_apart_need_none():
    ballots = ballots_of([1.5, -1.5], 500)
    fit = ballots.fit()
    (pair,) = robustness.separations(ballots, fit, ballots.linearise(fit), [0, 1], 0.95)
    assert pair.extra == 0 and pair.low > 0 and pair.votes == 500


@pytest.mark.parametrize("treatment", board_method.TREATMENTS)
def test_separations_are_told_for_every_treatment(treatment):
    ballots = ballots_of([0.1, 0.0, -0.1], 300, treatment=treatment)
    half_ties = ballots_of([0.1, 0.0, -0.1], 300)
    fits = [(one, one.fit()) for one in (ballots, half_ties)]
    found = [robustness.separations(one, fit, one.linearise(fit), [0, 2], 0.95)[0] for one, fit in fits]
    assert 0.3 < found[0].extra / found[1].extra < 3


# ---- other circumstances ----


def test_the_heaviest_rater_is_the_one_who_bends_the_board():
    votes = votes_of([0.3, 0.0, -0.3], 400, n_raters=40)
    fan = 200  # votes by one who always chooses the last
    votes.a, votes.b = np.append(votes.a, np.zeros(fan, int)), np.append(votes.b, np.full(fan, 2))
    votes.outcome, votes.weight = np.append(votes.outcome, np.zeros(fan)), np.ones(400 + fan)
    votes.cluster, votes.covariates = np.append(votes.cluster, np.full(fan, 99)), {}
    ballots = robustness.Ballots.of(votes, board_method.CONFIG)
    first, *others = robustness.without_heaviest(ballots, ballots.fit())
    assert (first["votes"], first["share"], len(others)) == (200, 0.333333, 4)
    assert first["leader_changes"] and first["leader"] == "s0"
    assert first["largest_shift"]["shift"] == first["shifts"][first["largest_shift"]["system"]]
    assert not any(other["leader_changes"] for other in others)


def test_a_slot_that_wins_more_is_seen_and_adjusted_for():
    rng = np.random.default_rng(0)
    votes = votes_of([0.2, 0.0, -0.2], 2000)
    b_wins = rng.random(2000) < 0.25
    votes.outcome[b_wins] = 0.0
    slot = robustness.slot_effect(robustness.Ballots.of(votes, board_method.CONFIG))
    assert slot["b_won"] > slot["decided"] / 2 and slot["p_value"] < 0.001
    assert slot["low"] < slot["share"] < slot["high"]
    assert slot["adjusted"]["effect"]["high"] < 0
    assert slot["adjusted"]["leader"] == "s0"


def test_flagged_votes_are_shown_on_both_sides():
    everything = ballots_of([0.3, 0.0, -0.3], 600)
    some = everything.kept(np.arange(600) >= 100)
    told = robustness.flagged(some, everything, counted=False)
    assert told["votes"] == {"with": 600, "without": 500} and told["flagged"] == 100
    for row in told["systems"].values():
        assert row["shift"] == pytest.approx(row["without"] - row["with"], abs=2e-6)
    assert robustness.flagged(some, some, counted=True)["flagged"] == 0


def test_agreement_counts_only_votes_on_scored_clips_and_takes_biases_off():
    rng = np.random.default_rng(1)
    a, b = np.zeros(400, int), np.ones(400, int)
    quality_a, quality_b = rng.normal(size=(2, 400))
    outcome = (rng.random(400) < expit(3 * (quality_a - quality_b))).astype(float)
    outcome[:20], flattered = 0.5, 3 * quality_a + 2
    flattered[20:40] = np.nan
    told = robustness.agreement(a, b, outcome, ["x", "y"], flattered, 3 * quality_b, {"x": 2.0})
    assert (told["n"], told["unscored"]) == (360, 20)
    assert told["corrected"]["accuracy"] > told["rewards"]["accuracy"]
    assert told["corrected"]["ece"] < told["rewards"]["ece"]
    assert told["by_system"]["x"]["n"] == 360
    assert robustness.agreement(a, b, np.full(400, 0.5), ["x", "y"], flattered, quality_b, {}) is None


# ---- the whole card ----


@pytest.mark.parametrize("treatment", board_method.TREATMENTS)
def test_a_card_is_canonical_json_and_the_same_every_time(treatment):
    ballots = ballots_of([0.3, 0.0, -0.3], 200, treatment=treatment)
    first, again = (
        board_method.canonical_json(robustness.card(ballots, seed=7, other=ballots, draws=500)) for _ in range(2)
    )
    assert first == again


def test_a_board_of_one_vote_or_none_has_a_card():
    ballots = ballots_of([0.3, 0.0], 1)
    assert robustness.card(ballots.kept([False]), seed=1)["leader"] is None
    card = robustness.card(ballots, seed=1, draws=100)
    assert card["removal"]["votes"]["fewest"] is None
    board_method.canonical_json(card)


def test_systems_that_never_met_are_ranked_apart():
    votes = votes_of([0.3, 0.0], 60)
    other = votes_of([0.3, 0.0, -0.3], 90, seed=1)
    votes.systems, votes.covariates = NAMES[:5], {}
    votes.a, votes.b = np.append(votes.a, other.a + 2), np.append(votes.b, other.b + 2)
    votes.outcome, votes.weight = np.append(votes.outcome, other.outcome), np.ones(150)
    votes.cluster = np.append(votes.cluster, other.cluster)
    card = robustness.card(robustness.Ballots.of(votes, board_method.CONFIG), seed=1, draws=200)
    assert [len(group["systems"]) for group in card["ranks"]["groups"]] == [3, 2]
    assert card["leader"] in NAMES[2:5]
    assert len(card["separation"]["pairs"]) == 3
