"""The live model is changed again and again while several workers score and clips keep coming."""

import threading
import time

import numpy as np
import pytest
from django.db import connection
from django.db.models import Count

from arena import audio
from arena.models import Clip
from scoring.jury import scorers
from scoring.models import Embedding, Reward, RewardModel
from tests.casts.jury import make_clips, start_worker
from tests.casts.reward_models import make_live, make_model

pytestmark = pytest.mark.processes
WORKERS, SWAPS, ARRIVING = 2, 9, 40
WORK = "print('working', flush=True)\nwhile True:\n    score_pending(2)\n    time.sleep(0.05)\n"


@pytest.fixture
def workers(transactional_db, tmp_path, settings):
    """Processes that score as the gpu worker does, as often as they can, and this one, which a test lets score too."""
    processes = [start_worker(tmp_path, WORK) for _ in range(WORKERS)]
    for process in processes:
        assert process.stdout.readline() == "working\n"
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def wait_until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def rewards():
    rows = Reward.objects.values_list("clip_id", "reward_model", "value")
    return {(clip, model): value for clip, model, value in rows}


def test_a_hot_swap_under_load_loses_and_duplicates_no_reward(tmp_path, workers):
    first, second = models = [make_model(name, seed) for seed, name in enumerate(("first", "second"))]
    for model in models:
        make_live(model)
    make_clips(tmp_path, range(10))
    arriving = threading.Thread(target=arrive, args=(tmp_path,))
    arriving.start()
    seen = {}
    for swap in range(SWAPS):
        live, before = models[swap % 2], models[swap % 2].rewards.count()
        make_live(live)
        if swap == SWAPS - 1:
            arriving.join()
        wait_until(lambda: live.rewards.count() > before or all_scored(live))  # noqa: B023
        now = rewards()
        assert {key: now[key] for key in seen} == seen  # what was there has stayed as it was
        seen = now
    wait_until(lambda: all_scored(live))

    assert RewardModel.live() == live
    assert Clip.objects.filter(status="ready").count() == 10 + ARRIVING
    assert live.rewards.count() == 10 + ARRIVING
    assert not Reward.objects.values("clip", "reward_model").annotate(n=Count("pk")).filter(n__gt=1).exists()
    assert Embedding.objects.filter(vector__isnull=False).count() == Embedding.objects.count() == 10 + ARRIVING
    assert {first.pk, second.pk} == {model for _, model in rewards()}
    for model in models:
        scored = list(model.rewards.select_related("clip__prompt"))
        heard = [audio.decode_once(reward.clip.original.path) for reward in scored]
        expected = scorers.load_scorer(model.pk).score(
            [samples for samples, _ in heard], [rate for _, rate in heard], [r.clip.prompt.text for r in scored]
        )
        np.testing.assert_allclose([reward.value for reward in scored], expected, atol=1e-4)


def all_scored(model):
    return model.rewards.count() == Clip.objects.filter(status="ready").count()


def arrive(folder):
    for number in range(10, 10 + ARRIVING):
        make_clips(folder, [number])
        time.sleep(0.05)
    connection.close()


def test_workers_notice_a_new_model_without_a_restart_and_need_no_audio_for_it(tmp_path, workers):
    clips = make_clips(tmp_path, range(6))
    first, second = make_model("first"), make_model("second", 1)
    make_live(first)
    wait_until(lambda: all_scored(first))
    for clip in clips:
        clip.original.storage.delete(clip.original.name)
    make_live(second)
    wait_until(lambda: all_scored(second))
    assert first.rewards.count() == 6
    assert all(worker.poll() is None for worker in workers)
