"""The gate: to replace the live model is to be right more often, by more than luck, and as well calibrated."""

import numpy as np
import pytest
from scipy.special import expit

from scoring.training import gate


def votes(n, seed=0, spread=2.0):
    """Decided votes, and the log-odds that they follow."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(scale=spread, size=n)
    return truth, (rng.random(n) < expit(truth)).astype(float), rng


def test_a_better_and_calibrated_candidate_is_promoted_with_every_number():
    truth, target, rng = votes(1000)
    verdict = gate.judge(truth, truth + rng.normal(scale=3, size=1000), target)
    assert verdict.promote and verdict.more_right and verdict.not_luck and verdict.calibrated
    assert verdict.n == verdict.n_decided == 1000
    assert verdict.candidate_accuracy > verdict.live_accuracy
    assert verdict.n_only_candidate - verdict.n_only_live == pytest.approx(
        1000 * (verdict.candidate_accuracy - verdict.live_accuracy)
    )
    assert verdict.p_value < 0.05 and verdict.candidate_ece <= verdict.live_ece
    assert verdict.candidate_log_loss < verdict.live_log_loss
    assert verdict.reasons[0].endswith("that is more.")


def test_a_worse_candidate_is_kept_out_however_sure_the_test_is():
    truth, target, rng = votes(1000)
    verdict = gate.judge(truth + rng.normal(scale=3, size=1000), truth, target)
    assert not verdict.promote
    assert verdict.not_luck and not verdict.more_right
    assert "that is not more." in verdict.reasons[0]


def test_a_candidate_that_is_right_more_often_but_boasts_is_kept_out_for_its_calibration():
    truth, target, rng = votes(2000)
    verdict = gate.judge(20 * truth, (truth + rng.normal(scale=3, size=2000)) / 3, target)
    assert verdict.more_right and verdict.not_luck and not verdict.calibrated
    assert not verdict.promote
    assert verdict.reasons[2].endswith("worse.")


def test_a_difference_that_may_be_luck_does_not_promote():
    target = np.ones(12)
    live = np.array([1.0] * 7 + [-1.0] * 5)
    candidate = np.ones(12)  # right on 5 more, wrong on none that the other had right: p = 0.0625
    verdict = gate.judge(candidate, live, target)
    assert (verdict.n_only_candidate, verdict.n_only_live, verdict.p_value) == (5, 0, 0.0625)
    assert verdict.more_right and verdict.calibrated and not verdict.not_luck and not verdict.promote
    assert gate.judge(np.ones(13), np.append(live, -1.0), np.ones(13)).promote  # 6 to 0: p = 0.03


def test_ties_judge_nobody_and_no_decided_vote_promotes_nobody():
    verdict = gate.judge(np.array([1.0, -2.0]), np.array([0.5, 3.0]), np.array([0.5, 0.5]))
    assert (verdict.n, verdict.n_decided, verdict.promote) == (2, 0, False)
    assert verdict.candidate_accuracy is verdict.candidate_ece is None
    assert verdict.candidate_log_loss is not None
    assert verdict.reasons == ("There is no decided vote that neither model has seen: nothing to judge on.",)
    assert not gate.judge(np.array([]), np.array([]), np.array([])).promote


def test_a_margin_of_zero_is_right_for_nobody():
    verdict = gate.judge(np.zeros(8), np.ones(8), np.array([1.0] * 4 + [0.0] * 4))
    assert (verdict.n_only_candidate, verdict.n_only_live) == (0, 4)


@pytest.mark.slow
def test_of_two_equally_good_models_at_most_one_candidate_in_twenty_is_promoted():
    promoted = 0
    for seed in range(2000):
        truth, target, rng = votes(200, seed)
        candidate, live = (truth + rng.normal(scale=2, size=200) for _ in range(2))
        promoted += gate.judge(candidate / 2, live / 2, target).promote
    assert 0 < promoted <= 0.05 * 2000  # 21 when this was written


@pytest.mark.parametrize("margins", [[np.nan, 1.0], [np.inf, 1.0], [1.0]])
def test_margins_that_are_no_numbers_or_of_other_votes_are_refused(margins):
    with pytest.raises(ValueError):
        gate.judge(np.array(margins), np.ones(2), np.ones(2))
