"""The scorer: encoder blocks in order, then the head; a clip's reward does not depend on its neighbours."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from scoring.reward.encoders import UnknownEncoder, resample
from scoring.reward.encoders.spectral import SpectralEncoder
from scoring.reward.head import BadCheckpoint, RankNetHead, save_head
from scoring.reward.scorer import Scorer, encoder_metadata


def clip(seconds, rate, seed=0, channels=1):
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * (220 + 40 * seed) * t) * (1 + np.sin(2 * np.pi * 2 * t))
    x = (0.2 * tone + 0.01 * rng.normal(size=(channels, t.size))).astype(np.float32)
    return x[0] if channels == 1 else x


def head_for(width, seed=0):
    torch.manual_seed(seed)
    head = RankNetHead(width, (16, 8))
    for _ in range(3):
        head(torch.randn(64, width))
    return head


@pytest.fixture
def scorer():
    return Scorer(head_for(SpectralEncoder.dimension), [SpectralEncoder()])


def test_a_reward_does_not_depend_on_the_other_clips_of_the_batch(scorer):
    waveforms = [
        clip(1.0, 24_000, 0),
        clip(2.5, 44_100, 1, channels=2),
        clip(0.3, 48_000, 2),
        clip(1.5, 8_000, 3),
    ]
    rates, prompts = [24_000, 44_100, 48_000, 8_000], ["a", "b", "", "d"]
    together = scorer.score(waveforms, rates, prompts)
    alone = [scorer.score([w], [r], [p])[0] for w, r, p in zip(waveforms, rates, prompts, strict=True)]
    assert together.dtype == np.float32
    assert together.shape == (4,)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.ptp(together) > 1e-3


def test_score_is_embed_then_head(scorer):
    arguments = [clip(1.0, 24_000)], [24_000], [""]
    x = scorer.embed(*arguments)
    assert x.shape == (1, SpectralEncoder.dimension)
    np.testing.assert_array_equal(scorer.score_embeddings(x), scorer.score(*arguments))


def test_stereo_is_mixed_down_and_resampled(scorer):
    mono = clip(2.0, 48_000)
    arguments = (
        [np.stack([1.5 * mono, 0.5 * mono]), resample(mono, 48_000, 24_000)],
        [48_000, 24_000],
        ["", ""],
    )
    a, b = scorer.score(*arguments)
    assert a == pytest.approx(b, abs=1e-3)


def test_blocks_are_concatenated_in_the_order_given_each_from_what_it_embeds():
    audio = SimpleNamespace(
        key="length",
        kind="audio",
        sample_rate=100,
        dimension=1,
        embed=lambda xs: np.array([[len(x)] for x in xs], "f4"),
    )
    text = SimpleNamespace(
        key="text",
        kind="text",
        sample_rate=0,
        dimension=2,
        embed=lambda ps: np.array([[len(p), -1] for p in ps], "f4"),
    )
    scorer = Scorer(head_for(3), [text, audio])
    x = scorer.embed([np.zeros(50, "f4"), np.zeros((2, 400), "f4")], [100, 200], ["four", ""])
    np.testing.assert_array_equal(x, [[4, -1, 50], [0, -1, 200]])


def test_a_head_of_another_width_is_an_error_that_names_both():
    with pytest.raises(ValueError, match=r"takes 2048 features, but its encoders give 451 \(spectral 451\)"):
        Scorer(head_for(2048), [SpectralEncoder()])


def test_embeddings_that_do_not_fit_or_are_not_numbers_are_refused(scorer):
    with pytest.raises(ValueError, match=r"\[2, 7\]; the head takes \[B, 451\]"):
        scorer.score_embeddings(np.zeros((2, 7), "f4"))
    x = np.zeros((3, 451), "f4")
    x[1, 5] = np.nan
    with pytest.raises(ValueError, match="embedding 1 "):
        scorer.score_embeddings(x)


def test_lists_of_different_lengths_are_refused(scorer):
    with pytest.raises(ValueError, match="1 waveforms, 2 sample rates and 1 prompts"):
        scorer.score([clip(1, 24_000)], [24_000, 24_000], [""])


def test_an_empty_batch_has_no_rewards(scorer):
    assert scorer.score([], [], []).shape == (0,)


def test_a_saved_scorer_finds_its_encoders_again(tmp_path, scorer):
    save_head(scorer.head, tmp_path / "model.safetensors", encoder_metadata(scorer.encoders))
    arguments = [clip(1.0, 24_000)], [24_000], [""]
    np.testing.assert_array_equal(
        Scorer.load(tmp_path / "model.safetensors").score(*arguments), scorer.score(*arguments)
    )


def test_a_file_of_another_encoder_revision_or_of_no_encoder_is_refused(tmp_path, scorer):
    old = SimpleNamespace(key="spectral", revision="0", dimension=451)
    save_head(scorer.head, tmp_path / "old.safetensors", encoder_metadata([old]))
    with pytest.raises(UnknownEncoder, match="revision '1' here, but revision '0' is wanted"):
        Scorer.load(tmp_path / "old.safetensors")
    save_head(scorer.head, tmp_path / "bare.safetensors", {})
    with pytest.raises(BadCheckpoint, match=r"bare\.safetensors"):
        Scorer.load(tmp_path / "bare.safetensors")


def test_importing_the_package_or_its_metrics_loads_no_torch():
    modules = "scoring.reward, scoring.reward.metrics, scoring.reward.encoders"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
