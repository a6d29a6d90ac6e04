"""The screen of identities gives what comparing every rater with every other gives, and looks only at what is new."""

from datetime import timedelta
from random import Random
from statistics import median
from time import process_time

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotations import identity, quality
from annotations.checks import MIRRORED
from annotations.models import Flag, Screening, Vote
from annotations.services import clear, withdraw_rater, withdraw_votes
from arena.locks import Lock, held_over_transactions
from arena.models import ANSWERS, Arrival, Battle, Clip, Prompt, Rater, Study, System
from tests.casts.clips import make_clip

HOUR = timedelta(hours=1)
N_SYSTEMS, N_PROMPTS = 4, 3


@pytest.fixture
def study(db):
    study = Study.objects.create(slug="open", name="Open", excerpt_s=10)
    study.systems.set([System.objects.create(name=f"system {n}") for n in range(N_SYSTEMS)])
    for n in range(N_PROMPTS):
        prompt = Prompt.objects.create(text=f"prompt {n}")
        for system in study.systems.all():
            make_clip(system, prompt)
    return study


def arrive(now, connection=None, minutes_ago=30):
    rater = Rater.objects.create(created_at=now)
    if connection:
        Arrival.objects.create(rater=rater, device=connection, at=now - timedelta(minutes=minutes_ago))
    return rater


def pairs_of(study):
    clips = list(Clip.objects.select_related("system").order_by("pk"))
    return [(a, b) for a in clips for b in clips if a.pk < b.pk and a.prompt_id == b.prompt_id]


def cast(study, rater, pairs, answer, at, pace_ms=3000, rng=None):
    """Votes on the pairs; answer: function of the place in `pairs`, as if the lower clip were in slot A."""
    for place, (a, b) in enumerate(pairs):
        preference = answer(place)
        if rng and rng.random() < 0.5:
            a, b, preference = b, a, MIRRORED[preference]
        excerpts = a.excerpts.first(), b.excerpts.first()
        battle = Battle.objects.create(
            study=study, rater=rater, prompt_id=a.prompt_id, system_a=a.system, system_b=b.system, clip_a=a, clip_b=b,
            excerpt_a=excerpts[0], excerpt_b=excerpts[1], length_ms=10_000, codec="mp3", policy="uniform",
            pair_probability=0.5, clip_probability=0.5, served_at=at, reserved_until=at,
            expires_at=at + HOUR, closed_at=at, close_reason="voted",
        )  # fmt: skip
        decided = None if pace_ms is None else 8000 + pace_ms
        Vote.objects.create(
            battle=battle, rater=rater, preference=preference, opened_ms=8000, decided_ms=decided, received_at=at
        )


# ---- the same screen, rater by rater: slow and plain ----


def plain_risk(study, rater, now):
    recent = Vote.objects.filter(
        battle__study=study, battle__kind="ranked", received_at__gt=now - HOUR, rater=rater
    ).exclude(flags__rule=Flag.WITHDRAWN)  # fmt: skip
    came = Arrival.objects.filter(rater=rater).order_by("at").first()
    others = None
    if came:
        near = Arrival.objects.filter(device=came.device, at__range=(came.at - HOUR, came.at + HOUR))
        others = set(near.exclude(rater=rater).values_list("rater_id", flat=True))
    best = (None, 0)
    own = plain_answers(study, rater)
    for other in others or ():
        theirs = plain_answers(study, other)
        shared = own.keys() & theirs.keys()
        if len(shared) >= quality.TWIN_PAIRS:
            share = sum(own[pair] == theirs[pair] for pair in shared) / len(shared)
            best = max(best, (share, len(shared)), key=lambda candidate: (candidate[0] or 0, candidate[1]))
    known = [vote for vote in recent if None not in (vote.opened_ms, vote.decided_ms)]
    times = [vote.decided_ms - vote.opened_ms for vote in known if vote.decided_ms >= vote.opened_ms]
    return quality.risk(
        arrivals_same_connection=None if others is None else len(others) + 1,
        twin_agreement=best[0],
        twin_pairs=best[1],
        median_decision_ms=median(times) if times else None,
    )


def plain_answers(study, rater):
    votes = Vote.objects.filter(battle__study=study, battle__kind="ranked", rater=rater).order_by("pk")
    return {
        (min(a, b), max(a, b)): preference if a < b else MIRRORED[preference]
        for a, b, preference in votes.values_list("battle__clip_a", "battle__clip_b", "preference")
    }


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("advantage", [0, 10**6])  # sparse products, dense ones
def test_everybody_gets_the_risk_that_comparing_each_with_each_gives(study, monkeypatch, seed, advantage):
    monkeypatch.setattr(quality.twins, "DENSE_ADVANTAGE", advantage)
    monkeypatch.setattr(quality.twins, "AT_ONCE", 3)
    monkeypatch.setattr(identity, "AT_ONCE", 5)
    rng, now, pairs = Random(seed), timezone.now(), pairs_of(study)
    raters = [arrive(now, rng.choice([None, "x", "x", "y"]), rng.choice([5, 20, 64, 66, 130])) for _ in range(14)]
    for rater in rng.sample(raters, 3):  # who came twice
        Arrival.objects.create(rater=rater, device=rng.choice("xy"), at=now - timedelta(minutes=rng.choice([1, 90])))
    for rater in raters:
        own = rng.sample(pairs, rng.choice([3, 9, 15, 17, 18]))
        kind, pace = rng.random(), rng.choice([None, 20, 150, 3000, -10])
        preferences = [
            "A" if kind < 0.5 else ("AB"[pairs.index(pair) % 2] if kind < 0.7 else rng.choice(ANSWERS)) for pair in own
        ]
        at = now - timedelta(minutes=rng.choice([2, 30, 50, 70]))
        cast(study, rater, own, preferences.__getitem__, at, pace, rng)
        if rng.random() < 0.3:  # a second answer to a pair
            cast(study, rater, own[:1], lambda _: rng.choice(ANSWERS), now - timedelta(minutes=1), pace, rng)
    withdraw_votes(raters[0])
    withdraw_rater(raters[1])
    identity.screen_identities(study, now)
    recent = Vote.objects.filter(received_at__gt=now - HOUR, rater__withdrawn_at=None)
    expected = {
        rater: plain_risk(study, rater, now)
        for rater in recent.exclude(flags__rule=Flag.WITHDRAWN).values_list("rater", flat=True)
    }
    rows = {row.rater_id: quality.Risk(row.result, row.score, row.detail) for row in Screening.objects.all()}
    assert rows == expected
    assert {"twins" in risk.signals for risk in expected.values()} == {True, False}, "a poor example"


# ---- what is new ----


def screened(study, now):
    return set(identity.screen_identities(study, now))


def test_only_raters_about_whom_something_is_new_are_screened_again(study):
    now, pairs = timezone.now(), pairs_of(study)
    here, there = arrive(now, "lecture hall"), arrive(now, "at home")
    for rater in (here, there):
        cast(study, rater, pairs[:3], lambda _: "A", now - timedelta(minutes=5))
    assert identity.due_studies(now) == [study.pk]
    assert screened(study, now) == {here.pk, there.pk}
    assert identity.due_studies(now) == [] and screened(study, now) == set()

    later = now + timedelta(minutes=10)
    arrive(later, "lecture hall", minutes_ago=1)
    assert screened(study, later) == {here.pk}, "somebody else came over the same connection"

    later += timedelta(minutes=10)
    cast(study, there, pairs[3:4], lambda _: "A", later)
    assert screened(study, later) == {there.pk}


def test_a_vote_that_commits_after_its_timestamp_is_seen_by_the_next_screening(study):
    now, pairs = timezone.now(), pairs_of(study)
    rater = arrive(now, "x")
    cast(study, rater, pairs[:1], lambda _: "A", now - timedelta(minutes=5))
    identity.screen_identities(study, now)
    cast(study, rater, pairs[1:2], lambda _: "A", now - timedelta(seconds=2))
    assert screened(study, now + timedelta(seconds=60)) == {rater.pk}


def test_what_a_killed_worker_has_written_stays_and_the_next_goes_on_with_the_rest(study, monkeypatch):
    now, pairs = timezone.now(), pairs_of(study)
    monkeypatch.setattr(identity, "AT_ONCE", 2)
    raters = {arrive(now, "x", minutes_ago=10 + n).pk for n in range(5)}
    for rater in Rater.objects.all():
        cast(study, rater, pairs[:1], lambda _: "A", now - timedelta(minutes=5))
    real, batches = identity._write, []

    def killed_in_the_third_batch(*arguments):
        batches.append(arguments)
        if len(batches) == 3:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(identity, "_write", killed_in_the_third_batch)
        identity.screen_identities(study, now)
    done = set(Screening.objects.values_list("rater", flat=True))
    assert len(done) == 4
    assert screened(study, now) == raters - done


@pytest.mark.django_db(transaction=True)
def test_while_another_worker_screens_a_study_nothing_is_done(study, django_db_blocker):
    import threading

    now = timezone.now()
    cast(study, arrive(now, "x"), pairs_of(study)[:1], lambda _: "A", now)
    held, done = threading.Event(), threading.Event()

    def other():
        with held_over_transactions(Lock.IDENTITIES, study) as is_ours:
            assert is_ours
            held.set()
            done.wait(30)
        connection.close()

    thread = threading.Thread(target=other)
    thread.start()
    held.wait(30)
    assert identity.screen_identities(study, now) == {}
    done.set()
    thread.join()
    assert len(identity.screen_identities(study, now)) == 1


def test_the_number_of_queries_does_not_depend_on_the_number_of_raters(study, monkeypatch):
    now, pairs, counts = timezone.now(), pairs_of(study), []
    for n in (3, 12):
        for _ in range(n):
            cast(study, arrive(now, f"room {n}"), pairs[:11], lambda _: "A", now - timedelta(minutes=5), pace_ms=20)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            results = identity.screen_identities(study, now)
        assert list(results.values()) == ["fail"] * n
        counts.append(len(queries))
    assert counts[0] == counts[1] < 20


def test_whom_a_person_has_cleared_is_not_flagged_again(study):
    now, pairs = timezone.now(), pairs_of(study)
    for _ in range(3):
        cast(study, arrive(now, "x"), pairs[:11], lambda _: "A", now - timedelta(minutes=5), pace_ms=20)
    identity.screen_identities(study, now)
    flags = Flag.objects.filter(rule="risk")
    assert flags.count() == 33
    chosen = Rater.objects.first()
    clear(Vote.objects.filter(rater=chosen), by="ada")
    cast(study, chosen, pairs[11:12], lambda _: "A", now, pace_ms=20)
    assert identity.screen_identities(study, now + timedelta(seconds=90))[chosen.pk] == "fail"
    assert flags.count() == 33


# ---- a lecture hall ----


def plain_has_twin(given, rater):
    own = given[rater]
    for theirs in given[:rater] + given[rater + 1 :]:
        shared = own.keys() & theirs.keys()
        n_same = sum(own[pair] == theirs[pair] for pair in shared)
        if len(shared) >= quality.TWIN_PAIRS and n_same / len(shared) >= quality.arrivals.TWIN_SHARE:
            return True
    return False


@pytest.mark.parametrize("n_pairs", [60, 600])
def test_ten_thousand_raters_of_one_connection_are_compared_in_seconds(n_pairs):
    """Votes on 30 pairs each, by listeners who agree as honest ones do; two of them answer all alike."""
    rng, n = np.random.default_rng(1), 10_000
    truth = rng.integers(0, 2, n_pairs)
    pairs = np.argsort(rng.random((n, n_pairs)), axis=1)[:, :30]
    pairs[1] = pairs[0]
    answers = np.where(rng.random((n, 30)) < 0.7, truth[pairs], rng.integers(0, 4, (n, 30)))
    answers[1] = answers[0]
    at = rng.integers(0, 3600, n)
    raters = np.arange(n)
    everybody = np.zeros(n, int)
    began = process_time()
    appearances = quality.Appearances.of(everybody, raters, at, 3600)
    assert (quality.crowd(appearances, everybody, at) == n).all()
    alike = quality.have_twins(
        appearances, everybody, raters, at, (np.repeat(raters, 30), pairs.ravel(), answers.ravel())
    )
    assert process_time() - began < 10, "each was compared with each in Python"
    given = [dict(zip(own, said, strict=True)) for own, said in zip(pairs.tolist(), answers.tolist(), strict=True)]
    some = range(0, n, 500)
    assert alike[:2].all() and alike[some].tolist() == [plain_has_twin(given, rater) for rater in some]
