"""Accuracy, calibration and log loss of margins, against plain implementations and closed forms."""

import json
import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from scoring.metrics import preference


def simulated(n, seed=0):
    rng = np.random.default_rng(seed)
    margin = rng.normal(scale=2.0, size=n)
    wins = (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(float)
    return margin, np.where(rng.random(n) < 0.15, 0.5, wins)


def plain_ece(margin, target, n_bins=10):
    """The definition, one pair at a time: sort by |margin|, n // n_bins per bin, the last takes the rest."""
    pairs = sorted((abs(m), (m > 0) == (t > 0.5)) for m, t in zip(margin, target, strict=True) if t != 0.5)
    step, total = len(pairs) // n_bins, 0.0
    for i in range(n_bins):
        chunk = pairs[i * step :] if i == n_bins - 1 else pairs[i * step : (i + 1) * step]
        if chunk:
            confidence = sum(1 / (1 + math.exp(-m)) for m, _ in chunk) / len(chunk)
            right = sum(correct for _, correct in chunk) / len(chunk)
            total += len(chunk) / len(pairs) * abs(confidence - right)
    return total


@pytest.mark.parametrize("n", [3, 7, 10, 19, 123, 500])
def test_ece_equals_the_definition_written_out_plainly(n):
    margin, target = simulated(n, seed=n)
    assert preference.expected_calibration_error(margin, target) == pytest.approx(plain_ece(margin, target), abs=1e-12)


def test_ece_is_small_for_honest_margins_and_large_for_boasting_ones():
    margin, target = simulated(20_000)
    assert preference.expected_calibration_error(margin, target) < 0.02
    assert preference.expected_calibration_error(10 * margin, target) > 0.1


def test_bins_have_equal_counts_and_the_last_takes_the_rest():
    margin = np.linspace(0.1, 5, 47)
    bins = preference.reliability_bins(margin, np.ones(47))
    assert [b.n for b in bins] == [4] * 9 + [11]
    assert all(left.margin_high <= right.margin_low for left, right in pairwise(bins))
    assert all(b.accuracy == 1.0 for b in bins)


def test_accuracy_ignores_ties_and_counts_an_undecided_margin_as_half():
    assert preference.accuracy([1.0, -1.0, 2.0, 9.0], [1, 1, 0, 0.5]) == pytest.approx(1 / 3)
    assert preference.accuracy([0.0], [1]) == 0.5


def test_swapping_the_slots_changes_no_metric():
    margin, target = simulated(200)
    assert preference.summarise(-margin, 1 - target) == pytest.approx(preference.summarise(margin, target))


def test_log_loss_has_its_closed_form_and_survives_huge_margins():
    assert preference.log_loss([0.0, 0.0], [1.0, 0.5]) == pytest.approx(math.log(2))
    assert preference.log_loss([2.0], [0.3]) == pytest.approx(
        -0.3 * math.log(0.8807970779) - 0.7 * math.log(0.1192029220)
    )
    assert preference.log_loss([1e4, 1e4], [1.0, 0.0]) == pytest.approx(5e3)
    assert preference.log_loss([0.0, 5.0], [1.0, 1.0], weight=[1.0, 0.0]) == pytest.approx(math.log(2))


def test_where_nothing_was_decided_the_answer_is_none_and_never_nan():
    only_ties = preference.summarise([0.3, -2.0], [0.5, 0.5])
    assert (only_ties["n"], only_ties["n_decided"], only_ties["accuracy"], only_ties["ece"]) == (
        2,
        0,
        None,
        None,
    )
    assert only_ties["log_loss"] > 0
    assert preference.summarise([], []) == {
        "n": 0,
        "n_decided": 0,
        "accuracy": None,
        "ece": None,
        "log_loss": None,
    }


@pytest.mark.parametrize(
    ("margin", "target", "says"),
    [
        ([np.nan], [1], "NaN"),
        ([1.0], [2.0], "0, 1"),
        ([1.0], [np.nan], "0, 1"),
        ([1.0, 2.0], [1.0], r"\[N\]"),
    ],
)
def test_bad_input_is_refused_with_its_reason(margin, target, says):
    with pytest.raises(ValueError, match=says):
        preference.summarise(margin, target)


# ---- correlation ----


def columns(seed, n=60, ties=False):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = x + rng.normal(size=n)
    return (x.round(), y.round(1)) if ties else (x, y)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_correlations_equal_scipys_with_and_without_ties(seed, ties):
    x, y = columns(seed, ties=ties)
    assert preference.pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    assert preference.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert preference.kendall(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


def test_ranks_do_not_move_with_what_keeps_the_order():
    x, y = columns(0)
    assert preference.spearman(np.exp(x), y**3) == pytest.approx(preference.spearman(x, y))
    assert preference.kendall(-x, y) == pytest.approx(-preference.kendall(x, y))
    assert preference.spearman(x, x) == preference.kendall(x, x) == preference.pearson(x, 3 * x - 1) == pytest.approx(1)


def test_ties_share_their_ranks_by_hand():
    # ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: covariance 4.5, variances 4.5 and 5
    assert preference.spearman([1, 2, 2, 3], [10, 20, 30, 40]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    # five pairs agree, one is tied in x only: tau-b = 5 / sqrt(5 * 6)
    assert preference.kendall([1, 2, 2, 3], [10, 20, 30, 40]) == pytest.approx(5 / math.sqrt(30))


@pytest.mark.parametrize("correlation", [preference.pearson, preference.spearman, preference.kendall])
def test_a_correlation_that_is_not_defined_is_none_and_never_nan(correlation):
    assert correlation([], []) is None
    assert correlation([1.0], [2.0]) is None
    assert correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
    assert correlation([1.0, 2.0, 3.0], [0.1, 0.1, 0.1]) is None
    assert correlation([1e300, 2e300, 4e300], [1.0, 2.0, 3.0]) > 0.9
    with pytest.raises(ValueError, match="NaN"):
        correlation([1.0, np.nan], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"both be \[N\]"):
        correlation([1.0, 2.0], [1.0])


# ---- two models ----


def test_mcnemar_is_the_exact_binomial_on_the_pairs_that_only_one_model_got_right():
    a = np.array([1] * 9 + [0] * 2 + [1] * 50 + [0] * 30, dtype=bool)
    b = np.array([0] * 9 + [1] * 2 + [1] * 50 + [0] * 30, dtype=bool)
    found = preference.mcnemar(a, b)
    assert (found.n_only_a, found.n_only_b) == (9, 2)
    by_hand = 2 * sum(math.comb(11, k) for k in range(3)) / 2**11
    assert found.p_value == pytest.approx(by_hand)
    assert preference.mcnemar(b, a).p_value == pytest.approx(by_hand)
    assert preference.mcnemar(a, a).p_value == 1.0


def test_mcnemar_rejects_equal_models_no_more_often_than_it_says_and_finds_a_better_one():
    rng = np.random.default_rng(0)
    p_values = {}  # by what they depend on, the two counts in either order, as the same ones come again and again

    def p_value(a, b):
        counts = tuple(sorted((np.sum(a & ~b), np.sum(b & ~a))))
        if counts not in p_values:
            p_values[counts] = preference.mcnemar(a, b).p_value
        return p_values[counts]

    def rejected(share_a, share_b):
        pairs = [(rng.random(300) < share_a, rng.random(300) < share_b) for _ in range(2000)]
        return np.mean([p_value(a, b) < 0.05 for a, b in pairs])

    assert 0.02 < rejected(0.7, 0.7) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)
    assert rejected(0.8, 0.65) > 0.9


def test_mcnemar_wants_the_same_pairs_judged_right_or_wrong():
    with pytest.raises(ValueError, match="the same pairs"):
        preference.mcnemar([True], [True, False])
    with pytest.raises(ValueError, match="margin of 0"):
        preference.mcnemar([0.5, 1], [1, 1])


# ---- temperature ----


def drawn(temperature, n, rng):
    margin = rng.normal(scale=2.0, size=n)
    return margin, (rng.random(n) < expit(margin / temperature)).astype(float)


def test_a_temperature_is_where_the_likelihood_is_largest_and_its_interval_where_it_has_dropped_by_chi_squared_half():
    margin, target = drawn(1.7, 800, np.random.default_rng(0))
    found = preference.temperature(margin, target)

    def loss(temperature):
        return preference.log_loss(margin / temperature, target) * len(target)

    around = np.linspace(0.5, 4, 3501)
    assert found.value == pytest.approx(around[np.argmin([loss(t) for t in around])], abs=1e-3)
    for edge in (found.low, found.high):
        assert loss(edge) - loss(found.value) == pytest.approx(NormalDist().inv_cdf(0.975) ** 2 / 2, abs=1e-6)
    assert found.low < found.value < found.high
    assert found.n == 800


@pytest.mark.parametrize("truth", [0.6, 2.5])
def test_the_interval_of_a_temperature_covers_the_truth_as_often_as_it_says(truth):
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(600):
        found = preference.temperature(*drawn(truth, 200, rng))
        covered += found.low <= truth and (found.high is None or truth <= found.high)
    assert abs(covered / 600 - 0.95) < 3.5 * math.sqrt(0.95 * 0.05 / 600)


def test_a_temperature_scales_with_the_margins_and_ignores_ties_and_margins_of_zero():
    margin, target = drawn(1.0, 500, np.random.default_rng(2))
    one = preference.temperature(margin, target)
    assert preference.temperature(3 * margin, target).value == pytest.approx(3 * one.value)
    assert preference.temperature([*margin, 7.0, 0.0], [*target, 0.5, 1.0]) == one
    assert preference.temperature(1e200 * margin, target).value == pytest.approx(1e200 * one.value)


def test_a_temperature_that_is_not_finite_and_positive_is_none():
    assert preference.temperature([], []) is None
    assert preference.temperature([1.0, 2.0], [0.5, 0.5]) is None
    assert preference.temperature([1.0, 2.0], [1.0, 1.0]) is None  # never wrong
    assert preference.temperature([1.0, 2.0], [1.0, 0.0]) is None  # wrong as often as right
    assert preference.temperature([1.0, 1.5, -1.0], [1.0, 1.0, 1.0]).high is None  # right, but it may be luck


def test_margins_that_cancel_but_for_rounding_have_no_temperature():
    right, wrong = [0.1, 0.1, 0.8], [0.2, 0.2, 0.6]
    margin = np.array([*right, *(-x for x in wrong)])
    assert 0 < margin.sum() < 1e-15
    assert preference.temperature(margin, np.ones(6)) is None


def test_margins_of_very_different_sizes_have_a_temperature():
    found = preference.temperature([1.0, 1e-200, 1e-120, -1e-250], np.ones(4))
    assert found.low < found.value < np.inf


# ---- by group ----


def test_a_pair_counts_for_both_its_systems_and_once_where_they_are_the_same():
    margin, target = [1.0, -1.0, 2.0, 3.0], [1.0, 1.0, 0.5, 1.0]
    found = preference.accuracy_by(margin, target, ["x", "x", "y", "z"], ["y", "z", "z", "z"])
    assert {name: (group.n, group.n_decided, group.accuracy) for name, group in found.items()} == {
        "x": (2, 2, 0.5),
        "y": (2, 1, 1.0),
        "z": (3, 2, 0.5),
    }
    (only_ties,) = preference.accuracy_by([1.0], [0.5], ["x"]).values()
    assert (only_ties.n, only_ties.n_decided, only_ties.accuracy, only_ties.low) == (1, 0, None, None)
    with pytest.raises(ValueError, match=r"labels must be \[N\]"):
        preference.accuracy_by(margin, target, ["x"])


def test_a_report_is_plain_json_with_a_reliability_diagram_and_the_groups_it_was_given():
    margin, target = simulated(300)
    source = np.array(["radio", "stage"])[np.arange(300) % 2]
    found = preference.report(margin, target, source=source, systems=(source, source[::-1]))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["by_source"]["radio"]["n"] == 150
    assert found["by_system"]["radio"]["n"] == 300
    assert sum(one["n"] for one in found["reliability"]) == found["n_decided"]
    assert found["temperature"]["low"] < 1 < found["temperature"]["high"]
    assert preference.report([], [])["temperature"] is None
    assert "by_source" not in preference.report(margin, target)
