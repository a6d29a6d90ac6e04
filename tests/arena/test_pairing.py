"""The stated probability of a draw is its frequency, under every policy and whatever is left out."""

from collections import Counter
from random import Random

import numpy as np
import pytest
from scipy.stats import chisquare

from arena.serving.pairing import Wheel, draw_least_voted, draw_uniform

WEIGHTS = (5, 0, 1, 2, 0.5, 4, 3)
POLICIES = {
    "uniform": lambda rng, without: draw_uniform(len(WEIGHTS), rng, without),
    "least-voted": lambda rng, without: draw_least_voted([3, 1, 1, 7, 1, 2, 9], 0.2, rng, without),
    "informative": lambda rng, without: Wheel(WEIGHTS).draw(0.1, rng, without),
}


@pytest.mark.parametrize("without", [(), (2,), (0, 5), (0, 1, 2, 5), (0, 2, 3, 4, 6), (0, 2, 3, 4, 5, 6)])
@pytest.mark.parametrize("policy", POLICIES)
def test_the_stated_probability_is_the_frequency_of_the_draw(policy, without):
    rng, draws = Random(f"{policy} {without}"), 4000
    seen, stated = Counter(), {}
    for _ in range(draws):
        draw = POLICIES[policy](rng, without)
        seen[draw.index] += 1
        assert stated.setdefault(draw.index, draw.probability) == pytest.approx(draw.probability)
        assert draw.n_options == len(WEIGHTS) - len(without)
    assert not set(seen) & set(without)
    assert sum(stated.values()) == pytest.approx(1)
    if len(stated) > 1:
        options = list(stated)
        found, expected = [seen[option] for option in options], [draws * stated[option] for option in options]
        assert chisquare(found, expected).pvalue > 1e-4


def test_the_least_voted_share_what_is_not_uniform():
    draws = {draw_least_voted([5, 2, 2], 0.1, Random(seed)) for seed in range(300)}
    assert {draw.index: round(draw.probability, 6) for draw in draws} == {
        0: round(0.1 / 3, 6),
        1: round(0.1 / 3 + 0.45, 6),
        2: round(0.1 / 3 + 0.45, 6),
    }


def test_what_weighs_nothing_is_drawn_by_the_uniform_share_alone():
    wheel = Wheel([0, 1, 3])
    probability = {draw.index: draw.probability for draw in (wheel.draw(0.3, Random(seed)) for seed in range(300))}
    assert probability == pytest.approx({0: 0.1, 1: 0.1 + 0.7 / 4, 2: 0.1 + 0.7 * 3 / 4})


def test_where_nothing_that_is_left_weighs_anything_all_of_it_is_as_likely():
    draws = {Wheel([0, 0, 7]).draw(0.1, Random(seed), without=[2]) for seed in range(100)}
    assert {(draw.index, draw.probability) for draw in draws} == {(0, 0.5), (1, 0.5)}


def test_a_weight_that_is_nearly_all_there_is_can_be_left_out_without_rounding():
    draw = Wheel([1e17, 1.0, 3.0]).draw(0.1, Random(0), without=[0])
    assert draw.probability == pytest.approx({1: 0.05 + 0.9 / 4, 2: 0.05 + 0.9 * 3 / 4}[draw.index])


def test_no_probability_is_below_the_uniform_share():
    wheel, without = Wheel(np.random.default_rng(0).exponential(size=200) ** 4), np.arange(0, 200, 7)
    for seed in range(200):
        draw = wheel.draw(0.1, Random(seed), without)
        assert draw.probability >= 0.1 / draw.n_options


@pytest.mark.parametrize("epsilon", [0, 0.05, 1.2, float("nan")])
def test_an_epsilon_that_would_leave_pairs_out_is_refused(epsilon):
    with pytest.raises(ValueError, match="epsilon"):
        draw_least_voted([1, 2], epsilon, Random(0))
    with pytest.raises(ValueError, match="epsilon"):
        Wheel([1, 2]).draw(epsilon, Random(0))


@pytest.mark.parametrize("weights", [[1, -1], [1, float("nan")], [float("inf"), 1]])
def test_weights_that_cannot_be_are_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        Wheel(weights)


def test_nothing_to_draw_from_is_an_error():
    for nothing in (
        lambda: draw_least_voted([], 0.2, Random(0)),
        lambda: draw_least_voted([1, 2], 0.2, Random(0), without=[0, 1]),
        lambda: draw_uniform(0, Random(0)),
        lambda: draw_uniform(1, Random(0), without=[0]),
        lambda: Wheel([]).draw(0.2, Random(0)),
        lambda: Wheel([1]).draw(0.2, Random(0), without=[0]),
    ):
        with pytest.raises(ValueError, match="nothing"):
            nothing()
