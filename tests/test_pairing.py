from collections import Counter
from random import Random

import pytest

from arena.pairing import draw_least_voted, draw_uniform


def test_the_stated_probability_is_the_frequency_of_the_draw():
    counts, draws = [3, 1, 1, 7], 40_000
    rng = Random(1)
    seen, stated = Counter(), {}
    for _ in range(draws):
        draw = draw_least_voted(counts, 0.2, rng)
        seen[draw.index] += 1
        stated[draw.index] = draw.probability
    assert sum(stated.values()) == pytest.approx(1)
    for index, probability in stated.items():
        assert seen[index] / draws == pytest.approx(probability, abs=0.01)


def test_the_least_voted_share_what_is_not_uniform():
    draws = {draw_least_voted([5, 2, 2], 0.1, Random(seed)) for seed in range(300)}
    assert {draw.index: round(draw.probability, 6) for draw in draws} == {
        0: round(0.1 / 3, 6),
        1: round(0.1 / 3 + 0.45, 6),
        2: round(0.1 / 3 + 0.45, 6),
    }


@pytest.mark.parametrize("epsilon", [0, 0.05, 1.2, float("nan")])
def test_an_epsilon_that_would_leave_pairs_out_is_refused(epsilon):
    with pytest.raises(ValueError, match="epsilon"):
        draw_least_voted([1, 2], epsilon, Random(0))


def test_nothing_to_draw_from_is_an_error():
    with pytest.raises(ValueError, match="nothing"):
        draw_least_voted([], 0.2, Random(0))
    with pytest.raises(ValueError, match="nothing"):
        draw_uniform(0, Random(0))
