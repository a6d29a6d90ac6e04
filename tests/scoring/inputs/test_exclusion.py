"""Why a vote says nothing of its systems: one rule, for a vote, for arrays of them and for rows."""

import uuid
from itertools import product

import numpy as np
import pytest
from django.utils import timezone

from annotations import ledger, vote_blocks
from annotations.models import Vote
from annotations.services import flag
from arena.models import ANSWERS, Battle
from scoring import inputs
from tests.casts.votes import cast

RULES = ["risk", "too_fast"]


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("both_bad", [False, True])
def test_an_array_of_votes_is_judged_as_each_vote_is(both_bad, again):
    credit = inputs.credit_to_a(both_bad)
    combinations = list(product(vote_blocks.KINDS, ANSWERS, (False, True), (None, "risk", "withdrawn")))
    records = np.zeros(len(combinations), vote_blocks.RECORD)
    records["vote"] = np.arange(len(combinations)) + 1
    records["kind"] = [vote_blocks.KINDS.index(kind) for kind, *_ in combinations]
    records["answer"] = [ANSWERS.index(answer) for _, answer, *_ in combinations]
    records["again"] = [is_again for *_, is_again, _ in combinations]
    flagged = {vote: rule for vote, (*_, rule) in enumerate(combinations, start=1) if rule}
    reasons, names = inputs.reasons_of(records, flagged, credit, again)
    assert [names[reason] for reason in reasons] == [
        inputs.why_excluded(kind, answer, credit, flagged_by=rule, is_again=is_again and not again)
        for kind, answer, is_again, rule in combinations
    ]


def test_the_names_of_reasons_come_in_the_order_that_hashes_of_editions_rest_on():
    _, names = inputs.reasons_of(np.zeros(0, vote_blocks.RECORD), {1: "risk", 2: "withdrawn"}, inputs.CREDIT_TO_A)
    assert names == ["", "both_bad", "gold", "trap", "practice", "repeat", "again", "risk", "withdrawn"]


@pytest.mark.parametrize(
    ("kind", "answer", "facts", "reason"),
    [
        ("ranked", "A", {}, ""),
        ("imported", "TIE", {}, ""),
        ("ranked", "BOTH_BAD", {}, "both_bad"),
        ("gold", "BOTH_BAD", {}, "gold"),
        ("ranked", "A", {"is_again": True}, "again"),
        ("gold", "A", {"is_again": True}, "again"),
        ("gold", "A", {"is_again": True, "flagged_by": "risk"}, "risk"),
    ],
)
def test_a_flag_goes_before_the_kind_of_battle_and_that_before_the_answer(kind, answer, facts, reason):
    assert inputs.why_excluded(kind, answer, **facts) == reason


@pytest.mark.parametrize(
    ("fired", "rule"),
    [
        (set(), None),
        ({"late"}, None),
        ({"too_fast", "risk"}, "risk"),
        ({"too_fast", "cleared"}, None),
        ({"too_fast", "cleared", "withdrawn"}, "withdrawn"),
    ],
)
def test_a_withdrawal_excludes_always_and_a_rule_unless_a_person_cleared_the_vote(fired, rule):
    assert inputs.excluding_rule(fired, RULES) == rule


def repeat(vote):
    """Another vote, on a battle that repeats the vote's with its slots swapped."""
    battle = Battle.objects.get(pk=vote.battle_id)
    battle.system_a, battle.system_b = battle.system_b, battle.system_a
    battle.clip_a, battle.clip_b = battle.clip_b, battle.clip_a
    battle.excerpt_a, battle.excerpt_b = battle.excerpt_b, battle.excerpt_a
    battle.pk, battle.kind, battle.repeats = uuid.uuid4(), "repeat", vote.battle
    battle.pair_probability = battle.clip_probability = battle.eligible_pairs = None
    battle.save(force_insert=True)
    Vote.objects.create(battle=battle, rater=vote.rater, preference="A", received_at=timezone.now())


@pytest.mark.django_db
@pytest.mark.parametrize("rules", [[], RULES])
def test_rows_are_left_out_as_arrays_are(study, rules):
    cast(study, "A" * 5)
    votes = list(Vote.objects.order_by("pk"))
    fired = ["withdrawn"], ["too_fast"], ["too_fast", "cleared"], ["late"], ["withdrawn", "cleared"]
    for vote, names in zip(votes, fired, strict=True):
        for name in names:
            flag(vote, name, 1)
    repeat(votes[3])
    ledger.extend()
    used = inputs.study_votes(study, ledger.head(), ["withdrawn", *rules]).seq.tolist()
    rows = inputs.not_excluded(Vote.objects.all(), rules).order_by("entry__seq")
    assert list(rows.values_list("entry__seq", flat=True)) == used
    assert len(used) == (2 if rules else 3)
