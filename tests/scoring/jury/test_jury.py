"""What the gpu worker embeds and rewards, and under which models."""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from django.core.files.storage import default_storage

from arena import audio
from scoring.jury import rewarding, scorers
from scoring.jury.rewards import store_rewards
from scoring.jury.worker import score_pending
from scoring.models import Embedding, Reward, RewardModel
from scoring.registry import live as registry
from scoring.reward import weights
from scoring.reward.encoders.spectral import SpectralEncoder
from scoring.reward.head import RankNetHead, save_head
from scoring.reward.scorer import encoder_metadata
from tests.casts.jury import THREE_BLOCKS, failed, make_clip, music, scored_alone, written
from tests.casts.reward_models import make_live, make_model

# ---- embed and reward ----


def test_every_clip_gets_one_reward_under_the_live_model(model, clips):
    assert score_pending() == 4
    assert score_pending() == 0
    assert Embedding.objects.count() == 4
    for clip in clips:
        assert clip.rewards.get(reward_model=model).value == pytest.approx(scored_alone(model, clip), abs=1e-4)


def test_three_networks_share_one_decode_and_give_what_the_scorer_gives(networks, clips, monkeypatch):
    model = make_live(make_model("three blocks", encoder_keys=THREE_BLOCKS))
    decoded = []
    monkeypatch.setattr(audio, "decode_once", lambda path, f=audio.decode_once: decoded.append(path) or f(path))
    assert score_pending() == 4
    assert len(decoded) == 4
    assert Embedding.objects.count() == 12
    for clip in clips:
        assert clip.rewards.get(reward_model=model).value == pytest.approx(scored_alone(model, clip), abs=1e-4)


def test_a_new_live_model_rewards_again_without_audio_and_old_rewards_stay(model, clips):
    score_pending()
    before = list(Reward.objects.order_by("pk").values_list("pk", "value"))
    second = make_live(make_model("second", seed=1))
    for clip in clips:
        default_storage.delete(clip.original.name)
    assert score_pending() == 4
    assert list(model.rewards.order_by("pk").values_list("pk", "value")) == before
    assert second.rewards.count() == Embedding.objects.count() == 4


def test_only_the_default_encoder_runs_while_no_model_is_live(clips):
    assert score_pending() == 0
    assert list(Embedding.objects.values_list("encoder", flat=True)) == ["spectral"] * 4


def test_a_model_of_one_more_encoder_needs_only_that_one(networks, model):
    score_pending()
    made = dict(Embedding.objects.values_list("pk", "created_at"))
    make_live(make_model("two blocks", encoder_keys=("spectral", "mert-330m")))
    assert score_pending() == 4
    assert dict(Embedding.objects.filter(encoder="spectral").values_list("pk", "created_at")) == made


def test_a_sweep_goes_on_with_the_model_that_went_live_meanwhile(model, monkeypatch):
    second = make_model("second", seed=1)
    embed = SpectralEncoder.embed

    def and_activate(self, batch):
        make_live(second)
        return embed(self, batch)

    monkeypatch.setattr(SpectralEncoder, "embed", and_activate)
    assert score_pending() == 4
    assert (model.rewards.count(), second.rewards.count()) == (0, 4)


def test_rescoring_stops_between_chunks_when_another_model_goes_live(model, monkeypatch):
    score_pending()
    second, third = make_model("second", seed=1), make_model("third", seed=2)
    make_live(second)
    monkeypatch.setattr(rewarding, "CHUNK", 2)
    scorer = scorers.load_scorer(second.pk)
    score = scorer.score_embeddings
    monkeypatch.setattr(scorer, "score_embeddings", lambda x: make_live(third) and score(x))
    assert rewarding.reward_embedded(second, scorer, pytest.fail) == 2
    assert score_pending() == 4
    assert (second.rewards.count(), third.rewards.count()) == (2, 4)


def test_rewards_come_in_chunks_without_a_gap(model, monkeypatch):
    monkeypatch.setattr(rewarding, "CHUNK", 3)
    assert score_pending() == 4
    make_live(make_model("second", seed=1))
    assert score_pending() == 4


def test_a_clip_keeps_the_reward_it_has(model, clips):
    assert store_rewards(model, {clips[0].pk: 1.0}) == 1
    assert store_rewards(model, {clips[0].pk: 2.0, clips[1].pk: 3.0}) == 1
    assert dict(Reward.objects.values_list("clip_id", "value")) == {clips[0].pk: 1.0, clips[1].pk: 3.0}


# ---- encoders and models that do not fit ----


def test_an_embedding_of_another_revision_is_never_read(model, clips):
    Embedding.objects.bulk_create(
        Embedding(clip=clip, encoder="spectral", revision="0", vector=np.ones(451, "<f4").tobytes()) for clip in clips
    )
    assert score_pending() == 4
    assert Embedding.objects.filter(revision="1", vector__isnull=False).count() == 4
    for clip in clips:
        assert clip.rewards.get().value == pytest.approx(scored_alone(model, clip), abs=1e-4)


def test_a_model_of_another_revision_is_named_once_and_the_worker_lives(model, tmp_path, caplog):
    score_pending()
    other = make_model("other")
    RewardModel.objects.filter(pk=other.pk).update(encoders=[{"key": "spectral", "revision": "0", "dimension": 451}])
    other.refresh_from_db()
    saved_for_revision(other, "0")
    registry.activate(other, "ada", force=True)
    for _ in range(3):
        assert score_pending() == 0
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 2  # it cannot score, and its clips are not embedded
    assert all("revision '1' here, but revision '0' is wanted" in text and "other" in text for text in said)
    assert not other.rewards.exists()
    make_live(model)
    make_clip(written(tmp_path / "new.wav", music(8)))
    assert score_pending() == 1


def saved_for_revision(model, revision):
    block = SimpleNamespace(key="spectral", revision=revision, dimension=451)
    save_head(RankNetHead(451, (8,)), model.weights.path, encoder_metadata([block]))


def test_a_model_whose_file_is_damaged_is_named_and_clips_are_still_embedded(model, caplog):
    Path(model.weights.path).write_bytes(b"not a head")
    scorers.load_scorer.cache_clear()
    assert score_pending() == 0
    assert Embedding.objects.filter(vector__isnull=False).count() == 4
    assert [r.getMessage() for r in caplog.records if "first cannot score here" in r.getMessage()]


def test_weights_that_are_missing_are_asked_for_once_and_other_encoders_go_on(networks, clips, caplog, monkeypatch):
    model = make_live(make_model("two blocks", encoder_keys=("spectral", "mert-330m")))
    here = weights.folder()
    monkeypatch.setenv("WEIGHTS_DIR", str(here.parent / "nothing"))
    for _ in range(3):
        assert score_pending() == 0
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 2
    assert all("run `manage.py fetch_weights mert-330m`" in text for text in said)
    assert Embedding.objects.filter(encoder="spectral", vector__isnull=False).count() == 4
    assert not failed()
    monkeypatch.setenv("WEIGHTS_DIR", str(here))  # somebody fetches them: no restart
    assert score_pending() == 4
    assert model.rewards.count() == 4
