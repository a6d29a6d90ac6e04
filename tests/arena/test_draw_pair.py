"""What a rater is served next: each policy's stored probabilities, given what this rater was eligible for."""

from collections import Counter
from datetime import timedelta
from random import Random

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.utils import timezone
from scipy.stats import chisquare

from arena.models import Battle, Clip, Excerpt, PairingTable, Prompt, Study, System
from arena.services import give_consent
from arena.serving import process_cache, progress, serve_battle
from arena.serving.draw_pair import Offer
from arena.serving.stock import NEWCOMER, Stock
from tests.casts.clips import make_clip, make_excerpt

DRAWS = 1000


@pytest.fixture
def study(study):
    """Four systems, three prompts; of one system two clips for a prompt, of another none for it."""
    System.objects.create(name="dogwood")
    prompts = [*Prompt.objects.order_by("pk"), Prompt.objects.create(text="A waltz")]
    study.systems.set(System.objects.all())
    for system in study.systems.all():
        if system.name != "cedar":
            make_clip(system, prompts[2])
    for prompt in prompts[:2]:
        make_clip(System.objects.get(name="dogwood"), prompt)
    make_clip(System.objects.get(name="alder"), prompts[0])
    return study


def table_of(study, shares, version=1):
    """A pairing table in which pairs have the shares, by the numbers of its systems in the order of their names."""
    systems = list(study.systems.order_by("pk").values_list("pk", flat=True))
    return PairingTable.objects.create(
        study=study, version=version, systems=systems[: {1: 2, 3: 3, 6: 4}[len(shares)]],
        cumulative=np.cumsum(np.array(shares) / sum(shares)).astype("<f8").tobytes(),
    )  # fmt: skip


def answered(rater, study, n, seed=0):
    """n battles that the rater has answered."""
    for number in range(n):
        battle, _ = serve_battle(rater, study, rng=Random(seed + number))
        battle.closed_at, battle.close_reason = timezone.now(), "voted"
        battle.save(update_fields=["closed_at", "close_reason"])
    return rater


def offer_to(rater, study, prompt=None):
    return Offer(rater, study, list(rater.battles.all()), timezone.now(), prompt)


def pair_of(battle):
    return frozenset((battle.system_a_id, battle.system_b_id))


def is_as_often_as_stated(offer, draws=DRAWS, seed=0):
    """Chi-square of the clip pairs drawn, against the product of the two probabilities stated with each."""
    rng, seen, stated = Random(seed), Counter(), {}
    for _ in range(draws):
        drawn = offer.draw(rng)
        seen[drawn.candidate.clip_ids] += 1
        stated[drawn.candidate.clip_ids] = drawn.pair.probability * drawn.clips.probability
    unseen = 1 - sum(stated.values())
    assert -1e-9 < unseen < 0.02
    found, expected = [seen[key] for key in stated], [draws * p for p in stated.values()]
    if unseen > 1e-9:
        found, expected = [*found, 0], [*expected, draws * unseen]
    return len(found) == 1 or chisquare(found, expected).pvalue > 1e-4


@pytest.mark.parametrize("n_heard", [0, 4, 17])
@pytest.mark.parametrize("policy", Study.Pairing.values)
def test_what_is_stored_is_how_often_it_is_drawn_whatever_the_rater_has_heard(study, rater, policy, n_heard):
    table_of(study, [8, 1, 0, 3, 1, 2])
    answered(give_consent(None, study, 1), study, 9)
    study.pairing = policy
    study.save()
    answered(rater, study, n_heard)
    assert is_as_often_as_stated(offer_to(rater, study))


@pytest.mark.parametrize("policy", Study.Pairing.values)
def test_so_it_is_for_more_of_a_prompt_under_a_quota_and_after_a_system_has_retired(study, rater, policy):
    table_of(study, [8, 1, 0, 3, 1, 2])
    answered(rater, study, 5)
    study.pairing, study.votes_per_pair = policy, 2
    study.save()
    assert is_as_often_as_stated(offer_to(rater, study), 700)
    study.votes_per_pair = None
    assert is_as_often_as_stated(offer_to(rater, study, prompt=study.battles.first().prompt_id), 700)
    System.objects.filter(name="birch").update(retired_at=timezone.now())
    assert is_as_often_as_stated(offer_to(rater, study), 700)


def test_a_battle_says_among_how_many_pairs_its_own_was_drawn(study, rater):
    study.pairing = "uniform"
    study.save()
    found = []
    for _ in range(17):
        answered(rater, study, 1)
        battle = rater.battles.order_by("served_at").last()
        assert battle.pair_probability == pytest.approx(1 / battle.eligible_pairs)
        found.append(battle.eligible_pairs)
    assert found[0] == 6
    assert found == sorted(found, reverse=True)
    assert found[-1] < 6  # of some pairs everything had been heard


def test_how_many_never_changes_and_is_of_drawn_battles_alone(study, rater):
    battle, _ = serve_battle(rater, study)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Battle.objects.filter(pk=battle.pk).update(eligible_pairs=7)
    battle.kind, battle.pair_probability, battle.clip_probability = "imported", None, None
    with pytest.raises(ValidationError, match="eligible"):
        battle.validate_constraints()


# ---- informative ----


@pytest.fixture
def informative(study):
    study.pairing, study.epsilon = "informative", 0.1
    study.save()
    return study


def shares(study, n=1200):
    """How often each pair of names is drawn for somebody new."""
    offer, rng = offer_to(give_consent(None, study, 1), study), Random(5)
    names = dict(System.objects.values_list("pk", "name"))
    drawn = Counter(frozenset(names[pk] for pk in offer.draw(rng).candidate.system_ids) for _ in range(n))
    return {pair: count / n for pair, count in drawn.items()}


def test_the_informative_policy_draws_from_the_last_table(informative):
    table_of(informative, [1, 0, 0, 0, 0, 0], version=1)
    table_of(informative, [0, 0, 0, 0, 3, 1], version=2)
    found = shares(informative)
    assert found[frozenset(("birch", "dogwood"))] == pytest.approx(0.9 * 3 / 4 + 0.1 / 6, abs=0.04)
    assert found[frozenset(("cedar", "dogwood"))] == pytest.approx(0.9 * 1 / 4 + 0.1 / 6, abs=0.04)
    battle, _ = serve_battle(give_consent(None, informative, 1), informative)
    assert battle.policy == "informative"


def test_without_a_table_it_is_least_voted_and_says_so(informative, rater):
    assert answered(rater, informative, 1).battles.get().policy == "least-voted"


def test_a_system_that_the_table_does_not_know_has_its_share_and_more(informative):
    table_of(informative, [1, 1, 1])  # of alder, birch and cedar
    found = shares(informative)
    new = sum(share for pair, share in found.items() if "dogwood" in pair)
    assert new == pytest.approx(0.9 * 3 * NEWCOMER / (3 * NEWCOMER + 3) + 0.05, abs=0.04)
    assert new > 1.3 * sum(share for pair, share in found.items() if "alder" in pair)


def test_a_new_table_is_drawn_from_within_seconds(informative, monkeypatch):
    table_of(informative, [1, 0, 0, 0, 0, 0])
    assert max(shares(informative, 60).values()) > 0.8
    table_of(informative, [0, 0, 0, 0, 0, 1], version=2)
    now = process_cache.time.monotonic
    monkeypatch.setattr(process_cache.time, "monotonic", lambda: now() + 2 * process_cache.FRESH_S)
    assert shares(informative, 60)[frozenset(("cedar", "dogwood"))] > 0.8


# ---- prompts ----


@pytest.mark.parametrize("policy", ["least-voted", "informative"])
def test_the_prompts_of_a_pair_stay_balanced(study, policy):
    table_of(study, [1, 1, 1, 1, 1, 1])
    study.pairing, study.epsilon = policy, 0.1
    study.save()
    study.systems.set(System.objects.filter(name__in=("alder", "birch")))
    for number in range(45):
        answered(give_consent(None, study, 1), study, 1, seed=number)
    found = Counter(Battle.objects.values_list("prompt_id", flat=True))
    assert len(found) == 3
    assert max(found.values()) - min(found.values()) <= 3  # by chance alone half of all such studies have over 6


# ---- votes there are and votes to come ----


def test_votes_are_counted_as_they_come_and_again_after_a_while(study, rater, time_passes):
    def counted():
        return sum(offer_to(rater, study).counts)

    assert counted() == 0
    other = give_consent(None, study, 1)
    for number in range(5):
        answered(other, study, 1)
        assert counted() == number + 1
        time_passes(50)  # some of the time within the minute that is counted each time, then beyond it
    serve_battle(other, study)
    assert counted() == 6
    time_passes(31 * 60)
    assert counted() == 5
    process_cache.forget()
    assert counted() == 5


def test_a_clock_that_was_set_back_loses_no_vote(study, rater):
    offer_to(rater, study).counts.sum()
    past = timezone.now() - timedelta(days=2)
    battle, _ = serve_battle(rater, study, now=past)
    battle.closed_at, battle.close_reason = past, "voted"
    battle.save(update_fields=["closed_at", "close_reason"])
    assert Offer(rater, study, [battle], past, None).counts.sum() == 1


# ---- what there is ----


def test_clip_pairs_are_counted_as_they_are_listed(study):
    short = make_clip(System.objects.get(name="birch"), Prompt.objects.first(), 6_340, 6_000)
    others = Clip.objects.filter(prompt=short.prompt).exclude(pk=short.pk)
    for clip in others:
        make_excerpt(clip, study, 6_000)
    cedars = others.filter(system__name="cedar").values("excerpts")
    Excerpt.objects.filter(pk__in=cedars, length_ms=6_000).update(status="rejected", reason="It is silent there.")
    stock = Stock.of(study)
    listed = [stock.candidates(pair) for pair in range(stock.low.size)]
    assert [len(found) for found in listed] == stock.options.tolist()
    at_the_common_length = [option for found in listed for option in found if option.length_ms == 6_000]
    assert {option.prompt_id for option in at_the_common_length} == {short.prompt_id}
    heard = {clip for option in at_the_common_length for clip in option.clip_ids}
    assert heard == {short.pk, *others.exclude(system__name="cedar").values_list("pk", flat=True)}
    for pair, found in enumerate(listed):
        for option in found:
            assert stock.number_of(*option.clip_ids) == (pair, option.prompt_id)
            assert option.system_ids == (stock.systems[stock.low[pair]], stock.systems[stock.high[pair]])
    by_prompt = sum(stock.options_on(prompt.pk) for prompt in Prompt.objects.all())
    assert by_prompt.tolist() == stock.options.tolist()


def test_progress_is_as_many_as_can_be_heard(study, rater):
    total = progress(rater, study)["total"]
    answered(rater, study, total)
    assert progress(rater, study) == {"done": total, "total": total}
    assert offer_to(rater, study).is_empty
