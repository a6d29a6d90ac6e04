"""A whole study: the simulated one of the issue, skills by EM, agreement between raters, identities and alarms."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binomtest, fisher_exact

from annotations import quality
from annotations.quality.screening import pooled
from annotations.quality.skills import PRIOR
from scoring.stats.bradley_terry import fit
from tests.bench.raters import fit_theta, measure
from tests.casts.rater_simulation import Careless, Listener, session, study

# --- the study of the issue: 60 raters, 30 votes, 3 golds, 3 repeats, 20 % careless, 5 % adversarial ---


@pytest.mark.slow
def test_the_rules_find_nine_in_ten_bad_raters_wrong_few_good_ones_and_mend_the_board():
    row = measure("all evidence", range(4))
    assert row["bad_flagged"] >= 0.9
    assert row["good_flagged"] <= 0.05
    assert row["rmse_with_flags"] < row["rmse_without_flags"]


def test_a_study_of_good_raters_alone_loses_few_of_them():
    good = study(1, careless=0, adversarial=0)
    assert quality.screen(good.raters, 8, fit_theta).flagged.mean() <= 0.05


def test_a_study_too_small_to_judge_flags_nobody():
    few = study(3, raters=7, careless=0.5)
    screened = quality.screen(few.raters, 8, fit_theta)
    assert {verdict.result for verdict in screened.verdicts} == {"unknown"}
    assert screened.theta == pytest.approx(fit_theta(*pooled(few.raters, 8)[:3], 8))


def test_the_same_study_is_screened_the_same_twice():
    few = study(4, raters=20)
    one, two = (quality.screen(few.raters, 8, fit_theta) for _ in range(2))
    assert (one.flagged == two.flagged).all()
    assert (one.theta == two.theta).all()


def test_a_rater_at_work_is_judged_by_the_running_look_alone():
    raters = study(5, raters=30, careless=0.5).raters
    finished = quality.screen(raters, 8, fit_theta, rounds=1).flagged
    at_work = quality.screen(raters, 8, fit_theta, rounds=1, finished=np.zeros(30, bool)).flagged
    assert at_work.sum() < finished.sum()
    assert not (at_work & ~finished).any()


def test_votes_are_pooled_as_a_board_uses_them():
    raters = [quality.RaterVotes([0, 1, 0], [1, 2, 2], ["A", "BOTH_BAD", "TIE"]), quality.RaterVotes([2], [0], ["B"])]
    a, b, outcome, rater = pooled(raters, 3)
    assert (a.tolist(), b.tolist(), outcome.tolist(), rater.tolist()) == ([0, 0, 2], [1, 2, 0], [1, 0.5, 0], [0, 0, 1])
    with pytest.raises(ValueError, match="no votes"):
        pooled([], 3)


def test_leaving_a_rater_out_by_one_step_is_close_to_fitting_without_them():
    one = study(6, raters=15)
    a, b, outcome, rater = pooled(one.raters, 8)
    board = fit(a, b, outcome, 8, l2=0.05)
    without, errors = quality.leave_rater_out(board.theta, a, b, outcome, rater, 16, 0.05)
    for r in range(15):
        refitted = fit(a[rater != r], b[rater != r], outcome[rater != r], 8, l2=0.05)
        assert without[r] == pytest.approx(refitted.theta, abs=0.05)
        assert np.abs(without[r] - refitted.theta).max() < np.abs(board.theta - refitted.theta).max() / 2
    assert without[15] == pytest.approx(board.theta)
    assert errors[15] == pytest.approx(board.stderr, rel=0.5)  # the sandwich, of votes given and ridge, is close


def test_leaving_a_rater_out_is_the_newton_step_of_all_systems_though_they_met_few():
    rng, n, l2 = np.random.default_rng(9), 40, 0.05
    rater = np.repeat(np.arange(12), 10)
    a = rng.integers(n, size=rater.size)
    b = (a + rng.integers(1, n, size=rater.size)) % n
    outcome = rng.integers(2, size=rater.size).astype(float)
    theta = fit(a, b, outcome, n, l2=l2).theta
    without, errors = quality.leave_rater_out(theta, a, b, outcome, rater, 12, l2)
    for r in range(12):
        x = np.eye(n)[a] - np.eye(n)[b]
        p = expit(x @ theta)
        own = rater == r
        rest = 2 * l2 * np.eye(n) + (x[~own].T * (p * (1 - p))[~own]) @ x[~own]
        assert without[r] == pytest.approx(theta + np.linalg.solve(rest, x[own].T @ (p - outcome)[own]), abs=1e-9)
        centre = np.eye(n) - 1 / n
        assert errors[r] == pytest.approx(np.sqrt(np.diagonal(centre @ np.linalg.inv(rest) @ centre)))


def test_who_was_flagged_before_stays_so_and_who_is_not_judged_is_neither():
    one = study(3, raters=20, careless=0.0, adversarial=0.0)
    before, judged = np.arange(20) == 4, np.arange(20) < 10
    found = quality.screen(one.raters, 8, fit_theta, flagged=before, judged=judged)
    assert found.verdicts[4] is quality.FLAGGED_BEFORE and found.flagged[4]
    assert all(verdict is None for verdict in found.verdicts[10:]) and not found.flagged[10:].any()
    a, b, outcome, rater = pooled(one.raters, 8)
    used = ~found.flagged[rater]
    assert found.theta == pytest.approx(fit_theta(a[used], b[used], outcome[used], 8))
    assert found.own[4] == pytest.approx(found.theta), "their votes are not in it"
    everybody = quality.screen(one.raters, 8, fit_theta, flagged=np.ones(20, bool))
    assert everybody.theta == pytest.approx(np.zeros(8))


# --- skills ---


def skilled_votes(skills, votes, seed=0):
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=8)
    rater = np.repeat(np.arange(len(skills)), votes)
    a = rng.integers(8, size=rater.size)
    b = (a + rng.integers(1, 8, size=rater.size)) % 8
    chance_b = np.array(skills)[rater] * expit(theta[b] - theta[a]) + (1 - np.array(skills)[rater]) / 2
    return a, b, np.where(rng.random(rater.size) < chance_b, "B", "A"), rater, theta, len(skills)


def test_skills_planted_are_recovered_within_their_error():
    planted = np.array([0.05, 0.3, 0.5, 0.7, 0.95])
    found = quality.reliability(*skilled_votes(planted, 4000))
    assert found.converged
    assert (np.abs(found.skill - planted) < 3 * found.sd).all()
    assert (found.sd < 0.06).all()


def test_the_em_never_goes_down():
    found = quality.reliability(*skilled_votes([0.0, 0.2, 0.9, 1.0], 40, seed=3))
    assert len(found.objective) > 5
    assert (np.diff(found.objective) >= -1e-12).all()


def test_the_skill_is_where_the_posterior_has_no_slope_and_its_sd_the_curvature_there():
    a, b, preference, rater, theta, _ = skilled_votes([0.6], 50, seed=4)
    found = quality.reliability(a, b, preference, rater, theta, 1)
    p = expit(np.where(preference == "B", 1, -1) * (theta[b] - theta[a]))

    def log_posterior(s):
        yes, no = PRIOR
        return np.log(s * p + (1 - s) / 2).sum() + (yes - 1) * np.log(s) + (no - 1) * np.log(1 - s)

    s, h = found.skill[0], 1e-4
    assert (log_posterior(s + h) - log_posterior(s - h)) / (2 * h) == pytest.approx(0, abs=1e-4)
    bend = (log_posterior(s + h) - 2 * log_posterior(s) + log_posterior(s - h)) / h**2
    assert found.sd[0] == pytest.approx((-bend) ** -0.5, rel=1e-4)


def test_with_nothing_to_tell_skill_by_the_prior_stands():
    """No votes, or votes between equals: the mode of Beta(4, 2) is 3/4, and its curvature known."""
    found = quality.reliability([0] * 9, [1] * 9, ["A"] * 9, [1] * 9, [0.3, 0.3], 2)
    assert found.skill == pytest.approx([0.75, 0.75], abs=1e-6)
    assert found.sd == pytest.approx([(3 / 0.75**2 + 1 / 0.25**2) ** -0.5] * 2, abs=1e-6)
    assert found.n.tolist() == [0, 9]


def test_a_vote_certain_under_the_board_gives_the_closed_form():
    """On a board without doubt n agreeing votes have likelihood ((1 + s) / 2)^n; the mode solves a quadratic."""
    found = quality.reliability([0] * 10, [1] * 10, ["A"] * 10, [0] * 10, [400.0, -400.0], 1)
    # 10 / (1 + s) + 3 / s - 1 / (1 - s) = 0  <=>  -14 s^2 + 9 s + 3 = 0
    root = max(np.roots([-14, 9, 3]))
    assert found.skill[0] == pytest.approx(root, abs=1e-6)


def test_each_rater_may_have_a_board_of_their_own():
    a, b, preference, rater, theta, n = skilled_votes([0.2, 0.8], 60)
    same = quality.reliability(a, b, preference, rater, np.tile(theta, (n, 1)), n)
    assert same.skill == pytest.approx(quality.reliability(a, b, preference, rater, theta, n).skill)
    with pytest.raises(ValueError, match="rows"):
        quality.reliability(a, b, preference, rater, np.tile(theta, (3, 1)), n)


def test_good_raters_are_more_skilled_than_careless_ones():
    one = study(7)
    a, b, outcome, rater = pooled(one.raters, 8)
    preference = np.where(outcome == 1, "A", np.where(outcome == 0, "B", "TIE"))
    found = quality.reliability(a, b, preference, rater, fit_theta(a, b, outcome, 8), 60)
    assert found.skill[one.kind == "good"].mean() > found.skill[one.kind == "careless"].mean() + 0.1


# --- agreement between raters ---


def test_alpha_agrees_with_krippendorffs_own_example():
    """Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section A: two observers, binary data."""
    one, two = "0100000001", "1110010000"
    votes = [
        (2 * unit, 2 * unit + 1, "AB"[int(row[unit])], r) for r, row in enumerate((one, two)) for unit in range(10)
    ]
    found = quality.krippendorff(*zip(*votes, strict=True))
    assert found.value == pytest.approx(0.095, abs=5e-4)
    assert (found.n, found.n_raters, found.interval) == (20, 2, None)


def test_the_same_clip_in_the_other_slot_is_the_same_answer():
    straight = quality.inter_rater([1, 1], [2, 2], ["A", "A"], ["x", "y"])
    turned = quality.inter_rater([1, 2], [2, 1], ["A", "B"], ["x", "y"])
    assert straight.value == turned.value == 1
    assert quality.inter_rater([1, 2], [2, 1], ["A", "A"], ["x", "y"]).value == 0
    assert quality.inter_rater([1, 2], [2, 1], ["TIE", "TIE"], ["x", "y"]).value == 1
    assert quality.inter_rater([1, 2], [2, 1], ["TIE", "BOTH_BAD"], ["x", "y"]).value == 0


def test_inter_rater_agreement_counts_pairs_of_raters_and_first_answers():
    found = quality.inter_rater([1] * 5, [2] * 5, ["A", "A", "B", "TIE", "B"], ["x", "y", "z", "w", "x"])
    assert (found.value, found.n, found.n_raters) == (pytest.approx(1 / 6), 6, 4)


@pytest.mark.parametrize(
    ("votes", "reason"),
    [
        (([], [], [], []), "no clip pair"),
        (([1, 3], [2, 4], ["A", "B"], [0, 1]), "no clip pair"),
        (([1, 1], [2, 2], ["A", "A"], [0, 1]), "every answer is the same"),
    ],
)
def test_alpha_that_is_not_defined_is_none_with_the_reason(votes, reason):
    found = quality.krippendorff(*votes)
    assert (found.value, found.interval) == (None, None)
    assert reason in found.reason


def test_alpha_is_near_zero_for_coins_with_an_interval_around_it():
    rng = np.random.default_rng(8)
    rater, unit = (grid.ravel() for grid in np.meshgrid(np.arange(12), np.arange(30)))
    found = quality.krippendorff(2 * unit, 2 * unit + 1, rng.choice(["A", "B", "TIE"], size=unit.size), rater)
    low, high = found.interval
    assert low < 0 < high
    assert high - low < 0.2


def test_the_interval_of_intra_rater_agreement_covers_as_it_says():
    covered, rng = 0, np.random.default_rng(9)
    for _ in range(150):
        own = rng.beta(8, 4, size=25)  # raters differ, so answers of one are not independent
        rater = np.repeat(np.arange(25), 6)
        second = np.where(rng.random(rater.size) < own[rater], "B", "A")
        low, high = quality.intra_rater(["A"] * rater.size, second, rater).interval
        covered += low <= 8 / 12 <= high
    assert binomtest(covered, 150, 0.95).pvalue > 0.01


def test_intra_rater_agreement_counts_all_four_answers():
    found = quality.intra_rater(["A", "TIE", "BOTH_BAD", "B"], ["B", "TIE", "TIE", "B"], [0, 1, 2, 3])
    assert (found.value, found.n, found.n_raters) == (0.5, 4, 4)
    assert quality.intra_rater([], [], []).value is None
    low, high = quality.intra_rater(["A"] * 6, ["B"] * 6, range(6)).interval
    assert (round(low, 2), high) == (0.61, 1.0)  # all agree: not certainty, but six coins


# --- identities and alarms ---

PLAIN = {"arrivals_same_connection": 1}


def test_a_classroom_on_one_connection_never_fails():
    assert quality.risk(**PLAIN | {"arrivals_same_connection": 200}).result == "pass"
    assert quality.risk(**PLAIN | {"arrivals_same_connection": 200, "median_decision_ms": 50}).result == "pass"


def test_an_unknown_connection_is_unknown_whatever_else_is_seen():
    found = quality.risk(arrivals_same_connection=None, median_decision_ms=1)
    assert (found.result, found.score) == ("unknown", None)


def test_no_signal_fails_alone_and_twins_in_a_hurry_do():
    assert quality.risk(**PLAIN).score == 0
    twins = PLAIN | {"arrivals_same_connection": 5, "twin_agreement": 1.0, "twin_pairs": 20}
    assert quality.risk(**twins).result == "pass"
    found = quality.risk(**twins | {"median_decision_ms": 90})
    assert found.result == "fail"
    assert found.score == pytest.approx(1 - 0.7 * 0.4 * 0.7)
    assert set(found.signals) == {"crowded", "twins", "haste"}
    few = quality.risk(**twins | {"median_decision_ms": 90, "twin_pairs": 3})
    assert few.result == "pass"
    assert "twins" not in quality.risk(**twins | {"arrivals_same_connection": 1}).signals  # strangers of one taste


def test_the_alarm_rings_for_a_screen_that_broke_and_not_for_noise():
    broke = quality.pass_rate_moved(95, 100, 10, 40)
    assert broke.moved
    assert broke.p == pytest.approx(fisher_exact([[95, 5], [10, 30]]).pvalue)
    assert not quality.pass_rate_moved(95, 100, 34, 40).moved
    assert not quality.pass_rate_moved(95_000, 100_000, 92_000, 100_000).moved  # significant, and small
    assert quality.pass_rate_moved(95_000, 100_000, 92_000, 100_000).p < 1e-6
    nobody = quality.pass_rate_moved(0, 0, 5, 5)
    assert (nobody.before, nobody.moved) == (None, False)
    with pytest.raises(ValueError, match="counts"):
        quality.pass_rate_moved(3, 2, 0, 0)


# --- the simulation itself ---


def test_the_simulated_raters_are_what_they_are_said_to_be():
    one = study(10)
    assert {kind: int((one.kind == kind).sum()) for kind in set(one.kind)} == {
        "good": 45,
        "careless": 12,
        "adversarial": 3,
    }
    rng = np.random.default_rng(11)
    truth = np.linspace(-1.5, 1.5, 8)
    fan = session(rng, Listener(rng, truth, target=0), 200, 3, 3, 8)
    met = (fan.a == 0) | (fan.b == 0)
    assert (np.where(fan.preference == "A", fan.a, fan.b)[met] == 0).all()
    wins = [session(rng, Careless(rng), 200, 3, 3, 8) for _ in range(20)]
    better = [np.where(s.preference == "A", s.a, s.b) > np.where(s.preference == "A", s.b, s.a) for s in wins]
    assert np.mean(better) == pytest.approx(0.5, abs=0.03)
