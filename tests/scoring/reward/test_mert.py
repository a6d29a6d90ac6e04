"""mert-330m: transformers' own numbers, whichever way the weights are named; a network it is not is refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

from scoring.reward.checkpoints import BadCheckpoint
from scoring.reward.encoders.mert import Mert330m
from scoring.reward.encoders.mert_network import load
from tests.casts.tiny_networks import install_tiny_mert, write_mert
from tests.goldens.inputs import music

RATE = 24_000


def clips(*seconds):
    return [music(round(s * RATE), seed, RATE) for seed, s in enumerate(seconds)]


def encoder_of(folder):
    encoder = Mert330m()
    network = load(folder).eval().requires_grad_(False)
    encoder.network = lambda: network
    return encoder


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    write_mert(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(published):
    return encoder_of(published)


def test_it_declares_what_the_database_and_the_scorer_need(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path / "weights"))
    fingerprint = install_tiny_mert(tmp_path / "published").fingerprint
    encoder = Mert330m()
    assert (encoder.key, encoder.revision, encoder.kind) == ("mert-330m", f"1-{fingerprint}", "audio")
    assert (encoder.dimension, encoder.sample_rate, encoder.licence) == (1024, RATE, "CC-BY-NC-4.0")


@pytest.mark.parametrize("layer_norm", [True, False])
@pytest.mark.parametrize("do_normalize", [True, False])
def test_a_clip_has_the_embedding_that_transformers_gives_it_alone(tmp_path, layer_norm, do_normalize):
    """The reference: AutoModel and Wav2Vec2FeatureExtractor, one clip at a time, with their mask of ones."""
    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=1024,
        num_attention_heads=16,
        num_hidden_layers=2,
        intermediate_size=64,
        conv_dim=[16] * 7,
        num_conv_pos_embeddings=16,
        feat_extract_norm="layer" if layer_norm else "group",
        do_stable_layer_norm=layer_norm,
        conv_bias=layer_norm,
    )
    HubertModel(config).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=do_normalize, return_attention_mask=True).save_pretrained(
        tmp_path
    )
    model = AutoModel.from_pretrained(tmp_path).eval()
    extract = Wav2Vec2FeatureExtractor.from_pretrained(tmp_path)
    batch = clips(1.0, 2.5, 1.0, 0.3)
    reference = []
    for clip in batch:
        inputs = extract(clip, sampling_rate=RATE, return_tensors="pt")
        assert inputs["attention_mask"].all()
        with torch.no_grad():
            reference.append(model(**inputs).last_hidden_state.mean(dim=1)[0].numpy())
    assert np.abs(reference[0] - reference[2]).max() > 1e-3
    np.testing.assert_allclose(encoder_of(tmp_path).embed(batch), reference, atol=1e-5)


def test_old_and_new_names_of_the_weight_norm_are_the_same_weights(published, encoder, tmp_path):
    """torch renamed them after MERT was published; under some versions they were silently drawn at random."""
    write_mert(tmp_path)
    state = torch.load(tmp_path / "pytorch_model.bin")
    conv = "encoder.pos_conv_embed.conv."
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        state[f"{conv}parametrizations.weight.{new}"] = state.pop(conv + old)
    torch.save(state, tmp_path / "pytorch_model.bin")
    np.testing.assert_array_equal(encoder_of(tmp_path).embed(clips(1)), encoder.embed(clips(1)))
    g, v = (
        torch.load(published / "pytorch_model.bin")[conv + "weight_g"],
        state[f"{conv}parametrizations.weight.original1"],
    )
    weight = encoder.network().model.encoder.pos_conv_embed.conv.weight
    torch.testing.assert_close(weight, g * v / v.norm(dim=(0, 1), keepdim=True))


def test_an_embedding_does_not_depend_on_the_rest_of_the_batch(encoder):
    batch = clips(1.0, 0.4, 1.0, 2.2, 1.0)
    np.testing.assert_allclose(encoder.embed(batch), [encoder.embed([clip])[0] for clip in batch], atol=1e-5)


def test_a_clip_of_up_to_a_minute_is_heard_whole_and_a_longer_one_in_windows(published):
    encoder = encoder_of(published)
    assert encoder.window_s == 60.0
    encoder.window_s = 2.0
    x = clips(5)[0]
    parts = [x[start : start + 2 * RATE] for start in (0, round(1.5 * RATE), 3 * RATE)]
    np.testing.assert_allclose(encoder.embed([x])[0], encoder.embed(parts).mean(axis=0), atol=1e-5)


def test_a_clip_shorter_than_one_frame_is_refused_and_one_of_a_frame_is_not(encoder):
    assert np.isfinite(encoder.embed([clips(1)[0][:400]])).all()
    with pytest.raises(ValueError, match="waveform 1 of the batch: has 399 samples; mert-330m hears nothing shorter"):
        encoder.embed([*clips(1), clips(1)[0][:399]])


def test_a_tensor_goes_through_to_the_same_embedding_with_a_gradient(encoder):
    x = np.stack(clips(1.0, 1.0))
    waveform = torch.from_numpy(x).requires_grad_()
    embedding = encoder.forward(waveform)
    np.testing.assert_allclose(embedding.detach(), encoder.embed(x), atol=1e-5)
    embedding[0, 0].backward()
    assert waveform.grad[0].abs().max() > 0
    assert not waveform.grad[1].any()


# --- files that do not fit ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changed", "says"),
    [
        ("config.json", {"feature_extractor_cqt": True}, "feature_extractor_cqt is True; mert-330m is covered where"),
        ("config.json", {"deepnorm": True}, "deepnorm is True"),
        ("config.json", {"hidden_size": 768}, "hidden_size is 768; mert-330m is covered where it is 1024"),
        ("config.json", {"model_type": "wav2vec2"}, "model_type is 'wav2vec2'"),
        ("config.json", {"sample_rate": 16_000}, "sample_rate is 16000"),
        ("config.json", {"num_attention_heads": 7}, "not a config of any HubertModel .*divisible"),
        ("config.json", {"conv_stride": [5, 2]}, "not a config of any HubertModel"),
        ("preprocessor_config.json", {"sampling_rate": 16_000}, ".* sampling_rate 16000,"),
        ("preprocessor_config.json", {"do_normalize": None}, ".* do_normalize None;"),
    ],
)
def test_a_config_that_is_not_covered_is_refused_with_the_reason(tmp_path, name, changed, says):
    write_mert(tmp_path)
    path = tmp_path / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(BadCheckpoint, match=rf"{name}: {says}"):
        load(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", None])
def test_a_config_that_cannot_be_read_is_named(tmp_path, content):
    write_mert(tmp_path)
    (tmp_path / "config.json").unlink()
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(BadCheckpoint, match=r"config\.json: (not a readable JSON file|holds a list)"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda state: state.pop("encoder.pos_conv_embed.conv.weight_g"),
            r"missing tensor encoder\.pos_conv_embed\.conv\.parametrizations\.weight\.original0",
        ),
        (
            lambda state: state.pop("encoder.layers.1.attention.k_proj.bias"),
            r"missing tensor encoder\.layers\.1\.attention\.k_proj\.bias",
        ),
        (
            lambda state: state.update({"feature_projection.cqt.weight": torch.zeros(3)}),
            r"extra tensor feature_projection\.cqt\.weight",
        ),
        (
            lambda state: state.update({"encoder.layer_norm.weight": torch.zeros(768)}),
            r"tensor encoder\.layer_norm\.weight has shape \[768\], expected \[1024\]",
        ),
        (
            lambda state: state["encoder.layer_norm.bias"].fill_(torch.inf),
            r"tensor encoder\.layer_norm\.bias holds NaN",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_names_the_file_and_the_tensor(tmp_path, change, says):
    write_mert(tmp_path)
    state = torch.load(tmp_path / "pytorch_model.bin")
    change(state)
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(BadCheckpoint, match=rf"pytorch_model\.bin: {says}"):
        load(tmp_path)


def test_what_only_training_reads_changes_nothing(encoder, tmp_path):
    write_mert(tmp_path)
    state = torch.load(tmp_path / "pytorch_model.bin")
    state |= {"label_embs_concat": torch.ones(504, 256), "final_proj.weight": torch.ones(256, 1024)}
    state["masked_spec_embed"] = torch.zeros(1024)
    torch.save(state, tmp_path / "pytorch_model.bin")
    np.testing.assert_array_equal(encoder_of(tmp_path).embed(clips(1)), encoder.embed(clips(1)))


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("it_ran",)


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_mert(tmp_path)
    torch.save({"encoder.layer_norm.bias": Hostile()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(BadCheckpoint, match=r"pytorch_model\.bin: refused.*code in a checkpoint is never run .*mkdir"):
        load(tmp_path)
    assert not Path("it_ran").exists()
