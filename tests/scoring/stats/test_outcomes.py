"""Ties and "both bad" as answers of their own: Davidson's model and the grounded Rao-Kupper model."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from scoring.stats.bradley_terry import BOTH_BAD, NotOffered, fit, fit_davidson, fit_grounded, outcomes
from scoring.stats.bradley_terry.votes import check

MODELS = pytest.mark.parametrize(
    ("model", "estimate"), [(outcomes.DAVIDSON, fit_davidson), (outcomes.GROUNDED, fit_grounded)],
    ids=["davidson", "grounded"],
)  # fmt: skip


def simulate(model, theta, eta, size, seed=0, raters=40):
    rng = np.random.default_rng(seed)
    n = len(theta)
    a = rng.integers(n, size=size)
    b = (a + rng.integers(1, n, size=size)) % n
    at = np.stack([theta[a], theta[b], np.full(size, eta)])
    p = np.exp(model.log_probabilities(at))
    answer = (rng.random(size) > np.cumsum(p, axis=0)[:-1]).sum(axis=0)
    return a, b, np.array(list(model.answers.values()))[answer], rng.integers(raters, size=size)


def written_out(model, theta_a, theta_b, eta):
    """The papers' formulas, as they stand there."""
    a, b = np.exp(theta_a), np.exp(theta_b)
    if model is outcomes.DAVIDSON:
        nu = np.exp(eta)
        total = a + b + nu * np.sqrt(a * b)
        return np.array([a / total, b / total, nu * np.sqrt(a * b) / total])
    threshold = 1 + np.exp(eta)
    p_a, p_b, bad = a / (a + threshold * b + 1), b / (b + threshold * a + 1), 1 / (1 + a + b)
    return np.array([p_a, p_b, 1 - p_a - p_b - bad, bad])


def objective_of(model, seed=3, size=80, l2=0.3):
    theta = np.random.default_rng(seed).normal(size=4)
    a, b, outcome, _ = simulate(model, theta, 0.3, size, seed)
    weight = np.random.default_rng(seed).uniform(0.1, 2, size)
    votes = check(a, b, outcome, 4, weight, None, both_bad=True)
    return outcomes._Objective.of(model, votes, l2), votes


# --- the models ---


@MODELS
def test_the_probabilities_are_those_of_the_papers(model, estimate):
    at = np.random.default_rng(0).normal(size=(3, 200)) * 2
    assert np.exp(model.log_probabilities(at)) == pytest.approx(written_out(model, *at), abs=1e-12)


@MODELS
def test_the_answers_are_a_distribution_however_far_the_parameters_go(model, estimate):
    at = np.random.default_rng(1).uniform(-300, 300, size=(3, 5000))
    log_p = model.log_probabilities(at)
    assert np.isfinite(log_p).all()
    assert logsumexp(log_p, axis=0) == pytest.approx(np.zeros(5000), abs=1e-10)


@MODELS
def test_gradient_and_hessian_are_the_finite_differences_of_the_objective(model, estimate):
    objective, _ = objective_of(model)
    at = np.random.default_rng(2).normal(size=5)

    def differences(function, h=1e-5):
        return np.array([(function(at + h * e) - function(at - h * e)) / (2 * h) for e in np.eye(5)])

    assert objective.gradient(at) == pytest.approx(differences(objective.value), abs=1e-6)
    assert objective.hessian(at) == pytest.approx(differences(objective.gradient), abs=1e-6)


@MODELS
def test_the_expected_information_is_the_expected_hessian(model, estimate):
    """Counting every answer as often as the model expects it, the two curvatures are one."""
    objective, _ = objective_of(model)
    at = np.random.default_rng(4).normal(size=5)
    expected = objective.counts.sum(axis=0) * np.exp(model.log_probabilities(objective._local(at)))
    expecting = outcomes._Objective(**{**vars(objective), "counts": expected})
    assert expecting.hessian(at) == pytest.approx(objective.safe_curvature(at), abs=1e-9)


# --- the estimates ---


@MODELS
def test_the_estimate_is_the_minimum_that_a_general_optimiser_finds(model, estimate):
    theta = np.random.default_rng(5).normal(size=5)
    a, b, outcome, _ = simulate(model, theta, -0.5, 400, seed=5)
    index = np.array([list(model.answers.values()).index(y) for y in outcome])

    def loss(x):
        p = written_out(model, x[a], x[b], x[5])[index, np.arange(a.size)]
        return 0.1 * x[:5] @ x[:5] - np.log(p).sum()

    theirs = minimize(loss, np.zeros(6), tol=1e-12).x
    ours = estimate(a, b, outcome, 5, l2=0.1)
    assert ours.converged
    assert [*ours.theta, ours.eta] == pytest.approx(theirs, abs=1e-4)


@MODELS
@pytest.mark.parametrize("seed", range(5))
def test_every_start_leads_to_the_same_minimum(model, estimate, seed):
    objective, _ = objective_of(model, seed=seed, size=60, l2=0.05)
    rng, gauge = np.random.default_rng(seed), outcomes.groups.Gauge.none(5)
    found = [outcomes.newton.minimise(objective, 2 * rng.normal(size=5), gauge)[0] for _ in range(8)]
    assert np.ptp(found, axis=0).max() < 1e-6


@MODELS
def test_many_votes_bring_back_what_was_planted(model, estimate):
    theta = np.array([1.2, 0.4, -0.3, -1.3])
    a, b, outcome, _ = simulate(model, theta, -0.7, 200_000, seed=6)
    result = estimate(a, b, outcome, 4, l2=1e-6)
    assert result.theta == pytest.approx(theta, abs=4 * result.stderr.max())
    assert result.stderr.max() < 0.02
    assert result.eta == pytest.approx(-0.7, abs=4 * result.eta_stderr)


def test_two_systems_tied_by_davidson_have_the_closed_form():
    won, lost, tied = 60, 20, 40
    outcome = [1.0] * won + [0.0] * lost + [0.5] * tied
    result = fit_davidson([0] * 120, [1] * 120, outcome, 2, l2=1e-10)
    assert result.theta[0] - result.theta[1] == pytest.approx(np.log(won / lost))
    assert np.exp(result.eta) == pytest.approx(tied / np.sqrt(won * lost))
    assert result.probabilities(0, 1)["tie"] == pytest.approx(tied / 120)


def test_davidson_with_next_to_no_ties_is_bradley_terry():
    a, b, outcome, rater = simulate(outcomes.DAVIDSON, np.array([0.5, 0, -0.5]), -50, 600)
    outcome[0] = 0.5
    with_ties, without = fit_davidson(a, b, outcome, 3, cluster=rater), fit(a[1:], b[1:], outcome[1:], 3, l2=0.05)
    assert with_ties.theta == pytest.approx(without.theta, abs=0.01)


def test_more_votes_both_bad_lower_both_systems_on_the_grounded_scale():
    a, b, outcome, _ = simulate(outcomes.GROUNDED, np.array([0.5, 0.2, -0.5]), 0.0, 900)
    before = fit_grounded(a, b, outcome, 3)
    bad = np.full(100, BOTH_BAD)
    after = fit_grounded([*a, *[0] * 100], [*b, *[1] * 100], [*outcome, *bad], 3)
    assert (after.theta[:2] < before.theta[:2] - 0.2).all()
    assert after.theta[0] > after.theta[1] > after.theta[2]


def test_systems_that_never_met_can_be_compared_on_the_grounded_scale():
    a, b, outcome, _ = simulate(outcomes.GROUNDED, np.array([1.5, 1.0]), 0.0, 3000)
    c, d, other, _ = simulate(outcomes.GROUNDED, np.array([-0.5, -1.0]), 0.0, 3000, seed=1)
    result = fit_grounded([*a, *(c + 2)], [*b, *(d + 2)], [*outcome, *other], 4)
    assert result.groups == ((0, 1, 2, 3),)
    assert result.theta == pytest.approx([1.5, 1.0, -0.5, -1.0], abs=0.25)


def test_a_system_without_votes_stands_at_zero_as_far_as_the_ridge_knows():
    a, b, outcome, _ = simulate(outcomes.GROUNDED, np.array([0.5, 0.2]), 0.0, 300)
    result = fit_grounded(a, b, outcome, 3, l2=0.5)
    assert (result.theta[2], result.stderr[2]) == (0, pytest.approx(1 / np.sqrt(2 * 0.5)))


def test_groups_that_never_meet_are_centred_each_by_itself_under_davidson():
    a, b, outcome, _ = simulate(outcomes.DAVIDSON, np.array([0.5, 0.2]), 0.0, 300)
    result = fit_davidson([*a, *(a + 2)], [*b, *(b + 2)], [*outcome, *outcome], 4)
    assert result.groups == ((0, 1), (2, 3))
    assert result.theta[:2].sum() == pytest.approx(0)
    assert result.theta[2:] == pytest.approx(result.theta[:2])


# --- the covariance ---


@MODELS
@pytest.mark.parametrize("clustered", [True, False])
def test_the_covariance_is_the_sandwich_written_out_plainly(model, estimate, clustered):
    theta, l2 = np.random.default_rng(7).normal(size=4), 0.2
    a, b, outcome, rater = simulate(model, theta, 0.2, 300, seed=7)
    weight = np.random.default_rng(7).uniform(0.1, 2, 300)
    result = estimate(a, b, outcome, 4, weight=weight, cluster=rater if clustered else None, l2=l2)
    at, rows = np.append(result.theta, result.eta), {}
    curvature = np.diag([2 * l2] * 4 + [0.0])
    for i, whose in enumerate(rater if clustered else range(300)):
        _, gradient, bend = model.derivatives(at[[a[i], b[i], 4]][:, None])
        answer, where = list(model.answers.values()).index(outcome[i]), [a[i], b[i], 4]
        curvature[np.ix_(where, where)] -= weight[i] * bend[answer, :, :, 0]
        score = np.zeros(5)
        score[where] = weight[i] * gradient[answer, :, 0]
        rows[whose] = rows.get(whose, 0) + score
    middle = sum(np.outer(s, s) for s in rows.values()) * len(rows) / (len(rows) - 1) + np.diag([2 * l2] * 4 + [0])
    project = np.eye(5)
    if not model.grounded:
        project[:4, :4] -= 1 / 4
    inverse = np.linalg.pinv(project @ curvature @ project)
    assert result.joint_covariance == pytest.approx(inverse @ middle @ inverse, abs=1e-8)
    assert result.covariance == pytest.approx(result.joint_covariance[:4, :4])


@MODELS
def test_who_stands_in_slot_a_makes_no_difference(model, estimate):
    a, b, outcome, rater = simulate(model, np.array([0.5, 0, -0.5]), 0.2, 500)
    turned = np.where(outcome == BOTH_BAD, BOTH_BAD, 1 - outcome)
    one, other = estimate(a, b, outcome, 3, cluster=rater), estimate(b, a, turned, 3, cluster=rater)
    assert other.theta == pytest.approx(one.theta, abs=1e-9)
    assert other.joint_covariance == pytest.approx(one.joint_covariance, abs=1e-9)


@MODELS
def test_a_weight_repeats_the_vote(model, estimate):
    a, b, outcome, rater = simulate(model, np.array([0.5, 0, -0.5]), 0.2, 300)
    weight = np.random.default_rng(4).integers(0, 4, 300)
    again = np.repeat(np.arange(300), weight)
    one = estimate(a, b, outcome, 3, weight=weight, cluster=rater)
    other = estimate(a[again], b[again], outcome[again], 3, cluster=rater[again])
    assert one.theta == pytest.approx(other.theta, abs=1e-9)
    assert one.joint_covariance == pytest.approx(other.joint_covariance, abs=1e-9)


@MODELS
@pytest.mark.parametrize("seed", range(20))
def test_with_every_answer_seen_once_there_is_a_finite_answer(model, estimate, seed):
    rng = np.random.default_rng(seed)
    n, size = int(rng.integers(2, 12)), int(rng.integers(4, 80))
    a = rng.integers(n, size=size)
    b = (a + rng.integers(1, n, size=size)) % n
    outcome = rng.choice(list(model.answers.values()), size)
    outcome[:4] = [1, 0, 0.5, BOTH_BAD if "both_bad" in model.answers else 0.5]
    weight = [None, 10 ** rng.uniform(-3, 3, size)][seed % 2]
    result = estimate(a, b, outcome, n, weight=weight, l2=[1.0, 0.05, 1e-4][seed % 3])
    assert result.converged
    assert np.isfinite([*result.theta, *result.stderr, result.eta, result.eta_stderr]).all()


# --- not offered ---


@pytest.mark.parametrize(
    ("outcome", "missing"),
    [
        ([1, 0, 0.5], "no vote BOTH_BAD"),
        ([1, 0, BOTH_BAD], "no tie"),
        ([0.5, 0.5, BOTH_BAD], "no win"),
        ([1, 0, 1], "no tie and no vote BOTH_BAD"),
    ],
)
def test_the_grounded_model_is_not_offered_where_an_answer_was_never_given(outcome, missing):
    with pytest.raises(NotOffered, match=missing):
        fit_grounded([0, 1, 0], [1, 0, 1], outcome, 2)


def test_an_answer_given_only_in_votes_that_weigh_nothing_was_never_given():
    with pytest.raises(NotOffered, match="BOTH_BAD"):
        fit_grounded([0] * 4, [1] * 4, [1, 0, 0.5, BOTH_BAD], 2, weight=[1, 1, 1, 0])


def test_davidson_is_not_offered_without_ties():
    with pytest.raises(NotOffered, match="no tie"):
        fit_davidson([0, 1], [1, 0], [1, 1], 2)


def test_votes_both_bad_are_refused_by_models_without_that_answer():
    for estimate in (fit, fit_davidson):
        with pytest.raises(ValueError, match=r"BOTH_BAD|outcome\[3\] is -1"):
            estimate([0] * 4, [1] * 4, [1, 0, 0.5, BOTH_BAD], 2, l2=0.05)


def test_half_credits_are_no_answer():
    with pytest.raises(ValueError, match=r"outcome\[0\] is 0.7"):
        fit_davidson([0, 0], [1, 1], [0.7, 0.5], 2)


@pytest.mark.parametrize("l2", [0, -1, np.nan])
def test_a_ridge_is_needed(l2):
    with pytest.raises(ValueError, match="l2"):
        fit_davidson([0, 0], [1, 1], [1, 0.5], 2, l2=l2)
