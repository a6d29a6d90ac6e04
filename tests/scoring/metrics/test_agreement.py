"""Whether a metric says what listeners said, on votes whose truth is planted; and bootstrap intervals that cover."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from scoring.metrics.agreement import agreement
from scoring.metrics.bootstrap import estimate

SYSTEMS = {"ash": -1.0, "birch": -0.3, "cedar": 0.4, "elm": 1.1}


def votes(n, sharpness, seed=0):
    """Differences of a metric, and who won: P(a wins) = sigmoid(sharpness · difference)."""
    rng = np.random.default_rng(seed)
    difference = rng.normal(size=n)
    return difference, (rng.random(n) < expit(sharpness * difference)).astype(float), rng.integers(40, size=n)


def of(difference, a_wins, rater, values=SYSTEMS):
    return agreement(difference, a_wins, rater, values, SYSTEMS, np.random.default_rng(1))


def test_a_metric_that_predicts_listeners_is_found_to_with_its_sharpness():
    found = of(*votes(4000, sharpness=2.0))

    assert 0.74 < found.accuracy.value < 0.80 and found.accuracy.low > 0.7
    assert found.temperature == pytest.approx(1 / 2, rel=0.15)
    assert found.calibration_error < 0.03
    assert found.by_system == 1
    assert (found.n_pairs, found.n_raters) == (4000, 40)


def test_a_metric_that_says_nothing_has_no_temperature_or_an_interval_around_one_half():
    found = of(*votes(4000, sharpness=0.0), values={**SYSTEMS, "ash": 5.0})

    assert found.accuracy.low < 0.5 < found.accuracy.high
    assert found.by_system < 1


def test_a_metric_that_is_wrong_is_below_one_half_and_not_calibrated():
    difference, a_wins, rater = votes(2000, sharpness=2.0)
    found = of(-difference, a_wins, rater)

    assert found.accuracy.high < 0.5
    assert found.temperature is None and found.calibration_error is None


def test_equal_values_count_half():
    assert of(np.zeros(10), np.ones(10), np.arange(10)).accuracy.value == 0.5


def test_two_systems_have_no_rank_correlation():
    assert of(*votes(50, 1.0), values={"ash": 0.0, "birch": 1.0}).by_system is None


def test_ties_and_no_votes_at_all_are_refused():
    with pytest.raises(ValueError, match="leave out votes that nobody won"):
        of(np.ones(2), np.array([1, 0.5]), np.arange(2))
    with pytest.raises(ValueError, match="no decided vote"):
        of(np.empty(0), np.empty(0), np.empty(0))


@pytest.mark.slow
def test_an_interval_of_a_mean_covers_it_also_where_raters_have_tastes():
    """30 raters of 10 votes each: drawn by rater, 95 % intervals cover; drawn by vote, they do not."""
    covered = {"rater": 0, "vote": 0}
    repeats, truth = 600, 0.0
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        rater = np.repeat(np.arange(30), 10)
        x = rng.normal(size=30)[rater] + rng.normal(size=300)
        for unit, by in (("rater", rater), ("vote", np.arange(300))):
            found = estimate(lambda rows, x=x: float(x[rows].mean()), by, rng, rounds=100)
            covered[unit] += found.low <= truth <= found.high

    assert binom.cdf(covered["rater"], repeats, 0.95) > 1e-6 and covered["rater"] < repeats
    assert covered["vote"] < 0.8 * repeats


def test_fewer_than_three_units_have_no_interval():
    found = estimate(lambda rows: float(rows.mean()), np.array([1, 1, 2]), np.random.default_rng(0))

    assert (found.value, found.low, found.high, found.n) == (1.0, None, None, 2)
