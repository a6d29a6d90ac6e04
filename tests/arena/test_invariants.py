"""What the database itself refuses, whoever asks."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from annotations.models import Flag, Ledger, Vote, VoteDetails
from annotations.services import flag
from arena.models import Battle, Study
from arena.services import give_consent
from arena.serving import serve_battle
from scoring.models import RewardModel


@pytest.fixture
def battle(study, rater):
    return serve_battle(rater, study)[0]


@pytest.fixture
def vote(battle):
    return Vote.objects.create(battle=battle, rater=battle.rater, preference="A", received_at=timezone.now())


def refused(change):
    with pytest.raises((IntegrityError, DatabaseError)), transaction.atomic():
        change()
        with connection.cursor() as cursor:  # foreign keys may be checked as late as the commit
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return True


def copy_of(battle, **changes):
    fields = {f.attname: getattr(battle, f.attname) for f in Battle._meta.concrete_fields if f.name != "id"}
    return lambda: Battle.objects.create(**{**fields, **changes})


def test_a_battle_needs_two_clips(battle):
    same = {"clip_b_id": battle.clip_a_id, "excerpt_b_id": battle.excerpt_a_id, "system_b_id": battle.system_a_id}
    assert refused(copy_of(battle, **same))


def test_a_clip_belongs_to_the_slots_system_and_to_the_prompt(study, battle):
    third = study.systems.exclude(pk__in=[battle.system_a_id, battle.system_b_id]).get()
    assert refused(copy_of(battle, system_a_id=third.pk))
    other_prompt = third.clips.exclude(prompt=battle.prompt).get().prompt
    assert refused(copy_of(battle, prompt_id=other_prompt.pk))


def test_both_excerpts_are_of_the_battles_clips_and_of_one_length(battle):
    assert refused(copy_of(battle, length_ms=9_000))
    assert refused(copy_of(battle, excerpt_a_id=battle.excerpt_b_id))


def test_a_drawn_battle_has_probabilities_and_only_a_drawn_one(battle):
    assert refused(copy_of(battle, pair_probability=None))
    assert refused(copy_of(battle, clip_probability=1.5))
    assert refused(copy_of(battle, kind="gold"))


def test_what_was_drawn_never_changes(battle):
    assert refused(lambda: Battle.objects.filter(pk=battle.pk).update(system_a=battle.system_b))
    assert refused(lambda: Battle.objects.filter(pk=battle.pk).update(pair_probability=0.5))
    assert refused(battle.delete)


def test_nothing_of_a_battle_changes_but_how_it_ends_and_until_when_it_waits(battle):
    can_change = {"id", "reserved_until", "expires_at", "closed_at", "close_reason", "skip_reason", "external_id"}
    for name in {field.attname for field in Battle._meta.concrete_fields} - can_change:
        same = {name: getattr(battle, name)}
        assert refused(lambda same=same: Battle.objects.filter(pk=battle.pk).update(**same)), name


def test_a_battle_has_one_vote(vote):
    again = {"battle": vote.battle, "rater": vote.rater, "preference": "B", "received_at": timezone.now()}
    assert refused(lambda: Vote.objects.create(**again))


def test_a_vote_is_of_its_battles_own_rater(study, battle):
    stranger = give_consent(None, study, 1)
    wrong = {"battle": battle, "rater": stranger, "preference": "B", "received_at": timezone.now()}
    assert refused(lambda: Vote.objects.create(**wrong))


def test_a_vote_is_never_changed_or_deleted(vote):
    assert refused(lambda: Vote.objects.filter(pk=vote.pk).update(preference="B"))
    assert refused(lambda: Vote.objects.filter(pk=vote.pk).delete())
    assert Vote.objects.get().preference == "A"


def test_an_unknown_label_is_not_a_vote(battle):
    unknown = {"battle": battle, "rater": battle.rater, "preference": "MAYBE", "received_at": timezone.now()}
    assert refused(lambda: Vote.objects.create(**unknown))


def test_a_flag_is_never_changed_or_deleted(vote):
    late = flag(vote, Flag.LATE, 1)
    assert refused(lambda: Flag.objects.filter(pk=late.pk).update(rule="other"))
    assert refused(late.delete)


def test_vote_and_flag_are_in_the_ledger_from_the_start(vote):
    flag(vote, Flag.LATE, 1)
    assert [(entry.vote_id is not None, entry.flag_id is not None) for entry in Ledger.objects.order_by("pk")] == [
        (True, False),
        (False, True),
    ]


def test_a_study_keeps_a_uniform_share_and_there_is_one_default(study):
    assert refused(lambda: Study.objects.create(slug="greedy", name="x", epsilon=0.05))
    assert refused(lambda: Study.objects.create(slug="second", name="x", is_default=True))


def test_at_most_one_model_is_live(db):
    live = {"encoders": [], "weights": "w", "sha256": "s", "status": "live"}
    RewardModel.objects.create(name="one", **live)
    assert refused(lambda: RewardModel.objects.create(name="two", **live))


def test_a_vote_holds_no_free_text():
    """Personal things stand in VoteDetails; what a vote says is fixed labels, numbers and keys."""
    texts = {field.name for field in Vote._meta.get_fields() if field.get_internal_type() == "TextField"}
    assert not texts
    assert {"comment", "user_agent", "language", "events"} <= {field.name for field in VoteDetails._meta.get_fields()}
