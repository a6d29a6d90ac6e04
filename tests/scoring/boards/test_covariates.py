"""What else moves a vote, estimated beside the ratings: slot, first played, and whatever else varies."""

import numpy as np
import pytest
from scipy.optimize import minimize

from scoring.stats.bradley_terry import BadCovariate, NoFiniteEstimate, fit, fit_with_covariates, pairs
from scoring.stats.bradley_terry.votes import check

THETA = np.array([1.0, 0.3, -0.2, -1.1])


def simulate(size=800, seed=0, slot=0.4, first=-0.3, longer=0.5, raters=40):
    """Votes on four systems, and their covariates."""
    rng = np.random.default_rng(seed)
    a = rng.integers(4, size=size)
    b = (a + rng.integers(1, 4, size=size)) % 4
    covariates = {
        "slot": np.ones(size),
        "first_played": rng.choice([-1.0, 1.0], size),
        "duration": rng.normal(size=size),
    }
    margin = THETA[a] - THETA[b] + np.array([slot, first, longer]) @ list(covariates.values())
    outcome = (rng.logistic(size=size) < margin).astype(float)
    outcome[rng.random(size) < 0.1] = 0.5
    return a, b, outcome, covariates, rng.integers(raters, size=size)


def only(covariates, *names):
    return {name: covariates[name] for name in names}


# --- the estimate ---


@pytest.mark.parametrize("names", [("slot",), ("slot", "first_played"), ("slot", "first_played", "duration")])
def test_the_estimate_is_the_minimum_that_a_general_optimiser_finds(names):
    a, b, outcome, covariates, _ = simulate()
    offset = np.random.default_rng(1).normal(size=a.size)
    x = np.array([covariates[name] for name in names])

    def loss(at):
        z = at[a] - at[b] + at[4:] @ x + offset
        return (outcome * np.logaddexp(0, -z) + (1 - outcome) * np.logaddexp(0, z)).sum() + 0.1 * at[:4] @ at[:4]

    theirs = minimize(loss, np.zeros(4 + len(names)), tol=1e-12).x
    ours = fit_with_covariates(a, b, outcome, 4, only(covariates, *names), offset=offset, l2=0.1)
    assert ours.converged
    assert ours.names == names
    assert [*ours.theta, *ours.beta] == pytest.approx(theirs, abs=1e-4)


def test_many_votes_bring_back_what_was_planted():
    a, b, outcome, covariates, _ = simulate(size=200_000)
    decided = outcome != 0.5
    covariates = {name: x[decided] for name, x in covariates.items()}
    result = fit_with_covariates(a[decided], b[decided], outcome[decided], 4, covariates)
    assert result.beta == pytest.approx([0.4, -0.3, 0.5], abs=4 * result.beta_stderr.max())
    assert result.theta == pytest.approx(THETA - THETA.mean(), abs=4 * result.stderr.max())
    assert result.beta_stderr.max() < 0.01


def test_gradient_and_hessian_are_the_finite_differences_of_the_objective():
    a, b, outcome, covariates, _ = simulate(size=60)
    votes = check(a, b, outcome, 4, None, None, covariates=tuple(covariates.values()))
    objective, at = pairs._Objective(pairs._curves(votes), 0.3), np.random.default_rng(2).normal(size=7)

    def differences(function, h=1e-5):
        return np.array([(function(at + h * e) - function(at - h * e)) / (2 * h) for e in np.eye(7)])

    assert objective.gradient(at) == pytest.approx(differences(objective.value), abs=1e-6)
    assert objective.hessian(at) == pytest.approx(differences(objective.gradient), abs=1e-6)


def test_the_effect_of_the_slot_on_equals_has_the_closed_form():
    """6 of 10 votes went to slot A, whoever stood there."""
    result = fit_with_covariates([0] * 10 + [1] * 10, [1] * 10 + [0] * 10, [1] * 6 + [0] * 4 + [1] * 6 + [0] * 4, 2,
                                 {"slot": np.ones(20)})  # fmt: skip
    assert result.beta == pytest.approx([np.log(0.6 / 0.4)])
    assert result.theta == pytest.approx([0, 0])
    assert result.beta_stderr == pytest.approx([np.sqrt(20 / 19 / (20 * 0.6 * 0.4))])


def test_a_covariate_that_moves_nothing_leaves_the_ratings_as_they_are():
    a, b, outcome, covariates, rater = simulate(size=20_000, slot=0, first=0, longer=0)
    plain, beside = fit(a, b, outcome, 4, cluster=rater), fit_with_covariates(a, b, outcome, 4, covariates)
    assert beside.theta == pytest.approx(plain.theta, abs=0.02)
    assert (np.abs(beside.beta) < 4 * beside.beta_stderr).all()


def test_votes_counted_together_and_one_by_one_give_the_same_answer(monkeypatch):
    a, b, outcome, covariates, rater = simulate()
    weight = np.random.default_rng(3).uniform(0.1, 2, a.size)
    few = only(covariates, "slot", "first_played")
    offset = np.random.default_rng(4).choice([-0.5, 0.0, 0.5], a.size)

    def result():
        return fit_with_covariates(a, b, outcome, 4, few, offset=offset, weight=weight, cluster=rater, l2=0.1)

    votes = check(a, b, outcome, 4, weight, rater, offset=offset, covariates=tuple(few.values()))
    together = result()
    assert pairs._curves(votes).won.size < a.size / 4
    monkeypatch.setattr(pairs, "FEW", 0)
    assert pairs._curves(votes).won.size == a.size
    apart = result()
    assert together.beta == pytest.approx(apart.beta, abs=1e-9)
    assert together.joint_covariance == pytest.approx(apart.joint_covariance, abs=1e-9)


def test_turning_a_vote_round_turns_its_covariates():
    a, b, outcome, covariates, rater = simulate()
    mine = only(covariates, "first_played", "duration")
    one = fit_with_covariates(a, b, outcome, 4, mine, cluster=rater)
    other = fit_with_covariates(b, a, 1 - outcome, 4, {name: -x for name, x in mine.items()}, cluster=rater)
    assert other.beta == pytest.approx(one.beta, abs=1e-9)
    assert other.joint_covariance == pytest.approx(one.joint_covariance, abs=1e-9)


# --- the covariance ---


@pytest.mark.parametrize("clustered", [True, False])
@pytest.mark.parametrize("pin", [None, 2])
def test_the_joint_covariance_is_the_sandwich_written_out_plainly(clustered, pin):
    a, b, outcome, covariates, rater = simulate(size=300)
    l2, weight = 0.2, np.random.default_rng(5).uniform(0, 2, 300)
    result = fit_with_covariates(
        a, b, outcome, 4, covariates, weight=weight, cluster=rater if clustered else None, l2=l2, pin=pin
    )
    at, rows, curvature = np.append(result.theta, result.beta), {}, np.diag([2 * l2] * 4 + [0.0] * 3)
    for i, whose in enumerate(rater if clustered else range(300)):
        x = np.append(np.eye(4)[a[i]] - np.eye(4)[b[i]], [values[i] for values in covariates.values()])
        p = 1 / (1 + np.exp(-at @ x))
        curvature += weight[i] * p * (1 - p) * np.outer(x, x)
        rows[whose] = rows.get(whose, 0) + weight[i] * (outcome[i] - p) * x
    middle = sum(np.outer(s, s) for s in rows.values()) * len(rows) / (len(rows) - 1) + np.diag([2 * l2] * 4 + [0] * 3)
    project = np.eye(7)
    if pin is None:
        project[:4, :4] -= 1 / 4
    else:
        project[pin, pin] = 0
    inverse = np.linalg.pinv(project @ curvature @ project)
    assert result.joint_covariance == pytest.approx(inverse @ middle @ inverse, abs=1e-8)
    assert result.beta_stderr == pytest.approx(np.sqrt(np.diag(result.joint_covariance)[4:]))
    low, high = result.beta_interval(0.9)
    assert high - result.beta == pytest.approx(result.beta - low)


# --- what has no effect to estimate ---


@pytest.mark.parametrize(
    ("change", "name", "reason"),
    [
        ({"duration": np.nan}, "duration", "not a finite number"),
        ({"duration": np.inf}, "duration", "not a finite number"),
        ({"first_played": 1.0}, "first_played", "is 1 in every vote"),
        ({"slot": 0.0}, "slot", "is 0 in every vote"),
    ],
)
def test_a_covariate_that_says_nothing_is_named(change, name, reason):
    a, b, outcome, covariates, _ = simulate(size=100)
    with pytest.raises(BadCovariate, match=reason) as refused:
        fit_with_covariates(a, b, outcome, 4, {**covariates, **{key: np.full(100, x) for key, x in change.items()}})
    assert refused.value.name == name


def test_a_covariate_that_repeats_another_is_named():
    a, b, outcome, covariates, _ = simulate()
    covariates["again"] = 2 * covariates["duration"] + covariates["slot"]
    with pytest.raises(BadCovariate, match="duration") as refused:
        fit_with_covariates(a, b, outcome, 4, covariates)
    assert refused.value.name == "again"


def test_a_covariate_that_only_says_which_systems_met_is_named():
    """Which systems can sing is part of their ratings: no vote can tell the two apart."""
    a, b, outcome, _, _ = simulate()
    sings = np.array([1.0, 0, 1, 0])
    with pytest.raises(BadCovariate, match="differences between systems") as refused:
        fit_with_covariates(a, b, outcome, 4, {"lyrics": sings[a] - sings[b]}, l2=0.05)
    assert refused.value.name == "lyrics"


def test_a_slot_that_one_system_always_had_is_part_of_its_rating():
    with pytest.raises(BadCovariate, match="differences between systems"):
        fit_with_covariates([0] * 4, [1] * 4, [1, 1, 0, 0], 2, {"slot": np.ones(4)}, l2=0.05)


def test_a_covariate_that_decides_every_vote_is_named():
    a, b, _, covariates, _ = simulate()
    outcome = (covariates["first_played"] > 0).astype(float)
    with pytest.raises(BadCovariate, match="separates") as refused:
        fit_with_covariates(a, b, outcome, 4, only(covariates, "slot", "first_played"), l2=0.05)
    assert refused.value.name == "first_played"


def test_two_covariates_that_together_decide_every_vote_are_refused():
    a, b, _, covariates, _ = simulate()
    covariates["other"] = np.random.default_rng(9).normal(size=a.size)
    outcome = (covariates["duration"] + covariates["other"] > 0).astype(float)
    with pytest.raises(BadCovariate, match="separates"):
        fit_with_covariates(a, b, outcome, 4, only(covariates, "duration", "other"), l2=0.05)


def test_a_few_votes_far_out_do_not_separate_the_others():
    """One clip of five minutes against one of ten seconds moves its vote by thirty logits, and no other."""
    a, b, outcome, covariates, _ = simulate()
    covariates["duration"][0], outcome[0] = 60, 1
    result = fit_with_covariates(a, b, outcome, 4, covariates)
    assert result.beta[2] == pytest.approx(0.5, abs=0.25)


def test_without_a_ridge_wins_that_go_one_way_are_refused_as_ever():
    with pytest.raises(NoFiniteEstimate, match="both ways"):
        fit_with_covariates([0, 1, 0], [1, 0, 1], [1, 0, 1], 2, {"x": [1, 2, 4]})


def test_a_covariate_of_the_wrong_length_is_named():
    a, b, outcome, _, _ = simulate(size=100)
    with pytest.raises(BadCovariate, match="shape"):
        fit_with_covariates(a, b, outcome, 4, {"duration": np.arange(99.0)})


def test_no_covariates_at_all_is_another_function():
    with pytest.raises(ValueError, match="use fit"):
        fit_with_covariates([0], [1], [1], 2, {}, l2=1)
