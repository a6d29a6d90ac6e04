"""The ratings, their errors and their refusals, against closed forms, other libraries and plain loops."""

import choix
import evalica
import numpy as np
import pytest
from scipy.stats import t as student

from scoring.stats.bradley_terry import NoFiniteEstimate, fit, pairs, sums
from scoring.stats.bradley_terry.votes import check
from tests.casts.simulated_votes import simulate


def plain_sandwich(theta, a, b, outcome, offset, weight, cluster, l2, project):
    """The contract's formula, one vote at a time."""
    n = len(theta)
    hessian, scores = np.zeros((n, n)), {}
    for i, rater in enumerate(cluster):
        x = np.zeros(n)
        x[a[i]], x[b[i]] = 1, -1
        p = 1 / (1 + np.exp(-(offset[i] + theta @ x)))
        hessian += weight[i] * p * (1 - p) * np.outer(x, x)
        scores[rater] = scores.get(rater, 0) + weight[i] * (outcome[i] - p) * x
    meat = sum(np.outer(s, s) for s in scores.values()) * len(scores) / (len(scores) - 1)
    inverse = np.linalg.pinv(project @ (hessian + 2 * l2 * np.eye(n)) @ project)
    return inverse @ (meat + 2 * l2 * np.eye(n)) @ inverse


def centre(n):
    return np.eye(n) - 1 / n


# --- against other libraries ---


@pytest.mark.parametrize("l2", [0.05, 1.0])
def test_agrees_with_choix_at_the_same_ridge(l2):
    a, b, outcome, _ = simulate(ties=0)
    wins = [(i, j) if y == 1 else (j, i) for i, j, y in zip(a, b, outcome, strict=True)]
    theirs = choix.opt_pairwise(6, wins, alpha=l2, tol=1e-10)
    assert fit(a, b, outcome, 6, l2=l2).theta == pytest.approx(theirs, abs=1e-4)


def test_agrees_with_choix_without_a_ridge():
    a, b, outcome, _ = simulate(ties=0)
    wins = [(i, j) if y == 1 else (j, i) for i, j, y in zip(a, b, outcome, strict=True)]
    assert fit(a, b, outcome, 6).theta == pytest.approx(choix.ilsr_pairwise(6, wins), abs=1e-4)


def test_agrees_with_evalica_with_weights_and_ties_as_half_wins():
    a, b, outcome, _ = simulate()
    weight = np.random.default_rng(1).uniform(0.2, 3, a.size)
    names = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    theirs = evalica.bradley_terry(
        [f"system {i}" for i in a],
        [f"system {i}" for i in b],
        [names[y] for y in outcome],
        weights=weight.tolist(),
        tolerance=1e-12,
        limit=10_000,
    )
    log_scores = np.log(theirs.scores.sort_index().to_numpy())
    expected = log_scores - log_scores.mean()
    assert fit(a, b, outcome, 6, weight=weight).theta == pytest.approx(expected, abs=1e-4)


# --- the estimate ---


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_gradient_and_hessian_are_the_finite_differences_of_the_objective(l2):
    a, b, outcome, _ = simulate(n=4, size=60)
    rng = np.random.default_rng(2)
    offset, weight, theta = rng.normal(size=60), rng.uniform(0.1, 2, 60), rng.normal(size=4)
    votes = check(a, b, outcome, 4, weight, None, offset=offset)
    objective = pairs._Objective(pairs._curves(votes), l2)

    def differences(function, h=1e-5):
        return np.array([(function(theta + h * e) - function(theta - h * e)) / (2 * h) for e in np.eye(4)])

    assert objective.gradient(theta) == pytest.approx(differences(objective.value), abs=1e-7)
    assert objective.hessian(theta) == pytest.approx(differences(objective.gradient), abs=1e-7)


def test_two_systems_have_the_closed_form():
    result = fit([0] * 10, [1] * 10, [1] * 7 + [0] * 3, 2)
    assert result.theta == pytest.approx([np.log(7 / 3) / 2, -np.log(7 / 3) / 2])
    variance_of_difference = (10 / 9) / (10 * 0.7 * 0.3)  # binomial logit, times G/(G-1)
    assert result.covariance == pytest.approx(variance_of_difference / 4 * np.array([[1, -1], [-1, 1]]))
    assert (result.n_votes, result.converged, result.g_eff) == (10, True, 10)


def test_a_ridge_carries_no_factor_of_one_half():
    theta = fit([0], [1], [1], 2, l2=0.25).theta
    # d/dx of log(1 + e^-2x) + 0.25 * 2 x^2 is 0
    assert 2 / (1 + np.exp(2 * theta[0])) == pytest.approx(theta[0])


def test_a_tie_is_half_a_win_each_way():
    tie = fit([0, 0, 0], [1, 1, 1], [0.5, 1, 0], 2)
    halves = fit([0, 1, 0, 0], [1, 0, 1, 1], [1, 1, 1, 0], 2, weight=[0.5, 0.5, 1, 1])
    assert tie.theta == pytest.approx(halves.theta)
    assert tie.theta == pytest.approx([0, 0])


def test_who_stands_in_slot_a_makes_no_difference():
    a, b, outcome, rater = simulate()
    one, other = fit(a, b, outcome, 6, cluster=rater), fit(b, a, 1 - outcome, 6, cluster=rater)
    assert other.theta == pytest.approx(one.theta, abs=1e-12)
    assert other.covariance == pytest.approx(one.covariance, abs=1e-12)


def test_order_of_votes_and_numbering_of_systems_and_raters_make_no_difference():
    a, b, outcome, rater = simulate()
    rng = np.random.default_rng(3)
    votes, system = rng.permutation(a.size), rng.permutation(6)
    names = np.array([f"rater {r}" for r in rater])
    one = fit(a, b, outcome, 6, cluster=rater)
    other = fit(system[a][votes], system[b][votes], outcome[votes], 6, cluster=names[votes])
    assert other.theta[system] == pytest.approx(one.theta, abs=1e-12)
    assert other.covariance[np.ix_(system, system)] == pytest.approx(one.covariance, abs=1e-12)
    assert other.g_eff == pytest.approx(one.g_eff)


def test_a_weight_repeats_the_vote_and_weight_zero_removes_it():
    a, b, outcome, rater = simulate(size=300)
    weight = np.random.default_rng(4).integers(0, 4, 300)
    again = np.repeat(np.arange(300), weight)
    one = fit(a, b, outcome, 6, weight=weight, cluster=rater)
    other = fit(a[again], b[again], outcome[again], 6, cluster=rater[again])
    assert one.theta == pytest.approx(other.theta, abs=1e-10)
    assert one.covariance == pytest.approx(other.covariance, abs=1e-10)  # by rater, repeating is weighing
    assert one.g_eff == pytest.approx(other.g_eff)
    assert one.n_votes == (weight > 0).sum()


def test_a_constant_offset_shifts_the_probability_of_slot_a():
    """P(a wins) = 0.75 by an offset alone leaves the systems equal."""
    result = fit([0] * 4 + [1] * 4, [1] * 4 + [0] * 4, [1, 1, 1, 0] * 2, 2, offset=[np.log(3)] * 8)
    assert result.theta == pytest.approx([0, 0])


def test_offsets_that_differences_of_theta_could_make_are_subtracted_from_it():
    a, b, outcome, _ = simulate()
    shift = np.array([50.0, -50, 20, 0, -30, 10])
    shifted = fit(a, b, outcome, 6, offset=shift[a] - shift[b])
    assert shifted.converged
    assert shifted.theta == pytest.approx(fit(a, b, outcome, 6).theta - shift, abs=1e-8)


def test_offsets_and_pairs_counted_together_give_the_same_answer():
    a, b, outcome, rater = simulate()
    together, apart = (fit(a, b, outcome, 6, offset=o, cluster=rater) for o in (None, np.zeros(a.size)))
    assert together.theta == pytest.approx(apart.theta, abs=1e-10)
    assert together.covariance == pytest.approx(apart.covariance, abs=1e-10)


# --- what is held fixed ---


def test_groups_that_never_meet_are_centred_each_by_itself(l2=0.05):
    a, b, outcome, rater = simulate(n=3)
    apart = fit([*a, *(b + 3)], [*b, *(a + 3)], [*outcome, *outcome], 6, l2=l2, cluster=[*rater, *rater])
    alone = fit(a, b, outcome, 3, l2=l2, cluster=rater)
    assert apart.groups == ((0, 1, 2), (3, 4, 5))
    assert apart.theta[:3] == pytest.approx(alone.theta, abs=1e-9)
    assert apart.theta[3:] == pytest.approx(-alone.theta, abs=1e-9)
    assert apart.covariance[:3, :3] == pytest.approx(alone.covariance, abs=1e-9)


def test_without_a_ridge_the_pin_is_only_a_point_of_view():
    a, b, outcome, rater = simulate()
    free, pinned = fit(a, b, outcome, 6, cluster=rater), fit(a, b, outcome, 6, cluster=rater, pin=2)
    contrast = np.eye(6)
    contrast[:, 2] -= 1
    assert pinned.theta == pytest.approx(contrast @ free.theta, abs=1e-9)
    assert pinned.covariance == pytest.approx(contrast @ free.covariance @ contrast.T, abs=1e-9)


def test_with_a_ridge_the_pinned_rating_is_held_at_zero_while_the_penalty_acts_on_the_others():
    result = fit([0], [1], [1], 2, l2=0.25, pin=1)
    # d/dx of log(1 + e^-x) + 0.25 x^2 is 0
    assert 1 / (1 + np.exp(result.theta[0])) == pytest.approx(result.theta[0] / 2)
    assert result.theta[1] == 0


def test_the_pinned_rating_and_its_row_and_column_are_exactly_zero():
    a, b, outcome, rater = simulate()
    result = fit(a, b, outcome, 6, cluster=rater, l2=0.05, pin=4)
    low, high = result.interval()
    assert (result.theta[4], result.stderr[4], low[4], high[4]) == (0, 0, 0, 0)
    assert not result.covariance[4].any()
    assert not result.covariance[:, 4].any()


def test_a_pin_leaves_the_other_group_centred():
    a, b, outcome, _ = simulate(n=3)
    apart = fit([*a, *(a + 3)], [*b, *(b + 3)], [*outcome, *outcome], 6, pin=1, l2=1e-6)
    assert apart.theta[1] == 0
    assert apart.theta[3:].sum() == pytest.approx(0)
    assert apart.theta[3:] == pytest.approx(apart.theta[:3] - apart.theta[:3].mean(), abs=1e-5)


def test_groups_that_never_met_have_no_joint_estimate_without_a_ridge():
    a, b, outcome, _ = simulate(n=3)
    with pytest.raises(NoFiniteEstimate, match="never met") as refused:
        fit([*a, *(a + 3)], [*b, *(b + 3)], [*outcome, *outcome], 6)
    assert refused.value.groups == ((0, 1, 2), (3, 4, 5))


# --- the covariance ---


@pytest.mark.parametrize("l2", [0.0, 0.05, 2.0])
@pytest.mark.parametrize("pin", [None, 0])
@pytest.mark.parametrize("clustered", [True, False])
def test_the_covariance_is_the_sandwich_written_out_plainly(l2, pin, clustered):
    a, b, outcome, rater = simulate(size=400)
    rng = np.random.default_rng(5)
    offset, weight = rng.normal(size=400), rng.uniform(0, 2, 400)
    result = fit(a, b, outcome, 6, offset=offset, weight=weight, cluster=rater if clustered else None, l2=l2, pin=pin)
    project = centre(6) if pin is None else np.diag([0.0, 1, 1, 1, 1, 1])
    cluster = rater if clustered else range(400)
    plain = plain_sandwich(result.theta, a, b, outcome, offset, weight, cluster, l2, project)
    assert result.covariance == pytest.approx(plain, abs=1e-6)
    assert result.stderr == pytest.approx(np.sqrt(np.diag(plain)), abs=1e-6)


def test_many_raters_with_few_votes_each_have_the_same_sandwich():
    a, b, outcome, _ = simulate(n=60, size=3000)
    rater = np.arange(3000) // 2  # 3 % of the systems each: the sparse way
    result = fit(a, b, outcome, 60, cluster=rater, l2=0.05)
    plain = plain_sandwich(result.theta, a, b, outcome, np.zeros(3000), np.ones(3000), rater, 0.05, centre(60))
    assert result.covariance == pytest.approx(plain, abs=1e-6)


def test_raters_taken_in_blocks_have_the_same_sandwich(monkeypatch):
    monkeypatch.setattr(sums, "DENSE_CELLS", 4 * 700)
    a, b, outcome, _ = simulate(n=4, size=6000)
    rater = np.arange(6000) % 3000  # four blocks of 700 and one of 200
    result = fit(a, b, outcome, 4, cluster=rater)
    plain = plain_sandwich(result.theta, a, b, outcome, np.zeros(6000), np.ones(6000), rater, 0, centre(4))
    assert result.covariance == pytest.approx(plain, abs=1e-6)


def test_a_rater_whose_votes_all_weigh_zero_is_as_if_not_there():
    a, b, outcome, _ = simulate()
    rater = np.arange(600) % 4
    result = fit(a, b, outcome, 6, cluster=rater, weight=rater != 2)
    rest = rater != 2
    without = fit(a[rest], b[rest], outcome[rest], 6, cluster=rater[rest])
    assert result.covariance == pytest.approx(without.covariance)
    assert result.g_eff == pytest.approx(without.g_eff)


def test_a_rater_who_repeats_every_vote_adds_nothing_to_what_is_known():
    a, b, outcome, rater = simulate()
    once = fit(a, b, outcome, 6, cluster=rater)
    twice = fit([*a, *a], [*b, *b], [*outcome, *outcome], 6, cluster=[*rater, *rater])
    assert twice.stderr == pytest.approx(once.stderr)
    blind = fit([*a, *a], [*b, *b], [*outcome, *outcome], 6)
    assert (blind.stderr < 0.8 * fit(a, b, outcome, 6).stderr).all()


def test_intervals_use_student_t_with_the_effective_number_of_raters():
    a, b, outcome, _ = simulate()
    rater = np.repeat([0, 1, 2, 3], [300, 100, 100, 100])
    result = fit(a, b, outcome, 6, cluster=rater)
    assert result.g_eff == pytest.approx(600**2 / (300**2 + 3 * 100**2))
    low, high = result.interval(0.9)
    reach = student.ppf(0.95, df=result.g_eff - 1) * result.stderr
    assert low == pytest.approx(result.theta - reach)
    assert high == pytest.approx(result.theta + reach)


@pytest.mark.parametrize("share", [1.0, 0.999])
def test_a_board_with_hardly_more_than_one_rater_has_wide_but_finite_intervals(share):
    a, b, outcome, _ = simulate()
    result = fit(a, b, outcome, 6, cluster=np.arange(600) >= 600 * share)
    low, high = result.interval()
    assert result.g_eff < 1.01
    assert np.isfinite([low, high]).all()
    assert high - low == pytest.approx(2 * 12.706 * result.stderr, rel=1e-4)


def test_with_a_single_rater_the_spread_is_taken_over_the_votes():
    a, b, outcome, _ = simulate()
    alone, by_vote = fit(a, b, outcome, 6, cluster=[7] * 600), fit(a, b, outcome, 6)
    assert alone.g_eff == 1
    assert alone.covariance == pytest.approx(by_vote.covariance)
