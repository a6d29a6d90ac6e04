"""Clip pairs that staff has served again: to whom, how often, and with what probability stored."""

from collections import Counter
from random import Random

import pytest
from django.db import IntegrityError, transaction

from annotations import ledger
from annotations.services import Answer, cast_vote
from arena.models import Again, Battle, Clip
from arena.refusals import Conflict, Refusal
from arena.services import give_consent
from arena.serving import ask_again, progress, serve_battle, skip_battle
from arena.serving.again import stop
from scoring.boards.refit import refit_board


def clips_of(study, *systems, prompt=0):
    text = ("A calm piano ballad", "Driving rock")[prompt]
    return [Clip.objects.get(system__name=name, prompt__text=text).pk for name in systems]


def another(study):
    return give_consent(None, study, 1)


def close(battle):
    return skip_battle(battle.rater, battle.pk, "other")


@pytest.mark.django_db
def test_a_clip_pair_asked_for_comes_before_all_others_and_says_how_it_was_drawn(study, rater):
    clips = clips_of(study, "alder", "birch")
    ask_again(study, clips, 5, "ada")
    battle, _ = serve_battle(rater, study)
    assert {battle.clip_a_id, battle.clip_b_id} == set(clips)
    assert (battle.kind, battle.policy, battle.pair_probability, battle.clip_probability) == ("ranked", "again", 1, 1)


@pytest.mark.django_db
def test_among_several_each_is_as_likely_and_the_stored_probabilities_multiply_to_that(study):
    wanted = [clips_of(study, "alder", "birch", prompt=0), clips_of(study, "alder", "birch", prompt=1),
              clips_of(study, "birch", "cedar")]  # fmt: skip
    for clips in wanted:
        ask_again(study, clips, 50, "ada")
    found = Counter()
    for seed in range(30):
        battle, _ = serve_battle(another(study), study, rng=Random(seed))
        pair, clip = battle.pair_probability, battle.clip_probability
        assert pair * clip == pytest.approx(1 / 3)
        assert battle.eligible_pairs == 2
        assert pair == pytest.approx(1 / 3 if "cedar" in str((battle.system_a, battle.system_b)) else 2 / 3)
        found[frozenset((battle.clip_a_id, battle.clip_b_id))] += 1
    assert set(found) == {frozenset(clips) for clips in wanted}
    assert min(found.values()) > 3


@pytest.mark.django_db
def test_it_is_served_as_often_as_asked_and_never_once_more_whatever_comes_of_it(study):
    asked = ask_again(study, clips_of(study, "alder", "birch"), 2, "ada")
    policies = []
    for number in range(4):
        battle, _ = serve_battle(another(study), study)
        policies.append(battle.policy)
        if number == 0:
            close(battle)
    assert policies == ["again", "again", "least-voted", "least-voted"]
    asked.refresh_from_db()
    assert asked.left == 0


@pytest.mark.django_db
def test_nobody_hears_it_twice_nor_two_such_in_a_row(study, rater):
    for names in (("alder", "birch"), ("birch", "cedar")):
        ask_again(study, clips_of(study, *names), 5, "ada")
    policies, heard = [], []
    for _ in range(6):
        battle, _ = serve_battle(rater, study)
        close(battle)
        policies.append(battle.policy)
        heard.append(frozenset((battle.clip_a_id, battle.clip_b_id)))
    assert policies[0] == "again" and policies.count("again") <= 2
    assert "again again" not in " ".join(policies)
    assert len(set(heard)) == 6  # all there are, each once
    with pytest.raises(Conflict):
        serve_battle(rater, study)


@pytest.mark.django_db
def test_an_ordinary_battle_keeps_the_probability_it_would_have_had(study, rater):
    ask_again(study, clips_of(study, "alder", "birch"), 5, "ada")
    study.pairing = "uniform"
    study.save()
    close(serve_battle(rater, study)[0])
    battle, _ = serve_battle(rater, study)
    assert (battle.policy, battle.pair_probability) == ("uniform", pytest.approx(1 / 3))
    options = 1 if {battle.system_a.name, battle.system_b.name} == {"alder", "birch"} else 2
    assert battle.clip_probability == pytest.approx(1 / options)


@pytest.mark.django_db
def test_a_full_quota_does_not_stop_it_and_it_fills_no_quota(study):
    study.votes_per_pair = 1
    study.save()
    rater = another(study)
    ask_again(study, clips_of(study, "alder", "birch"), 5, "ada")
    again, _ = serve_battle(rater, study)
    assert again.policy == "again"
    assert Battle.objects.awaited(again.served_at).count() == 0
    assert progress(rater, study)["total"] == progress(another(study), study)["total"] == 3
    for _ in range(3):
        close(serve_battle(another(study), study)[0])


@pytest.mark.django_db
def test_the_progress_of_a_rater_does_not_tell_it_from_an_ordinary_battle(study):
    study.votes_per_pair = 2
    study.save()
    rater = another(study)
    before = progress(rater, study)["total"]
    ask_again(study, clips_of(study, "alder", "birch"), 5, "ada")
    policies = []
    for _ in range(4):
        battle, _ = serve_battle(rater, study)
        assert progress(rater, study)["total"] == before
        policies.append(close(battle).policy)
    assert policies.count("again") == 1


@pytest.mark.django_db
def test_a_rater_with_all_their_battles_gets_none_on_top(study, rater):
    study.battles_per_rater = 1
    study.save()
    close(serve_battle(rater, study)[0])
    ask_again(study, clips_of(study, "alder", "birch"), 5, "ada")
    with pytest.raises(Conflict, match="every pair"):
        serve_battle(rater, study)


@pytest.mark.django_db
def test_what_cannot_be_played_now_waits(study, rater):
    ask_again(study, clips_of(study, "alder", "birch"), 5, "ada")
    study.systems.filter(name="birch").update(retired_at="2026-01-01T00:00Z")
    battle, _ = serve_battle(rater, study)
    assert battle.policy == "least-voted"
    assert Again.objects.get().left == 5


@pytest.mark.django_db
def test_asking_is_bounded_once_at_a_time_and_can_be_stopped(study, rater):
    clips = clips_of(study, "alder", "birch")
    for n in (0, 51, -1):
        with pytest.raises(Refusal):
            ask_again(study, clips, n, "ada")
    ask_again(study, clips, 5, "ada")
    with pytest.raises(Conflict):
        ask_again(study, list(reversed(clips)), 5, "bea")
    assert stop(Again.objects.all()) == 1
    assert serve_battle(rater, study)[0].policy == "least-voted"
    ask_again(study, clips, 1, "bea")  # after that, again
    with pytest.raises(IntegrityError), transaction.atomic():
        Again.objects.update(wanted=40)
    with pytest.raises(IntegrityError), transaction.atomic():
        Again.objects.filter(left=1).update(left=2)


@pytest.mark.django_db
def test_its_votes_are_on_no_board_and_the_board_says_so(study, time_passes):
    ask_again(study, clips_of(study, "alder", "birch"), 3, "ada")
    heard = {"A": [[0, 4000]], "B": [[0, 4000]]}
    for _ in range(2):
        rater = another(study)
        for _ in range(2):
            battle, _ = serve_battle(rater, study)
            time_passes(9)
            cast_vote(rater, battle.pk, Answer("A", heard=heard, first_played="A", switches=1), f"key {battle.pk}")
    ledger.catch_up()
    edition = refit_board(study)
    assert edition.n_votes == 2
    assert edition.excluded == {"again": 2}
