"""What a group weighs at most, against the closed form, and what an edition says of it."""

from dataclasses import make_dataclass

import numpy as np
import pytest

from scoring.stats import board_method, influence
from scoring.stats.caps import UNKNOWN, capped

NAMES = ("a", "b", "outcome", "weight", "cluster", "connection", "network", "covariates", "systems", "excluded",
         "n_raters", "n_without_rater")  # fmt: skip
Votes = make_dataclass("Votes", NAMES)
CONFIG = board_method.CONFIG


def groups_of(*sizes, unknown=0):
    return np.concatenate([np.repeat(np.arange(len(sizes)), sizes), np.full(unknown, UNKNOWN)])


def weights(group, share=0.1):
    found = capped(np.ones(group.size), group, share)
    return found, {name: found.weight[group == name].sum() for name in np.unique(group)}


def test_one_large_group_is_cut_to_its_share_of_what_is_left():
    group = groups_of(300, *[7] * 100)
    found, weight = weights(group)
    assert weight[0] == pytest.approx(700 * 0.1 / 0.9)  # t = share (others + t)
    assert found.cut.tolist() == [0]
    assert weight[0] / found.weight.sum() == pytest.approx(0.1)


def test_several_large_groups_are_cut_to_one_level():
    found, weight = weights(groups_of(500, 200, 300, *[1] * 70, unknown=70))
    assert [weight[name] for name in range(3)] == pytest.approx([140 * 0.1 / (1 - 0.3)] * 3)
    assert found.cut.tolist() == [0, 1, 2]


def test_all_votes_of_a_group_are_cut_equally_and_unknown_ones_never():
    group = groups_of(300, *[7] * 50, unknown=50)
    found, _ = weights(group)
    assert np.unique(found.weight[group == 0]).size == 1
    assert (found.weight[group != 0] == 1).all()


def test_where_no_group_has_too_much_every_vote_keeps_its_weight():
    weight, group = np.full(200, 0.7), groups_of(*[10] * 20)
    found = capped(weight, group, 0.1)
    assert found.weight is weight
    assert (found.cut.size, found.level) == (0, np.inf)


def test_with_few_groups_none_is_cut_below_the_average_one():
    _, weight = weights(groups_of(100, 100, 100, 1, 1))
    assert weight[0] == pytest.approx(302 / 5)
    _, weight = weights(groups_of(30, 30, 30, 30, 30))
    assert set(weight.values()) == {30}


def test_a_group_just_at_its_share_is_not_cut():
    found, _ = weights(groups_of(10, *[10] * 9))
    assert not found.cut.size


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_is_between_0_and_1(share):
    with pytest.raises(ValueError, match="share is a number between 0 and 1"):
        capped(np.ones(3), groups_of(3), share)


# ---- on a board ----


def votes_of(rng, sizes, favoured=None):
    """Votes on four systems by one rater of each connection; over the first connection they are all for one system."""
    connection = groups_of(*sizes)
    a = rng.integers(4, size=connection.size)
    b = (a + rng.integers(1, 4, size=connection.size)) % 4
    outcome = (rng.random(connection.size) < 1 / (1 + np.exp(0.7 * (a - b)))).astype(float)
    if favoured is not None:
        outcome = np.where((connection == 0) & (a == favoured), 1.0, outcome)
        outcome = np.where((connection == 0) & (b == favoured), 0.0, outcome)
    return Votes(a, b, outcome, np.ones(a.size), np.arange(a.size) // 5, connection, connection, {}, list("wxyz"), {},
                 a.size // 5, 0)  # fmt: skip


def ranks(result):
    return [rating["system"] for rating in result["groups"][0]]


def test_a_board_says_who_was_capped_and_how_it_looks_without_the_busiest_connection():
    votes = votes_of(np.random.default_rng(1), [300, *[10] * 60], favoured=3)
    told = board_method.compute(votes, CONFIG)["influence"]
    assert told["connections"] == told["networks"] == 61
    assert told["capped"] == [{"network": 0, "votes": 300, "raters": 60, "share": 0.333333, "counts_as": 0.1}]
    assert told["busiest"]["connection"] == 0
    rest = {name: value[300:] for name, value in vars(votes).items() if isinstance(value, np.ndarray)}
    without = board_method.compute(Votes(**{**vars(votes), **rest}), CONFIG)
    assert told["without_busiest"]["leader"] == ranks(without)[0] == "w"


def test_the_rating_of_a_favoured_system_moves_less_where_the_network_is_capped():
    rng = np.random.default_rng(2)
    votes = votes_of(rng, [300, *[10] * 60], favoured=3)
    plain = {**CONFIG}
    del plain["influence"]
    capped_board, board = (board_method.compute(votes, config) for config in (CONFIG, plain))
    rating_of = lambda result: next(row["rating"] for row in result["groups"][0] if row["system"] == "z")  # noqa: E731
    assert rating_of(capped_board) < rating_of(board) - 0.3


def test_below_five_connections_nothing_is_capped():
    votes = votes_of(np.random.default_rng(3), [300, 10, 10, 10], favoured=3)
    result = board_method.compute(votes, CONFIG)
    assert result["influence"]["capped"] == []
    assert result["influence"]["without_busiest"] is None
    assert result["influence"]["busiest"]["share"] == pytest.approx(300 / 330, abs=1e-6)
    assert influence.limited(votes, CONFIG) is votes


def test_a_board_on_which_nothing_is_capped_has_the_ratings_that_it_had_before():
    votes = votes_of(np.random.default_rng(4), [10] * 30)
    of_version_2 = {name: value for name, value in CONFIG.items() if name != "influence"}
    new, old = board_method.compute(votes, CONFIG), board_method.compute(votes, of_version_2)
    assert new.pop("influence")["capped"] == []
    assert board_method.canonical_json(new) == board_method.canonical_json(old)


def test_a_cap_that_new_votes_may_reach_is_told_before_they_are_counted():
    result = board_method.compute(votes_of(np.random.default_rng(5), [10] * 30), CONFIG)
    assert not influence.may_bind(result, CONFIG, 310, 10)
    assert influence.may_bind(result, CONFIG, 330, 30)
    alone = board_method.compute(votes_of(np.random.default_rng(5), [10]), CONFIG)
    assert not influence.may_bind(alone, CONFIG, 13, 3)
