"""Which kind of battle comes when: counts exact, places nobody can foresee, a repeat with something to repeat."""

from collections import Counter
from types import SimpleNamespace

import pytest

from arena.serving.schedule import GOLD, PRACTICE, RANKED, REPEAT, TRAP, Schedule
from arena.study_settings import REPEAT_DISTANCE

USUAL = Schedule(practice=2, block_length=10, blocks=3, golds=1, traps=1, repeats=1)


def session(plan, seed="a rater's secret"):
    """The kinds of all battles of a rater, in their order."""
    kinds = []
    while (kind := plan.kind_at(len(kinds), seed)) is not None:
        kinds.append(kind)
    return kinds


def test_practice_comes_first_and_then_every_block_has_its_checks():
    kinds = session(USUAL)
    assert kinds[:2] == [PRACTICE] * 2
    assert len(kinds) == 2 + 3 * 13
    for start in range(2, len(kinds), 13):
        assert Counter(kinds[start : start + 13]) == {RANKED: 10, GOLD: 1, TRAP: 1, REPEAT: 1}


def test_without_an_end_the_blocks_go_on():
    endless = Schedule(block_length=6, golds=1)
    assert Counter(endless.kind_at(position, "s") for position in range(700)) == {RANKED: 600, GOLD: 100}


def test_without_checks_every_battle_is_an_ordinary_one():
    assert session(Schedule(block_length=10, blocks=2)) == [RANKED] * 20


def test_a_schedule_is_read_off_a_study():
    settings = {"practice": 1, "block_length": 7, "blocks": 2, "golds": 3, "traps": 2, "repeats": 1, "slug": "other"}
    assert Schedule.of(SimpleNamespace(**settings)) == Schedule(1, 7, 2, 3, 2, 1)


@pytest.mark.parametrize(
    "plan",
    [
        USUAL,
        Schedule(block_length=10, blocks=2, golds=2, traps=1, repeats=3),
        Schedule(block_length=6, repeats=1, blocks=2),
        Schedule(block_length=12, blocks=2, repeats=7),
    ],
)
def test_every_repeat_has_an_ordinary_battle_of_its_own_to_repeat_five_places_before(plan):
    for seed in range(200):
        for number in range(plan.blocks):
            kinds = plan.block(number, f"{seed}")
            assert Counter(kinds) == +Counter(
                {RANKED: plan.block_length, GOLD: plan.golds, TRAP: plan.traps, REPEAT: plan.repeats}
            )
            places = [place for place, kind in enumerate(kinds) if kind == REPEAT]
            for earlier, place in enumerate(places):
                assert kinds[: max(0, place - REPEAT_DISTANCE + 1)].count(RANKED) > earlier


def test_the_same_rater_has_the_same_schedule_whenever_it_is_asked_for():
    assert session(USUAL, "one") == session(USUAL, "one")
    assert [USUAL.kind_at(position, "one") for position in (20, 5, 40)] == [
        session(USUAL, "one")[position] for position in (20, 5, 40)
    ]


def test_raters_and_blocks_have_schedules_of_their_own():
    assert len({tuple(session(USUAL, f"rater {number}")) for number in range(200)}) > 190
    assert len({tuple(USUAL.block(number, "one")) for number in range(3)}) == 3


def test_a_gold_can_be_at_any_place_about_as_often_and_a_trap_at_the_same():
    """Chi-square of two samples over 13 places: 32.9 is the 0.001 point of 12 degrees of freedom."""
    n = 2600
    at = Counter(USUAL.block(0, f"rater {number}").index(GOLD) for number in range(n))
    assert set(at) == set(range(13))
    traps = Counter(USUAL.block(1, f"rater {number}").index(TRAP) for number in range(n))
    difference = sum((at[place] - traps[place]) ** 2 / (at[place] + traps[place]) for place in at)
    assert difference < 32.9  # golds and traps are placed alike
    assert all(at[place] / n == pytest.approx(1 / 13, abs=0.03) for place in at)


def test_one_schedule_says_nothing_of_another_raters():
    """Where one rater's trap is, another's is as often as anywhere: told once, a crowd is not told."""
    n = 1000
    here = [USUAL.block(0, f"a{number}").index(TRAP) for number in range(n)]
    there = [USUAL.block(0, f"b{number}").index(TRAP) for number in range(n)]
    assert sum(one == other for one, other in zip(here, there, strict=True)) / n == pytest.approx(1 / 13, abs=0.03)


def test_a_block_too_short_for_chance_has_its_repeats_at_the_end():
    assert Schedule(block_length=5, repeats=1).block(0, "s")[-1] == REPEAT
    tight = Schedule(block_length=12, blocks=1, repeats=8)
    kinds = tight.block(0, "s")
    assert Counter(kinds) == {RANKED: 12, REPEAT: 8}
