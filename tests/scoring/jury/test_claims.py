"""Who embeds which clip, and what becomes of the claims of a worker that dies."""

import threading

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone

from scoring.jury import claims
from scoring.jury.rewards import store_rewards
from scoring.jury.worker import score_pending
from scoring.models import Embedding
from scoring.reward.encoders.spectral import SpectralEncoder
from tests.casts.jury import make_clips, start_worker, take
from tests.casts.leases import lasts, renew_often
from tests.casts.reward_models import make_live, make_model


def test_a_clip_lacks_nothing_once_the_model_has_rewarded_it_whatever_other_models_have(model, clips):
    store_rewards(model, {clips[0].pk: 1.0})
    store_rewards(make_model("other", seed=1), {clips[1].pk: 1.0})
    blocks, rest = [("spectral", "1")], [clip.pk for clip in clips[1:]]
    assert [clip for clip, _ in claims.lacking(blocks, model=model)] == rest
    assert [clip for clip, _ in claims.lacking(blocks)] == [clips[0].pk, *rest]
    assert take(limit=4, model=model) == rest


def test_clips_that_are_claimed_are_nobody_elses_until_the_claim_runs_out(clips, time_passes):
    ids = [clip.pk for clip in clips]
    assert take() == ids[:2]
    assert take() == ids[2:]
    assert take() == []
    time_passes(claims.LEASE.total_seconds() - 1)
    assert take() == []
    time_passes(2)
    assert take() == ids[:1]  # alone, for a worker seems to have ended with it


def test_of_two_workers_who_want_the_same_clip_one_gets_all_its_blocks(clips):
    assert take([("mert-330m", "1"), ("clap-music", "1")], limit=1) == [clips[0].pk]
    assert take([("clap-music", "1"), ("mert-330m", "1")], limit=1) == [clips[1].pk]


def test_a_batch_is_bounded_by_its_seconds_of_audio_but_has_one_clip_at_least(clips):
    clips[1].duration_ms = 600_000
    clips[1].save()
    blocks = [("spectral", "1")]
    lengths = []
    while (batch := claims.claim(blocks, limit=32, max_seconds=320))[1]:
        lengths.append(len(batch[0]))
    assert lengths == [1, 1, 2]


def test_the_first_outcome_of_a_claim_stands(clips):
    take(limit=4)
    first, second = np.ones(3, "f4"), np.zeros(3, "f4")
    claims.settle("spectral", "1", {clips[0].pk: first, clips[1].pk: "cannot be"})
    claims.settle("spectral", "1", {clips[0].pk: second, clips[1].pk: second})
    rows = {row.clip_id: row for row in Embedding.objects.all()}
    np.testing.assert_array_equal(rows[clips[0].pk].array, first)
    assert (rows[clips[1].pk].vector, rows[clips[1].pk].error) == (None, "cannot be")


@pytest.mark.django_db(transaction=True)
def test_a_claim_does_not_run_out_while_its_worker_lives(tmp_path, monkeypatch, time_passes):
    make_clips(tmp_path, range(2))
    renew_often(monkeypatch, claims)
    renewals, taken = [], []

    def claimed_until():
        return Embedding.objects.earliest("claimed_until").claimed_until

    def somebody_else():
        renewals.append(lasts(claims.LEASE, claimed_until, time_passes))
        taken.extend(take())
        connection.close()

    def slow(self, batch, embed=SpectralEncoder.embed):
        other = threading.Thread(target=somebody_else)
        other.start()
        other.join()
        return embed(self, batch)

    monkeypatch.setattr(SpectralEncoder, "embed", slow)
    score_pending()
    assert (renewals, taken) == ([True], [])
    assert Embedding.objects.filter(vector__isnull=False).count() == 2


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_in_a_batch_loses_nothing_and_scores_nothing_twice(tmp_path, monkeypatch):
    make_clips(tmp_path, range(6))
    model = make_live(make_model("first"))
    stuck = "SpectralEncoder.embed = lambda *_: (print('computing', flush=True), time.sleep(600))\nscore_pending()"
    worker = start_worker(tmp_path, stuck)
    assert worker.stdout.readline() == "computing\n"
    assert score_pending() == 0  # all claimed
    worker.kill()
    worker.wait()
    assert Embedding.objects.filter(claimed_until__gt=timezone.now()).count() == 6
    assert Embedding.objects.filter(claimed_until__gt=timezone.now() + claims.LEASE).count() == 0
    Embedding.objects.update(claimed_until=timezone.now())  # a minute passes
    assert score_pending() == 6
    assert sorted(model.rewards.values_list("clip_id", flat=True)) == sorted(
        Embedding.objects.values_list("clip_id", flat=True)
    )
