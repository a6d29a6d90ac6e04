"""The rules about one rater: what each finds, what it forgives, and that looking often does not wrong anybody."""

from itertools import product

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binomtest, chi2

from annotations import quality
from annotations.proportions import wilson
from annotations.quality import bets, honest
from annotations.quality.against_board import CALIBRATORS, favours_system, log_calibrated, log_e_path
from annotations.quality.evidence import bernoulli
from annotations.quality.habits import UNDECIDED, chance_of_run, undecided_at_most
from annotations.quality.verdict import _careless, _Counts

THETA = np.array([-1.5, -0.8, -0.3, 0.0, 0.2, 0.5, 0.8, 1.1])
LEVEL = 0.1


def battles(rng, size):
    a = rng.integers(THETA.size, size=size)
    return a, (a + rng.integers(1, THETA.size, size=size)) % THETA.size


def vote(rng, a, b, ratings=THETA):
    return np.where(rng.random(a.size) < expit(ratings[b] - ratings[a]), "B", "A")


def honest_raters(n, votes, seed=0, ratings=THETA):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        a, b = battles(rng, votes)
        yield a, b, vote(rng, a, b, ratings)


def heard(a, b, preference):
    return honest.heard(a, b, preference, THETA, None)


def log_favours(a, b, preference):
    return favours_system(heard(a, b, preference)).log_e


# --- looked at after every vote ---


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_of_honest_raters_looked_at_after_each_of_300_votes_few_are_ever_suspected(sharpness):
    paths = [log_e_path(heard(*rater)) for rater in honest_raters(200, 300, ratings=sharpness * THETA)]
    assert np.mean([path.max() >= np.log(1 / LEVEL) for path in paths]) <= LEVEL


@pytest.mark.slow
@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_the_rule_against_the_board_is_the_mean_of_two_bets_and_rarely_suspects_honest_raters(sharpness):
    suspected = []
    for rater in honest_raters(150, 300, ratings=sharpness * THETA):
        found = quality.agreement(*rater, THETA)
        path = np.logaddexp(found.log_e, found.log_e_p) - np.log(2)
        assert found.against_board.log_e == pytest.approx(path[-1])
        suspected.append(path.max() >= np.log(1 / LEVEL))
    assert np.mean(suspected) <= LEVEL


def test_the_product_of_p_values_has_expectation_at_most_one_under_the_population_and_at_every_sharpness():
    a, b = np.array([0, 3, 7]), np.array([7, 0, 4])
    totals = np.zeros(4)
    for row in product("AB", repeat=3):
        votes = honest.heard(a, b, row, THETA, None)
        toward = np.where(np.array(row) == "B", 1, -1) * (THETA[b] - THETA[a])
        chances = [np.exp(votes.log_path(votes.logit)[-1]), *(np.prod(expit(s * toward)) for s in (0.5, 1, 2))]
        totals += np.array(chances) * np.exp(quality.agreement(a, b, row, THETA).log_e_p[-1])
    assert (totals > 0.1).all() and (totals <= 1 + 1e-9).all()


def test_the_product_of_calibrated_p_values_rarely_ever_crosses_under_the_board():
    crossed = []
    for a, b, preference in honest_raters(400, 300):
        chance_b = expit(THETA[b] - THETA[a])
        path = log_calibrated(np.where(preference == "B", chance_b, 1 - chance_b))
        crossed.append(path.max() >= np.log(1 / LEVEL))
    assert 0.01 < np.mean(crossed) <= LEVEL


def test_a_naive_test_looked_at_after_each_vote_wrongs_many():
    """Why not chi squared: the same raters, its p-value below the level at some of 300 looks."""
    wronged = []
    for a, b, preference in honest_raters(200, 300):
        p = expit(THETA[b] - THETA[a])
        surprise, spread = np.cumsum((preference == "B") - p), np.cumsum(p * (1 - p))
        wronged.append((chi2.sf(surprise**2 / spread, 1)[9:] < LEVEL).any())
    assert np.mean(wronged) > 3 * LEVEL


def test_the_bet_on_a_favoured_system_is_rarely_won_against_honest_raters_at_any_of_ten_looks():
    won = []
    for a, b, preference in honest_raters(60, 100):
        looks = [log_favours(a[:n], b[:n], preference[:n]) for n in range(10, 101, 10)]
        won.append(max(looks) >= np.log(1 / LEVEL))
    assert np.mean(won) <= LEVEL


def test_guessing_contradicting_and_favouring_are_found():
    rng = np.random.default_rng(1)
    a, b = battles(rng, 300)
    guess = quality.agreement(a, b, rng.choice(["A", "B"], size=300), THETA)
    assert guess.against_board.e > 20
    assert guess.log_e_p[-1] > np.log(1000)
    contrary = quality.agreement(a, b, vote(rng, a, b, -THETA), THETA)
    assert contrary.against_board.e > 1e6
    assert contrary.log_e_p[-1] > np.log(1e6)
    stuffed = np.where(a == 0, "A", np.where(b == 0, "B", vote(rng, a, b)))
    favours = quality.agreement(a, b, stuffed, THETA).favours_system
    assert favours.e > 1000
    assert favours.detail["system"] == 0
    assert favours.detail["won"] == favours.detail["votes"]


def test_each_bet_has_expectation_one_under_the_honest_population():
    """Over all answers to three battles, weighted by the population's probability of them, exactly."""
    a, b = np.array([0, 3, 7]), np.array([7, 0, 4])
    votes = honest.heard(a, b, ["A", "A", "A"], THETA, None)
    answers = np.array(list(product([False, True], repeat=3)))
    log_null = honest.log_mean(bets.log_honest(votes, answers))
    assert np.exp(log_null).sum() == pytest.approx(1)
    assert np.exp(log_null[:, None] + bets.favours(votes, answers)).sum(axis=0) == pytest.approx(np.ones(8))
    assert np.exp(bets.careless(answers)).sum(axis=0) == pytest.approx(np.ones(len(bets.LEANS)))
    none = _Counts(0, np.zeros(8, int), 0, np.zeros(8, int), 0, np.zeros(8, int))
    assert np.exp(log_null + _careless(votes, answers, none)).sum() == pytest.approx(1)


def test_the_vote_p_value_is_the_honest_populations_chance_of_an_answer_no_likelier():
    one = quality.agreement([0, 0], [7, 7], ["A", "B"], THETA)
    unlikely = np.exp(honest.log_probability(honest.heard([0], [7], ["A"], THETA, None).logit, False)).mean()
    assert unlikely == pytest.approx(expit(THETA[0] - THETA[7]), abs=0.04), "near the board's own"
    assert one.p_values == pytest.approx([unlikely, 1.0])
    assert one.agreed == 0.5
    assert one.expected == pytest.approx(expit(THETA[7] - THETA[0]))


@pytest.mark.parametrize("q", [1e-9, 0.1, 0.49, 0.5, 0.9])
def test_the_calibrated_p_value_of_a_vote_has_expectation_one(q):
    assert q * np.exp(log_calibrated([q])) + (1 - q) * np.exp(log_calibrated([1 - q])) == pytest.approx(1)


def test_the_calibrated_p_value_is_the_mean_of_a_calibrator_over_the_answers_probability():
    p = (np.arange(100_000) + 0.5) / 100_000
    calibrated = np.mean([k * p ** (k - 1) for k in CALIBRATORS], axis=0)
    assert np.exp(log_calibrated([0.8])) == pytest.approx(calibrated[p > 0.2].mean(), rel=1e-3)
    assert np.exp(log_calibrated([0.2])) == pytest.approx(calibrated[p < 0.2].mean(), rel=0.05)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_the_bet_against_the_board_has_expectation_at_most_one_at_every_sharpness(sharpness):
    a, b = np.array([0, 3, 7]), np.array([7, 0, 4])
    total = 0
    for row in product("AB", repeat=3):
        chance = np.prod(expit(np.where(np.array(row) == "B", 1, -1) * sharpness * (THETA[b] - THETA[a])))
        total += chance * np.exp(quality.agreement(a, b, row, THETA).log_e[-1])
    assert 0.1 < total <= 1


def test_ties_say_nothing_against_anybody():
    rng = np.random.default_rng(2)
    a, b = battles(rng, 40)
    preference = vote(rng, a, b)
    with_ties = np.insert(preference.astype("<U8"), 10, ["TIE", "BOTH_BAD"])
    more_a, more_b = np.insert(a, 10, [0, 0]), np.insert(b, 10, [1, 1])
    plain, tied = quality.agreement(a, b, preference, THETA), quality.agreement(more_a, more_b, with_ties, THETA)
    assert tied.n == plain.n
    assert tied.log_e == pytest.approx(plain.log_e)


def test_an_unsure_board_makes_the_bet_more_careful():
    rng = np.random.default_rng(3)
    a, b = battles(rng, 60)
    contrary = vote(rng, a, b, -THETA)
    sure = quality.agreement(a, b, contrary, THETA).against_board.log_e
    assert quality.agreement(a, b, contrary, THETA, theta_se=np.full(8, 1.5)).against_board.log_e < sure - 2


# --- golds and repeats ---


def test_wilson_agrees_with_a_published_value():
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    assert wilson(0, 0) is None


def test_a_wilson_interval_has_its_closed_form_and_stays_within_0_and_1():
    low, high = wilson(7, 10)
    reference = binomtest(7, 10).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((reference.low, reference.high))
    assert wilson(0, 5)[0] == 0.0
    assert wilson(5, 5)[1] == 1.0
    assert wilson(0, 0) is None


def test_failed_golds_bet_a_coin_against_a_careful_listener():
    assert quality.gold([False] * 3).evidence.e == pytest.approx(0.125 * (20 * 21 * 22) / (1 * 2 * 3))
    assert quality.gold([True] * 3).evidence.e == pytest.approx(0.125 * (20 * 21 * 22) / (19 * 20 * 21))
    found = quality.gold([True, True, False, True])
    assert (found.n, found.passed, found.accuracy) == (4, 3, 0.75)
    assert quality.gold([]).accuracy is None
    with pytest.raises(ValueError, match="one bool per check"):
        quality.gold(["A"])


def test_the_same_clip_after_the_swap_is_consistent_and_the_same_slot_is_not():
    consistent = quality.repeats(["A", "B", "TIE"], ["B", "A", "A"])
    assert (consistent.n, consistent.same, consistent.undecided) == (2, 2, 1)
    by_slot = quality.repeats(["B"] * 10, ["B"] * 10)
    assert by_slot.consistency == 0
    assert by_slot.evidence.e > 100 > 1 > consistent.evidence.e


# --- habits ---


def test_a_slot_is_a_bias_only_beyond_what_the_systems_explain():
    rng = np.random.default_rng(4)
    a, b = np.zeros(60, int), np.full(60, 7)  # the best system always in slot B
    fair = quality.slot_bias(a, b, vote(rng, a, b), THETA)
    assert fair.share > 0.8
    assert fair.evidence.e < 3
    a, b = battles(rng, 60)
    assert quality.slot_bias(a, b, ["B"] * 60, THETA).evidence.e > 1000


def test_decisions_below_reaction_time_are_counted_and_a_few_forgiven():
    assert quality.decision_times([80.0] * 20).evidence.e > 1000
    some = quality.decision_times([80.0, np.nan, -5.0] + [2000.0] * 18)
    assert (some.n, some.fast) == (19, 1)
    assert some.evidence.e < 1
    assert quality.decision_times([]).median_ms is None


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_the_chance_of_a_run_is_that_of_counting_all_sequences(n):
    longest = [max(len(run) for run in "".join(tosses).replace("01", "0 1").replace("10", "1 0").split())
               for tosses in product("01", repeat=n)]  # fmt: skip
    for length in range(1, n + 2):
        assert chance_of_run(n, length) == pytest.approx(np.mean([one >= length for one in longest]))


def test_straight_lines_and_taking_turns_are_patterns_and_tosses_are_not():
    line = quality.straight_lining(["A"] * 12 + ["TIE"] + ["A"] * 8)
    assert (line.longest_run, line.n) == (20, 20)
    assert line.run_p == pytest.approx(2.0**-19)
    assert line.evidence.e > 1000
    assert quality.straight_lining(["A", "B"] * 10).evidence.e > 1000
    tosses = quality.straight_lining(np.random.default_rng(5).choice(["A", "B"], size=40))
    assert tosses.evidence.e < 5
    assert tosses.entropy == pytest.approx(1, abs=0.1)
    assert quality.straight_lining(["TIE"] * 40).evidence.n == 0
    assert quality.straight_lining([]).longest_run == 0


@pytest.mark.parametrize("answer", ["TIE", "BOTH_BAD"])
def test_who_always_prefers_neither_is_found_where_the_others_do_not(answer):
    enough = 1 / (quality.ALPHA * 0.01)
    always = [answer] * 28 + ["A", "B"]
    assert quality.straight_lining(always, 0.1).evidence.e > enough
    assert quality.straight_lining(always, 0.6).evidence.e < 20, "where the music is alike, it is an honest answer"
    often = [answer] * 15 + ["A", "B", "B"] * 5
    assert quality.straight_lining(often, 0.02).evidence.e < 1


def test_who_is_undecided_as_often_as_is_honest_is_rarely_ever_suspected():
    rng = np.random.default_rng(8)
    for others in (0.1, 0.3, 0.9):
        undecided = rng.random((2000, 100)) < undecided_at_most(others)
        n, k = np.arange(1, 101), np.cumsum(undecided, axis=1)
        path = bernoulli(np.broadcast_to(n, k.shape), k, undecided_at_most(others), UNDECIDED)
        assert np.mean(path.max(axis=1) >= np.log(1 / LEVEL)) <= LEVEL
    with pytest.raises(ValueError, match="not a share"):
        undecided_at_most(1.2)


# --- the verdict ---


def session(preference_of=vote, n=30, seed=6, **checks):
    rng = np.random.default_rng(seed)
    a, b = battles(rng, n)
    return quality.RaterVotes(a, b, preference_of(rng, a, b), **checks)


def test_a_good_rater_passes_with_the_evidence_shown():
    verdict = quality.judge(session(gold_passed=[True] * 3), THETA, 60, finished=True)
    assert (verdict.result, verdict.rules) == ("pass", ())
    assert quality.FAILED_GOLDS in verdict.evidence
    assert quality.TOO_FAST not in verdict.evidence  # no times, no evidence


def test_a_rule_that_fires_carries_its_version_and_plain_numbers():
    slow, fast = session(decision_ms=[3000.0] * 30), session(decision_ms=[50.0] * 30)
    assert quality.judge(slow, THETA, 60).result == "pass"
    (fired,) = [one for one in quality.judge(fast, THETA, 60).rules if one.rule == quality.TOO_FAST]
    assert fired.version == quality.VERSION[quality.TOO_FAST]
    assert fired.detail == {"times": 30, "fast": 30}
    assert all(isinstance(number, int | float) for number in fired.detail.values())


def test_too_little_to_judge_by_is_unknown_not_a_verdict():
    guesses = session(lambda rng, a, b: rng.choice(["A", "B"], size=a.size), n=12, gold_passed=[False] * 2)
    assert guesses.n_answers == 14
    few = quality.judge(guesses, THETA, 60, finished=True)
    assert (few.result, few.rules) == ("unknown", ())
    assert "14 answers" in few.reason
    assert quality.judge(session(decision_ms=[1.0] * 30), THETA, 7).result == "unknown"


def test_the_look_at_the_end_finds_guesses_that_the_running_look_does_not_yet():
    rater = session(lambda rng, a, b: rng.choice(["A", "B"], size=a.size), seed=8, gold_passed=[True, False, False])
    assert quality.judge(rater, THETA, 60).result == "pass"
    finished = quality.judge(rater, THETA, 60, finished=True)
    assert [one.rule for one in finished.rules] == [quality.CARELESS]
    assert 0 < finished.rules[0].p < quality.ALPHA


def test_missing_evidence_is_like_none_and_empty_evidence_too():
    bare = quality.judge(session(), THETA, 60, finished=True)
    empty = quality.judge(session(gold_passed=[], repeat_first=[], repeat_second=[], decision_ms=[]), THETA, 60)
    assert {rule: found.log_e for rule, found in bare.evidence.items()} == pytest.approx(
        {rule: found.log_e for rule, found in empty.evidence.items()}
    )


def test_honest_raters_who_differ_as_the_population_does_are_flagged_at_most_as_often_as_promised():
    rng, flagged = np.random.default_rng(7), []
    for _ in range(200):
        ratings = np.exp(honest.SHARPNESS_SD * rng.normal()) * THETA + honest.TASTE_SD * rng.normal(size=8)
        a, b = battles(rng, 30)
        golds = rng.random(3) < rng.beta(19, 1)
        rater = quality.RaterVotes(a, b, vote(rng, a, b, ratings), gold_passed=golds)
        flagged.append(quality.judge(rater, THETA, 60, finished=True, alpha=LEVEL).result == "fail")
    assert np.mean(flagged) <= LEVEL + 2 * np.sqrt(LEVEL * (1 - LEVEL) / 200)


def test_the_shares_of_all_rules_and_looks_add_up_to_alpha():
    of_raters = sum(quality.verdict.SHARE.values()) + sum(quality.verdict.SHARE_FINISHED.values())
    assert of_raters + quality.verdict.SHARE_COORDINATED == pytest.approx(1)
    assert set(quality.RULES) == set(quality.verdict.SHARE)
    assert set(quality.VERSION) == {*quality.RULES, quality.COORDINATED}


# --- input that cannot be meant ---


@pytest.mark.parametrize(
    "call",
    [
        lambda: quality.agreement([0], [1], ["C"], THETA),
        lambda: quality.agreement([0], [8], ["A"], THETA),
        lambda: quality.agreement([0, 1], [1], ["A"], THETA),
        lambda: quality.agreement([0], [1], ["A"], [0.0, np.nan]),
        lambda: quality.agreement([0], [1], ["A"], THETA, theta_se=[0.1]),
        lambda: quality.straight_lining(["a"]),
        lambda: quality.repeats(["A"], ["A", "B"]),
        lambda: quality.judge(session(), THETA, 60, alpha=0),
    ],
)
def test_what_cannot_be_meant_is_refused(call):
    with pytest.raises(ValueError, match=r"\w"):
        call()


def test_a_rater_without_decisive_votes_has_no_evidence_and_no_nan():
    found = quality.agreement([0, 1], [1, 2], ["TIE", "BOTH_BAD"], THETA)
    assert (found.n, found.agreed, found.against_board.e, found.favours_system.e) == (0, None, 1.0, pytest.approx(1.0))
    nothing = session(lambda rng, a, b: np.full(a.size, "TIE"))
    assert quality.judge(nothing, THETA, 60, finished=True).result == "pass"


def test_a_board_without_any_doubt_gives_no_infinity():
    found = quality.agreement([0, 1] * 20, [1, 0] * 20, ["A", "B"] * 20, [-800.0, 800.0])
    numbers = (found.against_board.e, found.favours_system.e, *found.log_e, *found.log_e_p)
    assert np.isfinite(numbers).all()
    assert found.against_board.e > 1e6
