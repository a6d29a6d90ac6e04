"""Accuracy, calibration and log loss of margins, against plain implementations and closed forms."""

import math
from itertools import pairwise

import numpy as np
import pytest

from scoring.reward import metrics


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
    assert metrics.expected_calibration_error(margin, target) == pytest.approx(plain_ece(margin, target), abs=1e-12)


def test_ece_is_small_for_honest_margins_and_large_for_boasting_ones():
    margin, target = simulated(20_000)
    assert metrics.expected_calibration_error(margin, target) < 0.02
    assert metrics.expected_calibration_error(10 * margin, target) > 0.1


def test_bins_have_equal_counts_and_the_last_takes_the_rest():
    margin = np.linspace(0.1, 5, 47)
    bins = metrics.reliability_bins(margin, np.ones(47))
    assert [b.n for b in bins] == [4] * 9 + [11]
    assert all(left.margin_high <= right.margin_low for left, right in pairwise(bins))
    assert all(b.accuracy == 1.0 for b in bins)


def test_accuracy_ignores_ties_and_counts_an_undecided_margin_as_half():
    assert metrics.accuracy([1.0, -1.0, 2.0, 9.0], [1, 1, 0, 0.5]) == pytest.approx(1 / 3)
    assert metrics.accuracy([0.0], [1]) == 0.5


def test_swapping_the_slots_changes_no_metric():
    margin, target = simulated(200)
    assert metrics.summarise(-margin, 1 - target) == pytest.approx(metrics.summarise(margin, target))


def test_log_loss_has_its_closed_form_and_survives_huge_margins():
    assert metrics.log_loss([0.0, 0.0], [1.0, 0.5]) == pytest.approx(math.log(2))
    assert metrics.log_loss([2.0], [0.3]) == pytest.approx(-0.3 * math.log(0.8807970779) - 0.7 * math.log(0.1192029220))
    assert metrics.log_loss([1e4, 1e4], [1.0, 0.0]) == pytest.approx(5e3)
    assert metrics.log_loss([0.0, 5.0], [1.0, 1.0], weight=[1.0, 0.0]) == pytest.approx(math.log(2))


def test_where_nothing_was_decided_the_answer_is_none_and_never_nan():
    only_ties = metrics.summarise([0.3, -2.0], [0.5, 0.5])
    assert (only_ties["n"], only_ties["n_decided"], only_ties["accuracy"], only_ties["ece"]) == (
        2,
        0,
        None,
        None,
    )
    assert only_ties["log_loss"] > 0
    assert metrics.summarise([], []) == {
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
        metrics.summarise(margin, target)
