"""Votes of which some are coin tosses: what a margin then means, found again from the votes."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.special import expit

from scoring.metrics import lapses, preference


def drawn(rate, temperature, n, seed=0):
    rng = np.random.default_rng(seed)
    margin = rng.normal(0, 1.5, n)
    probability = rate / 2 + (1 - rate) * expit(margin / temperature)
    return margin, (rng.random(n) < probability).astype(float)


def test_log_odds_are_those_of_the_psychometric_function_and_keep_the_winner():
    margin = np.array([-40.0, -2.0, -1e-3, 0.0, 0.7, 3.0, 800.0])
    found = lapses.log_odds(margin, 0.3, 0.5)
    np.testing.assert_allclose(expit(found), 0.15 + 0.7 * expit(margin / 0.5), atol=1e-12)
    np.testing.assert_array_equal(np.sign(found), np.sign(margin))
    assert (np.diff(found) >= 0).all()
    np.testing.assert_array_equal(lapses.log_odds(margin, 0.0, 2.0), margin / 2)


@pytest.mark.parametrize(("rate", "temperature"), [(0.2, 0.4), (0.5, 0.1), (0.5, 1.0)])
def test_rate_and_temperature_are_found_again(rate, temperature):
    found = lapses.calibrate(*drawn(rate, temperature, 20_000))
    assert found.rate == pytest.approx(rate, abs=0.06)
    assert found.temperature == pytest.approx(temperature, rel=0.25)
    assert found.n == 20_000


def test_votes_without_lapses_keep_the_plain_temperature():
    found = [
        (lapses.calibrate(*votes), preference.temperature(*votes))
        for votes in (drawn(0, 1.7, 500, s) for s in range(60))
    ]
    plain = [one for one, _ in found if one.rate == 0]
    assert len(plain) >= 54  # a test at 5 % is wrong in 3 of 60
    assert all(one.temperature == plain_t.value for one, plain_t in found if one.rate == 0)


def test_labels_flipped_whatever_the_margin_are_calibrated_by_lapses_and_by_no_temperature():
    margin, target = drawn(0.5, 0.02, 6000)
    fitted_on, judged_on = slice(0, 3000), slice(3000, None)
    found = lapses.calibrate(margin[fitted_on], target[fitted_on])
    scaled = margin[judged_on] / preference.temperature(margin[judged_on], target[judged_on]).value
    assert preference.expected_calibration_error(scaled, target[judged_on]) > 0.08
    assert preference.expected_calibration_error(found.log_odds(margin[judged_on]), target[judged_on]) < 0.04


def test_the_gradient_of_the_likelihood_is_that_of_finite_differences():
    margin, target = drawn(0.3, 0.5, 200)
    signed = np.where(target == 1, margin, -margin)
    for point in ((0.02, 0.0), (0.1, 0.3), (0.6, -2.0)):
        loss, gradient = (lambda at, i=i: lapses._loss(at, signed)[i] for i in (0, 1))
        assert check_grad(loss, gradient, np.array(point), epsilon=1e-7) < 1e-4 * np.linalg.norm(gradient(point))


def test_ties_and_margins_of_zero_say_nothing_and_the_unit_of_the_margins_does_not_matter():
    margin, target = drawn(0.4, 0.2, 3000)
    found = lapses.calibrate(margin, target)
    assert lapses.calibrate([*margin, 7.0, 0.0], [*target, 0.5, 1.0]) == found
    wider = lapses.calibrate(1000 * margin, target)
    assert (wider.rate, wider.temperature) == pytest.approx((found.rate, 1000 * found.temperature), rel=1e-3)


def test_where_no_temperature_fits_nothing_does():
    assert lapses.calibrate([], []) is None
    assert lapses.calibrate([1.0, 2.0], [1.0, 1.0]) is None  # never wrong
    assert lapses.calibrate([1.0, 2.0], [1.0, 0.0]) is None  # wrong as often as right


def test_a_head_is_judged_by_what_calibration_makes_of_it_and_one_that_is_never_wrong_is_best():
    target = np.array([1.0, 1.0, 0.0, 1.0, 0.5])
    right = np.array([0.1, 0.2, -0.1, 0.3, 0.4])
    wrong_once = np.array([0.1, 0.2, -0.1, -0.05, 0.0])
    tie = np.log(2) / 5
    assert lapses.calibrated_loss(right, target) == pytest.approx(tie)
    assert lapses.calibrated_loss(100 * right, target) == pytest.approx(tie)
    assert tie < lapses.calibrated_loss(wrong_once, target) < preference.log_loss(wrong_once, target)
    assert lapses.calibrated_loss(-right, target) == preference.log_loss(-right, target)
    assert lapses.calibrated_loss(right, target, [1, 1, 1, 1, 0]) == 0
