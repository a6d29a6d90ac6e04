"""Tallies, shrunk excesses, votes still needed, surprise: against hand-made cases and simulation."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import binomtest

from scoring.stats.bradley_terry import BOTH_BAD
from scoring.stats.head_to_head import Tally, excess, histogram, pool, surprise, tallies, votes_to_separate


def test_a_tally_counts_a_tie_as_half_a_win_and_both_bad_as_neither():
    tally = Tally.of([1, 1, 0, 0.5, BOTH_BAD])
    assert (tally.wins, tally.losses, tally.ties, tally.both_bad, tally.n) == (2, 1, 1, 1, 4)
    assert tally.share == 2.5 / 4


def test_the_interval_of_a_tally_is_wilsons_and_nothing_where_nobody_voted():
    expected = binomtest(7, 9).proportion_ci(0.95, "wilson")
    assert Tally.of([1] * 7 + [0] * 2).interval() == pytest.approx((expected.low, expected.high))
    nobody = Tally.of([])
    assert (nobody.n, nobody.share, nobody.interval()) == (0, None, None)
    assert Tally.of([BOTH_BAD]).share is None


def test_an_unknown_credit_is_an_error():
    with pytest.raises(ValueError, match="credit"):
        Tally.of([1, 0.7])


def test_tallies_are_by_label():
    found = tallies([7, 3, 7, 3, 3], [1, 0, 0.5, 0, 1])
    assert list(found) == [3, 7]
    assert (found[3].wins, found[3].losses, found[7].ties) == (1, 2, 1)
    assert tallies([], []) == {}


def test_one_lost_vote_does_not_shout_louder_than_many():
    found = excess([1] + [2] * 40, [0] + [0] * 28 + [1] * 12, [0.5] * 41)
    assert found[1].value == pytest.approx(-0.5 / 11)
    assert found[2].value == pytest.approx(-8 / 50)
    assert (found[1].n, found[2].n, found[2].expected) == (1, 40, 0.5)
    assert found[1].low < 0 < found[1].high
    assert found[2].high < 0


def test_losing_to_stronger_opponents_is_no_excess():
    found = excess([1, 1, 1, 1], [0, 0, 0, 1], [0.25] * 4)
    assert found[1].value == 0


def test_the_interval_of_an_excess_covers_effects_drawn_from_its_prior():
    rng = np.random.default_rng(1)
    effect = rng.normal(0, np.sqrt(0.25 / 10), 4000)
    n = rng.integers(1, 30, effect.size)
    label = np.repeat(np.arange(effect.size), n)
    credit = (rng.random(label.size) < np.clip(0.5 + effect, 0, 1)[label]).astype(float)
    found = excess(label, credit, np.full(label.size, 0.5))
    covered = [one.low <= effect[place] <= one.high for place, one in found.items()]
    assert 0.93 < np.mean(covered) < 0.97


def test_votes_still_needed_are_those_that_bring_the_interval_to_the_difference():
    p, n = expit(0.3), 40  # n votes on two systems: the variance of their difference is 1 / (n p (1 - p))

    def half(votes):
        return 1.96 / np.sqrt(votes * p * (1 - p))

    more = votes_to_separate(0.3, half(n), half(n) / 1.96)
    assert half(n + more) <= 0.3 < half(n + more - 1)


def test_who_differs_already_needs_none_and_equals_are_never_told_apart():
    assert votes_to_separate(1.0, 0.5, 0.25) == 0
    assert votes_to_separate(-1.0, 0.5, 0.25) == 0
    assert votes_to_separate(0.0, 0.5, 0.25) is None
    with pytest.raises(ValueError, match="finite"):
        votes_to_separate(np.nan, 0.5, 0.25)


def test_surprise_of_one_vote_is_in_the_order_of_the_winners_probability():
    found = surprise([1, 1, 1], [0, 0, 0], logit([0.05, 0.2, 0.4]))
    assert found == pytest.approx(np.log([0.95 / 0.05, 0.8 / 0.2, 0.6 / 0.4]))


def test_votes_that_agree_add_up_split_ones_cancel_and_many_on_a_toss_up_say_little():
    one, two, split, toss_up = surprise([1, 2, 2, 3], [0, 0, 1, 0], logit([0.2, 0.2, 0.2, 0.48]))
    assert two == pytest.approx(2 * one)
    assert split == pytest.approx(one)
    assert toss_up < one


def test_votes_on_the_same_two_are_one_row_whichever_side_they_stood_on():
    pooled = pool([5, 9, 5, 2], [9, 5, 9, 5], [1, 0, 0.5, 0])
    assert pooled.pairs.tolist() == [[2, 5], [5, 9]]
    assert (pooled.low_won.tolist(), pooled.high_won.tolist(), pooled.ties.tolist()) == ([0, 2], [1, 0], [0, 1])
    assert pool([], [], []).pairs.shape == (0, 2)


def test_a_histogram_counts_every_value_once():
    values = np.random.default_rng(0).normal(size=57)
    bins = histogram(values)
    assert sum(n for *_, n in bins) == 57
    assert (bins[0][0], bins[-1][1]) == (values.min(), values.max())
    assert all(high == low for (_, high, _), (low, _, _) in pairwise(bins))
    assert histogram([]) == []
    assert histogram([2.0, 2.0]) == [(2.0, 2.0, 2)]
