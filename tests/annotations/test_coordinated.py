"""Groups that vote for or against one system together, and honest crowds that only agree."""

import numpy as np
import pytest
from scipy.special import expit

from annotations.quality import coordinated, groups
from annotations.quality.honest import LEAN_SD, SLIP, TASTE_SD
from tests.casts.crowds import Crowd, flagged, ratings

FEW = (1, 2)
THETA = ratings(1)


# ---- the bet ----


def at_the_limit(rng, n_raters, n_votes, share_of_limit=1.0, stderr=0.1):
    """Votes of an honest group that goes the bet's way, for system 0, as often as any honest group may."""
    n = 6
    theta, opponent = rng.normal(size=n), rng.integers(1, n, size=n_raters * n_votes)
    rater = np.repeat(np.arange(n_raters), n_votes)
    ahead, in_b = theta[0] - theta[opponent], rng.random(rater.size) < 0.5
    taste, lean = TASTE_SD * rng.normal(size=(n_raters, n)), LEAN_SD * rng.normal(size=n_raters)
    logit = share_of_limit * coordinated.limit(ahead, stderr, coordinated.FOR)
    logit += taste[rater, 0] - taste[rater, opponent] + lean[rater] * np.where(in_b, 1, -1)
    won = rng.random(rater.size) < SLIP / 2 + (1 - SLIP) * expit(logit)
    return coordinated.Ballots(0, rater, ahead, opponent, in_b, won)


@pytest.mark.slow
@pytest.mark.parametrize("share_of_limit", [1.0, 0.7])
@pytest.mark.parametrize(("n_raters", "n_votes"), [(5, 20), (20, 5), (60, 2)])
def test_the_bet_gains_nothing_against_honest_groups_even_at_the_limit(n_raters, n_votes, share_of_limit):
    rng = np.random.default_rng(n_raters)
    crowds = (at_the_limit(rng, n_raters, n_votes, share_of_limit) for _ in range(500))
    e = np.array([coordinated.together(crowd, 6, 0.1, coordinated.FOR).evidence.e for crowd in crowds])
    assert e.mean() - 3 * e.std() / np.sqrt(e.size) < 1
    assert (e >= 20).mean() <= 0.05


@pytest.mark.slow
def test_looking_after_every_rater_suspects_no_more_honest_groups_than_promised():
    rng, ever = np.random.default_rng(3), 0
    for _ in range(200):
        crowd = at_the_limit(rng, 20, 4)
        looks = range(4, 81, 4)
        ever += any(coordinated.together(first(crowd, n), 6, 0.1, coordinated.FOR).evidence.e >= 10 for n in looks)
    assert ever <= 20  # a tenth; the bound of Ville


def first(ballots, n):
    columns = (getattr(ballots, name)[:n] for name in ("rater", "ahead", "opponent", "in_b", "won"))
    return coordinated.Ballots(ballots.system, *columns)


def test_without_votes_on_the_system_there_is_no_evidence():
    empty = first(at_the_limit(np.random.default_rng(0), 5, 2), 0)
    found = coordinated.together(empty, 6, 0.1, coordinated.FOR)
    assert (found.evidence.n, found.evidence.log_e, found.raters.size) == (0, 0.0, 0)


def test_votes_are_the_same_evidence_whatever_slot_the_system_was_in():
    a, b = np.array([0, 1, 2]), np.array([1, 2, 0])
    chose_b, rater = np.array([True, False, True]), np.array([0, 1, 2])
    one = coordinated.Ballots.of(0, a, b, chose_b, rater, [1.0, 0.0, -0.5])
    other = coordinated.Ballots.of(0, b, a, ~chose_b, rater, [1.0, 0.0, -0.5])
    assert one.won.tolist() == other.won.tolist() == [False, True]
    assert one.ahead.tolist() == other.ahead.tolist() == [1.0, 1.5]
    assert one.opponent.tolist() == other.opponent.tolist() == [1, 2]


# ---- attackers ----


@pytest.mark.parametrize(
    ("n_raters", "votes", "target", "least"),
    [(40, 30, 0, 0.95), (40, 30, 3, 0.95), (40, 30, 6, 0.8), (300, FEW, 0, 0.25), (300, FEW, 3, 0.25)],
)
def test_raters_of_one_connection_who_vote_for_one_system_are_flagged(n_raters, votes, target, least):
    rng = np.random.default_rng(2)
    crowd = Crowd.of(rng, THETA, 100, 30) + Crowd.of(rng, THETA, n_raters, votes, target=target)
    found = flagged(crowd, np.minimum(np.arange(crowd.n_raters), 100))
    assert found[100:].mean() >= least
    assert found[:100].mean() <= 0.02


def test_every_attacker_with_a_vote_on_the_system_is_flagged_and_no_other():
    rng = np.random.default_rng(4)
    attackers = Crowd.of(rng, THETA, 300, FEW, target=1)
    found = flagged(Crowd.of(rng, THETA, 100, 30) + attackers, np.minimum(np.arange(400), 100))
    met = np.unique(attackers.rater[(attackers.a == 1) | (attackers.b == 1)])
    assert np.flatnonzero(found).tolist() == (100 + met).tolist()


def test_raters_who_vote_against_one_system_are_flagged_too():
    rng = np.random.default_rng(5)
    crowd = Crowd.of(rng, THETA, 100, 30) + Crowd.of(rng, THETA, 40, 20, target=7, against=True)
    found = flagged(crowd, np.minimum(np.arange(140), 100))
    assert found[100:].mean() > 0.95
    assert found[:100].mean() <= 0.02


def test_attackers_hidden_among_honest_raters_of_their_connection_are_told_from_them():
    rng = np.random.default_rng(6)
    crowd = Crowd.of(rng, THETA, 160, 30) + Crowd.of(rng, THETA, 30, 30, target=1)
    came_over = np.where(np.arange(190) < 100, np.arange(190), 100)  # 60 honest raters and the attackers behind one
    found = flagged(crowd, came_over)
    assert found[160:].mean() > 0.95
    assert found[:160].mean() <= 0.02


def test_attackers_with_a_connection_each_are_found_by_the_order_in_which_they_came():
    rng = np.random.default_rng(7)
    crowd = Crowd.of(rng, THETA, 100, 30) + Crowd.of(rng, THETA, 80, 10, target=1)
    found = flagged(crowd, np.arange(180))
    assert found[100:].mean() > 0.5
    assert found[:100].mean() <= 0.02


# ---- honest crowds ----


@pytest.mark.slow
def test_halls_that_share_a_taste_are_not_flagged():
    wronged = 0
    for seed in range(40):
        rng = np.random.default_rng(100 + seed)
        theta = ratings(seed)
        crowd = Crowd.of(rng, theta, 60, 30)
        came_over = list(range(60))
        for number, (n_raters, votes) in enumerate([(60, 30), (20, 30), (10, 30), (200, FEW)]):
            crowd += Crowd.of(rng, theta, n_raters, votes, taste=0.3 * rng.normal(size=8))
            came_over += [60 + number] * n_raters
        wronged += flagged(crowd, np.array(came_over)).any()
    assert wronged <= 1  # one study in five hundred, at most, is promised


@pytest.mark.parametrize("sharpness", [2.0, 0.0])
def test_a_hall_that_hears_better_or_only_guesses_is_not_coordinated(sharpness):
    rng = np.random.default_rng(8)
    crowd = Crowd.of(rng, THETA, 100, 30) + Crowd.of(rng, THETA, 60, 30, sharpness=sharpness)
    assert not flagged(crowd, np.minimum(np.arange(160), 100)).any()


def test_equal_answers_alone_are_no_evidence():
    """Everybody hears which clip of a pair is better, so that nearly all raters of a hall answer alike."""
    rng = np.random.default_rng(9)
    heard = 3 * rng.choice([-1, 1], size=(3, 8, 8))  # logits of each of three clip pairs of two systems
    people = Crowd.of(rng, THETA, 160, 30)
    low, high = np.minimum(people.a, people.b), np.maximum(people.a, people.b)
    toward_high = heard[rng.integers(3, size=low.size), low, high] + THETA[high] - THETA[low]
    high_won = rng.random(low.size) < expit(toward_high)
    answers = np.where(high_won == (people.b == high), "B", "A")
    crowd = Crowd(people.a, people.b, answers, people.rater, 160)
    assert not flagged(crowd, np.minimum(np.arange(160), 100)).any()


def test_unknown_connections_make_no_group():
    rng = np.random.default_rng(10)
    attackers = Crowd.of(rng, THETA, 14, 20, target=0)
    crowd = Crowd.of(rng, THETA, 100, 30) + attackers
    order = rng.permutation(114)  # scattered, so that no stretch of arrivals is theirs
    assert not flagged(crowd.as_they_came(order), np.full(114, -1)).any()


def test_a_study_of_one_connection_has_nobody_to_compare_with():
    rng = np.random.default_rng(11)
    crowd = Crowd.of(rng, THETA, 15, 20, target=0)
    assert not flagged(crowd, np.zeros(15, int)).any()


def test_who_was_cleared_is_in_no_group():
    rng = np.random.default_rng(12)
    crowd = Crowd.of(rng, THETA, 100, 30) + Crowd.of(rng, THETA, 40, 30, target=0)
    cleared = np.arange(140) >= 100
    assert not flagged(crowd, np.minimum(np.arange(140), 100), left_out=cleared).any()


# ---- what each group may spend ----


def test_all_groups_together_spend_no_more_than_the_share_of_the_rule():
    rng = np.random.default_rng(13)
    connection = rng.integers(-1, 300, size=5000)
    parts = groups.partitions(connection, connection // 2, connection)
    assert sum(part.weight.sum() for part in parts) <= 1
    sizes = np.bincount(connection[connection >= 0])
    assert ((parts[0].weight > 0) == (sizes >= coordinated.MIN_RATERS)).all()


def test_what_a_group_may_spend_is_settled_once_it_has_enough_raters():
    connection = np.array([0, 1, 1, 0, 1, 1, 0, 1, 0, 0, 2, 2, 2, 2, 2])
    early, late = (groups.partitions(*[connection[:n]] * 3)[0].weight for n in (10, 15))
    assert early[1] > early[0] > 0  # the second was complete first
    assert late[:2].tolist() == early.tolist()


def test_a_hall_is_not_flagged_where_others_attack_from_everywhere():
    """A quarter of the others' votes are for the worst system, so that the hall seems to vote against it."""
    rng = np.random.default_rng(14)
    crowd = Crowd.of(rng, THETA, 100, 30) + Crowd.of(rng, THETA, 600, FEW, target=0)
    came_over = np.arange(700)
    came_over[:60] = 0
    order = rng.permutation(700)  # so that attackers are no stretch of their own
    found = flagged(crowd.as_they_came(order), came_over[np.argsort(order)])
    assert found[order[:100]].mean() <= 0.02
