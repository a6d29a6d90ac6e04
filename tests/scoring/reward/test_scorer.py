"""The scorer: encoder blocks in order, then the head; a clip's reward does not depend on its neighbours."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from scoring.reward.checkpoints import BadCheckpoint
from scoring.reward.encoders import get_encoder, resample
from scoring.reward.encoders.spectral import SpectralEncoder
from scoring.reward.head import RankNetHead, save_head
from scoring.reward.scorer import PROBE_RATE, Scorer, encoder_metadata, probe
from tests.casts import tiny_networks

THREE_BLOCKS = ("clap-music", "mert-330m", "clap-music-text")


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


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Tiny networks of the published classes, installed for the tests of this module."""
    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIGHTS_DIR", str(folder / "weights"))
        tiny_networks.install_all(folder / "published")
        yield [get_encoder(key) for key in THREE_BLOCKS]


@pytest.fixture
def three_blocks(networks):
    return Scorer(head_for(sum(encoder.dimension for encoder in networks)), networks)


@pytest.mark.slow
def test_three_blocks_of_networks_give_a_clip_the_same_reward_in_any_batch(three_blocks):
    waveforms = [
        clip(1.0, 48_000, 0), clip(12.5, 44_100, 1, channels=2), clip(0.5, 24_000, 2), clip(3.0, 32_000, 3),
        clip(1.0, 48_000, 4), clip(12.5, 16_000, 5),
    ]  # fmt: skip
    rates = [48_000, 44_100, 24_000, 32_000, 48_000, 16_000]
    prompts = ["calm piano", "", "a very long prompt " * 40, "calm piano", "rock", " "]
    together = three_blocks.score(waveforms, rates, prompts)
    alone = [three_blocks.score([w], [r], [p])[0] for w, r, p in zip(waveforms, rates, prompts, strict=True)]
    backwards = three_blocks.score(waveforms[::-1], rates[::-1], prompts[::-1])[::-1]
    np.testing.assert_allclose(together, alone, atol=1e-4)
    np.testing.assert_allclose(backwards, alone, atol=1e-4)
    assert np.ptp(together) > 1e-2


@pytest.mark.slow
def test_autocast_is_taken_if_it_moves_the_reward_little_and_not_if_it_moves_it_more(three_blocks, networks, caplog):
    caplog.set_level("INFO")
    moved = three_blocks.decide_autocast("bfloat16", tolerance=10.0)
    assert 0 < moved < 10
    assert three_blocks.autocast == "bfloat16"
    assert three_blocks.decide_autocast("bfloat16", tolerance=moved / 2) == moved
    assert three_blocks.autocast is None
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "networks compute in bfloat16", "networks compute in float32",
    ]  # fmt: skip
    assert {encoder.autocast for encoder in networks if encoder.kind == "audio"} == {None}  # outside of the scorer


def test_a_scorer_computes_as_it_has_decided_whatever_another_of_the_same_encoders_has(three_blocks, networks):
    other = Scorer(three_blocks.head, networks)
    arguments = probe()[:1], [PROBE_RATE], ["calm piano"]
    exact = three_blocks.score(*arguments)
    other.autocast = "bfloat16"
    assert other.score(*arguments) != exact
    np.testing.assert_array_equal(three_blocks.score(*arguments), exact)


def test_on_a_cpu_nothing_is_cast(three_blocks):
    three_blocks.score([clip(1.0, 48_000)], [48_000], ["calm piano"])
    assert three_blocks.autocast is None or three_blocks.device.type == "cuda"


def test_a_waveform_that_is_none_is_named_by_its_place(scorer):
    with pytest.raises(ValueError, match="waveform 1 of the batch"):
        scorer.score([clip(1.0, 24_000), np.zeros((9, 3, 2), "f4")], [24_000, 24_000], ["", ""])
    with pytest.raises(ValueError, match="waveform 1 of the batch"):
        scorer.score([clip(1.0, 24_000), np.full(24_000, np.nan, "f4")], [24_000, 24_000], ["", ""])


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


def test_a_file_of_another_encoder_revision_width_or_of_no_encoder_is_refused_by_name(tmp_path, scorer):
    old = SimpleNamespace(key="spectral", revision="0", dimension=451)
    save_head(scorer.head, tmp_path / "old.safetensors", encoder_metadata([old]))
    with pytest.raises(BadCheckpoint, match=r"old\.safetensors: .*revision '1' here, but revision '0' is wanted"):
        Scorer.load(tmp_path / "old.safetensors")
    save_head(head_for(7), tmp_path / "narrow.safetensors", encoder_metadata(scorer.encoders))
    with pytest.raises(BadCheckpoint, match=r"narrow\.safetensors: the head takes 7 features, but .*spectral 451"):
        Scorer.load(tmp_path / "narrow.safetensors")
    save_head(scorer.head, tmp_path / "bare.safetensors", {})
    with pytest.raises(BadCheckpoint, match=r"bare\.safetensors"):
        Scorer.load(tmp_path / "bare.safetensors")


def test_importing_the_package_or_its_metrics_loads_no_torch():
    modules = "scoring.reward, scoring.metrics.preference, scoring.reward.encoders"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_the_encoders_does_not_load_what_they_resample_with():
    code = "import sys, scoring.reward.encoders; sys.exit('scipy.signal' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
