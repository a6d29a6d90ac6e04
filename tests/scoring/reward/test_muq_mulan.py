"""muq-mulan: the package's own numbers, where the package is; where it is not, what to do, and no clip claimed."""

import json
import shutil
import sys

import numpy as np
import pytest
from django.core.management import call_command

from scoring.models import RewardModel
from scoring.reward import weights as weights_module
from scoring.reward.checkpoints import BadCheckpoint
from scoring.reward.encoders import get_encoder, muq_mulan
from scoring.reward.encoders.muq_mulan import PackageMissing
from scoring.reward.head import RankNetHead
from scoring.reward.scorer import Scorer
from tests.casts.tiny_muq import TEXTS, install_tiny_muq, sound, waveforms
from tests.casts.tiny_networks import GOLDENS

KEYS = ("muq-mulan", "muq-mulan-text")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    pytest.importorskip("muq", reason="muq is not installed: see requirements-muq.txt")
    folder = tmp_path_factory.mktemp("muq")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIGHTS_DIR", str(folder / "weights"))
        install_tiny_muq(folder / "published")
        yield folder


@pytest.fixture(scope="module")
def golden():
    return json.loads((GOLDENS / "muq.json").read_text("utf-8"))


# ---- without the package ----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_what_it_declares_needs_no_package(key):
    encoder = get_encoder(key)
    assert (encoder.dimension, encoder.licence, encoder.weights) == (512, "CC-BY-NC-4.0", "muq-mulan")
    assert encoder.sample_rate == (24_000 if encoder.kind == "audio" else 0)
    assert not encoder.differentiable


@pytest.mark.parametrize("key", KEYS)
def test_without_the_package_its_revision_says_what_to_install(monkeypatch, key):
    monkeypatch.setattr(muq_mulan, "find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match=r"not installed here: .* `pip install -r requirements-muq\.txt` .* gpu"):
        get_encoder(key, "1-00000000")


def test_with_the_package_missing_weights_say_how_to_fetch_them(monkeypatch, tmp_path):
    monkeypatch.setattr(muq_mulan, "find_spec", lambda name: object())
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path))
    with pytest.raises(weights_module.WeightsMissing, match="fetch_weights muq-mulan"):
        get_encoder("muq-mulan", "1-00000000")


def test_a_package_that_does_not_load_says_why(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "scoring.reward.encoders.muq_network", raising=False)
    monkeypatch.setitem(sys.modules, "muq", None)
    with pytest.raises(PackageMissing, match=r"does not load here \(.*muq.*\): .*requirements-muq\.txt"):
        get_encoder("muq-mulan").load(tmp_path)


# ---- with it ----------------------------------------------------------------------------------------------


def test_clips_of_any_length_embed_as_the_package_embeds_them(tiny, golden):
    clips = waveforms()
    rows = get_encoder("muq-mulan").embed(list(clips.values()))
    expected = np.array([golden["audio"][name] for name in clips])
    assert np.ptp(expected, axis=0).max() > 0.01  # the tiny network tells them apart
    np.testing.assert_allclose(rows, expected, atol=1e-5)


def test_a_clip_embeds_alike_alone_and_in_a_batch(tiny):
    encoder = get_encoder("muq-mulan")
    clips = [sound(seconds, i) for i, seconds in enumerate((0.025, 1, 5.4, 10, 10.4))]
    together = encoder.embed(clips)
    for i in range(len(clips)):
        np.testing.assert_allclose(encoder.embed(clips[i : i + 1])[0], together[i], atol=1e-5)


def test_prompts_embed_as_the_package_embeds_them_one_by_one(tiny, golden):
    rows = get_encoder("muq-mulan-text").embed(TEXTS)
    np.testing.assert_allclose(rows, [golden["text"][text] for text in TEXTS], atol=1e-5)


def test_an_empty_prompt_is_zeros_and_a_long_one_is_cut(tiny):
    rows = get_encoder("muq-mulan-text").embed(["", " \n", "calm " * 2000, "calm " * 3000])
    assert not rows[:2].any()
    np.testing.assert_array_equal(rows[2], rows[3])
    assert np.linalg.norm(rows[2]) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ValueError, match="prompt 1 of the batch is a NoneType"):
        get_encoder("muq-mulan-text").embed(["calm", None])


@pytest.mark.parametrize(
    ("clip", "says"),
    [
        (np.zeros(512, np.float32), "has 512 samples; muq-mulan hears nothing shorter than 513"),
        (np.zeros(0, np.float32), "expected"),
        (np.full(24_000, np.nan, np.float32), "NaN"),
    ],
)
def test_a_clip_it_cannot_embed_is_named(tiny, clip, says):
    with pytest.raises(ValueError, match=rf"waveform 1 of the batch: .*{says}"):
        get_encoder("muq-mulan").embed([sound(1, 1), clip])


def test_both_towers_are_one_network_of_one_revision(tiny):
    audio, text = map(get_encoder, KEYS)
    assert audio.network() is text.network()
    assert audio.revision == text.revision == f"1-{weights_module.installed('muq-mulan').fingerprint}"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda state: state.pop("mulan.audio_to_latents.weight"), r"missing tensor mulan\.audio_to_latents\.weight"),
        (
            lambda state: state.pop("mulan.audio.model.model.conformer.pos_conv_embed.conv.weight_g"),
            r"missing tensor mulan\.audio\.model\.model\.conformer\.pos_conv_embed",
        ),
        (
            lambda state: state.update({"mulan.audio.more": state["mulan.audio_to_latents.bias"]}),
            r"extra tensor mulan\.audio\.more",
        ),
        (
            lambda state: state.update({"mulan.text_to_latents.bias": state["mulan.audio_to_latents.bias"][:9]}),
            r"mulan\.text_to_latents\.bias has shape \[9\], expected \[512\]",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(tiny, tmp_path, spoil, says):
    import torch

    folder = copied(tiny, tmp_path)
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    spoil(state)
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(BadCheckpoint, match=rf"pytorch_model\.bin: .*{says}"):
        get_encoder("muq-mulan").load(folder)


def test_what_only_the_training_read_may_be_left_out(tiny, tmp_path):
    import torch

    folder = copied(tiny, tmp_path)
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    of_training = [name for name in state if ".quantizer" in name or "contrast" in name or "inv_freq" in name]
    assert len(of_training) >= 3
    for name in of_training:
        del state[name]
    torch.save(state, folder / "pytorch_model.bin")
    clip = sound(1, 1)
    rows = get_encoder("muq-mulan").load(folder).eval()(torch.from_numpy(clip).repeat(2)[None])
    np.testing.assert_allclose(rows[0].detach().numpy(), get_encoder("muq-mulan").embed([clip])[0], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mulan": {"sr": 16_000, "clip_secs": 10, "dim_latent": 512}}, r"mulan\.sr is 16000; covered is 24000"),
        ({"audio_model": {"name": "m-a-p/MERT-v1-330M"}}, "audio_model.name is 'm-a-p/MERT-v1-330M'; covered is a muq"),
        ({"text_transformer": None}, "has no text_transformer"),
    ],
)
def test_a_config_it_does_not_cover_is_refused_with_the_reason(tiny, tmp_path, change, says):
    folder = copied(tiny, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(BadCheckpoint, match=rf"config\.json: {says}"):
        get_encoder("muq-mulan").load(folder)


@pytest.mark.django_db
def test_the_published_muq_head_is_imported_over_both_towers(tiny, tmp_path):
    import torch

    head = RankNetHead(1024, (8,)).eval()
    torch.save(head.state_dict(), tmp_path / "tunejury_muq_leave_MA.pt")
    call_command("import_model", tmp_path / "tunejury_muq_leave_MA.pt", encoders="muq-mulan")
    model = RewardModel.objects.get()
    assert [block["key"] for block in model.encoders] == list(KEYS)
    clip = sound(2, 1)
    row = np.concatenate([get_encoder(KEYS[0]).embed([clip]), get_encoder(KEYS[1]).embed(["calm"])], axis=1)
    expected = head(torch.from_numpy(row)).item()
    assert Scorer.load(model.weights.path).score([clip], [24_000], ["calm"])[0] == pytest.approx(expected, abs=1e-5)


def copied(tiny, tmp_path):

    return shutil.copytree(tiny / "published", tmp_path / "copy")
