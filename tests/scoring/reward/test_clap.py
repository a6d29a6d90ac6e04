"""clap-music: laion_clap's own numbers, whatever the batch; a checkpoint that does not fit is refused by name."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import ClapConfig

from scoring.reward.checkpoints import BadCheckpoint, account_for
from scoring.reward.encoders import clap_network, get_encoder
from scoring.reward.encoders.clap_network import Clap, is_unused, load, published_name, quantised, repeat_pad
from tests.casts.tiny_networks import CLAP_FILE, GOLDENS, clap_shapes, install_tiny_clap, write_clap
from tests.goldens.inputs import TEXTS, music, waveforms

RATE = 48_000


@pytest.fixture(scope="module", autouse=True)
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clap")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIGHTS_DIR", str(folder / "weights"))
        install_tiny_clap(folder / "published")
        yield folder


@pytest.fixture(scope="module")
def golden():
    return json.loads((GOLDENS / "clap.json").read_text())


@pytest.fixture
def audio():
    return get_encoder("clap-music")


@pytest.fixture
def text():
    return get_encoder("clap-music-text")


# --- laion_clap's numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", waveforms())
def test_a_clip_of_up_to_ten_seconds_has_the_embedding_that_laion_clap_gives_it(audio, golden, name):
    np.testing.assert_allclose(audio.embed([waveforms()[name]])[0], golden["audio"][name], atol=1e-5)


def test_the_goldens_tell_clips_and_prompts_apart(golden):
    for rows in golden.values():
        similar = np.corrcoef(list(rows.values()))[np.triu_indices(len(rows), 1)]
        assert similar.max() < 0.98


def test_a_prompt_has_the_embedding_that_laion_clap_gives_it(text, golden):
    x = text.embed(TEXTS)
    assert (x.shape, x.dtype) == ((len(TEXTS), 512), np.float32)
    np.testing.assert_allclose(x, list(golden["text"].values()), atol=1e-5)


def test_every_tensor_of_the_published_network_has_its_place():
    """The names and shapes are those of laion_clap's HTSAT-base with roberta-base; without config.json ours is that."""
    config = ClapConfig.from_dict(clap_network.PUBLISHED)
    assert config.text_config.layer_norm_eps == 1e-5  # roberta-base's; ClapConfig's own default is 1e-12
    with torch.device("meta"):
        wanted = Clap(config, None).state_dict()
        published = {name: torch.empty(shape) for name, shape in clap_shapes("published").items()}
    tables = ("model.text_model.embeddings.position_ids", "model.text_model.embeddings.token_type_ids")
    wanted = {name: tensor for name, tensor in wanted.items() if name not in tables}
    found = account_for(Path("published.pt"), wanted, published, published_name, is_unused)
    assert found.keys() == wanted.keys()
    assert all(found[name].shape == wanted[name].shape for name in wanted)


def test_query_key_and_value_are_not_mistaken_for_each_other(tmp_path):
    write_clap(tmp_path)
    published = torch.load(tmp_path / CLAP_FILE, weights_only=False)["state_dict"]
    of_us = load(tmp_path).model.audio_model.audio_encoder.layers[0].blocks[1].attention.self
    fused = published["module.audio_branch.layers.0.blocks.1.attn.qkv.weight"]
    torch.testing.assert_close(torch.cat([of_us.query.weight, of_us.key.weight, of_us.value.weight]), fused)


# --- windows ------------------------------------------------------------------------------------------------


def test_a_longer_clip_is_the_mean_of_evenly_spaced_windows(audio):
    x = music(25 * RATE, 7)
    parts = [x[int(start * RATE) : int((start + 10) * RATE)] for start in (0, 7.5, 15)]
    np.testing.assert_allclose(audio.embed([x])[0], audio.embed(parts).mean(axis=0), atol=1e-6)


def test_one_sample_over_ten_seconds_is_two_windows(audio):
    x = music(10 * RATE + 1, 8)
    np.testing.assert_allclose(audio.embed([x])[0], audio.embed([x[:-1], x[1:]]).mean(axis=0), atol=1e-6)


def test_a_short_clip_is_repeated_whole_and_the_rest_is_zeros():
    padded = repeat_pad(torch.tensor([[1.0, 2.0, 3.0]]), 11)
    assert padded.tolist() == [[1, 2, 3, 1, 2, 3, 1, 2, 3, 0, 0]]
    assert repeat_pad(torch.tensor([5.0]), 3).tolist() == [5, 5, 5]


def test_samples_pass_through_sixteen_bits_cut_off_towards_zero():
    x = torch.tensor([0.99999, -0.99999, 1.7, -1.7, 0.9 / 32767, -0.9 / 32767, 1.2 / 32767])
    steps = (quantised(x) * 32767).round(decimals=3)
    assert steps.tolist() == [32766, -32766, 32767, -32767, 0, 0, 1]


def test_for_a_gradient_the_rounding_is_not_there_but_the_clipping_is():
    x = torch.tensor([0.5, -0.3, 1.7, -1.7], requires_grad=True)
    quantised(x).sum().backward()
    assert x.grad.tolist() == [1, 1, 0, 0]


# --- batches ------------------------------------------------------------------------------------------------


def test_an_embedding_does_not_depend_on_the_rest_of_the_batch(audio, text):
    clips = [music(n, seed) for seed, n in enumerate([3 * RATE, 12 * RATE, 10 * RATE, 1234])]
    np.testing.assert_allclose(audio.embed(clips), [audio.embed([c])[0] for c in clips], atol=1e-5)
    fresh = [f"{prompt} again" for prompt in TEXTS]
    together = text.embed(fresh)
    text.network()._texts.clear()
    np.testing.assert_allclose(together, [text.embed([prompt])[0] for prompt in fresh], atol=1e-5)


def test_a_tensor_goes_through_to_the_same_embedding_with_a_gradient(audio):
    x = np.stack([music(3 * RATE, 1), music(3 * RATE, 2)])
    waveform = torch.from_numpy(x).requires_grad_()
    embedding = audio.forward(waveform)
    np.testing.assert_allclose(embedding.detach(), audio.embed(x), atol=1e-5)
    embedding[0, 0].backward()
    assert waveform.grad[0].abs().max() > 0
    assert not waveform.grad[1].any()


# --- prompts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", ["", "  \n\t"])
def test_an_empty_prompt_is_zeros_and_not_the_embedding_of_an_empty_string(text, empty):
    x = text.embed(["calm piano", empty])
    assert not x[1].any()
    assert np.linalg.norm(x[0]) == pytest.approx(1, abs=1e-5)


def test_a_prompt_passes_the_network_once_while_it_is_remembered(text, monkeypatch):
    network, seen = text.network(), []
    compute = network._text_rows
    monkeypatch.setattr(network, "_text_rows", lambda prompts: seen.extend(prompts) or compute(prompts))
    monkeypatch.setattr(clap_network, "TEXTS_KEPT", 2)
    network._texts.clear()
    first = text.embed(["one", "two", "one"])
    np.testing.assert_array_equal(text.embed(["two", "one"]), first[[1, 0]])
    assert sorted(seen) == ["one", "two"]
    text.embed(["three"])  # "two" was asked for least lately
    text.embed(["one"])
    assert seen[2:] == ["three"]
    text.embed(["two"])
    assert seen[3:] == ["two"]


def test_prompts_that_do_not_fit_in_memory_together_are_embedded_in_parts(text, monkeypatch):
    network, tried = text.network(), []
    compute = network._text_rows

    def small(prompts):
        tried.append(len(prompts))
        if len(prompts) > 2:
            raise torch.OutOfMemoryError("tried to allocate 2 GiB")
        return compute(prompts)

    monkeypatch.setattr(network, "_text_rows", small)
    network._texts.clear()
    x = text.embed(["a", "b", "c", "d", "e"])
    assert tried == [5, 2, 2, 1]
    np.testing.assert_allclose(x[4], text.embed(["e"])[0], atol=1e-6)


def test_a_prompt_that_is_no_string_is_named(text):
    with pytest.raises(ValueError, match="prompt 1 of the batch is a NoneType"):
        text.embed(["a", None])


# --- declarations -------------------------------------------------------------------------------------------


def test_both_sides_are_of_one_revision_and_share_one_network(audio, text):
    assert audio.revision == text.revision
    assert len(audio.revision) <= 40
    assert audio.network() is text.network()


# --- files that do not fit ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(weights):
    return torch.load(weights / "published" / CLAP_FILE, weights_only=False)


@pytest.fixture
def spoilt(weights, published, tmp_path):
    """A folder of files in which `change` has been made to the checkpoint's content."""

    def make(change):
        content = {**published, "state_dict": dict(published["state_dict"])}
        change(content["state_dict"])
        torch.save(content, tmp_path / CLAP_FILE)
        for name in ("config.json", "vocab.json", "merges.txt"):
            (tmp_path / name).write_bytes((weights / "published" / name).read_bytes())
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda state: state.pop("module.audio_branch.layers.1.blocks.0.mlp.fc1.bias"),
            r"missing tensor audio_branch\.layers\.1\.blocks\.0\.mlp\.fc1\.bias",
        ),
        (
            lambda state: state.pop("module.text_branch.pooler.dense.weight"),
            r"missing tensor text_branch\.pooler\.dense\.weight",
        ),
        (
            lambda state: state.update({"module.audio_branch.fusion_model.bias": torch.zeros(3)}),
            r"extra tensor audio_branch\.fusion_model\.bias",
        ),
        (
            lambda state: state.update({"module.audio_branch.layers.0.blocks.0.attn.qkv.bias": torch.zeros(47)}),
            r"tensor audio_branch\.layers\.0\.blocks\.0\.attn\.qkv\.bias has shape \[47\], expected \[48\]",
        ),
        (
            lambda state: state.update({"module.logit_scale_a": torch.zeros(1)}),
            r"tensor logit_scale_a has shape \[1\], expected \[\]",
        ),
        (
            lambda state: state.update({"module.audio_projection.0.bias": torch.full((512,), torch.nan)}),
            r"tensor module\.audio_projection\.0\.bias holds NaN",
        ),
        (lambda state: state.update({"module.note": "hello"}), "entry 'module.note' is a str, not a tensor"),
    ],
)
def test_a_checkpoint_that_does_not_fit_names_the_file_and_the_tensor(spoilt, change, says):
    with pytest.raises(BadCheckpoint, match=rf"{CLAP_FILE}: {says}"):
        load(spoilt(change))


def test_what_no_embedding_depends_on_may_be_absent(spoilt, audio):
    def without_training_only(state):
        for name in [name for name in state if is_unused(name.removeprefix("module."))]:
            del state[name]

    network = load(spoilt(without_training_only)).eval()
    x = torch.from_numpy(music(480_000, 3))[None]
    torch.testing.assert_close(network(x), audio.network()(x))


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("it_ran",)


def test_code_in_a_checkpoint_is_refused_and_not_run(weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_clap(tmp_path)
    torch.save({"state_dict": Hostile()}, tmp_path / CLAP_FILE)
    with pytest.raises(BadCheckpoint, match=rf"{CLAP_FILE}: refused.*code in a checkpoint is never run .*mkdir"):
        load(tmp_path)
    assert not Path("it_ran").exists()


def test_a_checkpoint_that_is_truncated_empty_or_not_there_is_refused(weights, tmp_path):
    write_clap(tmp_path)
    path = tmp_path / CLAP_FILE
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(BadCheckpoint, match=f"{CLAP_FILE}: refused, because it is damaged"):
        load(tmp_path)
    torch.save({"state_dict": 3}, path)
    with pytest.raises(BadCheckpoint, match=f"{CLAP_FILE}: holds no named tensors"):
        load(tmp_path)
    path.unlink()
    with pytest.raises(BadCheckpoint, match=f"{CLAP_FILE}: there is no such file"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", '{"audio_config": {"enable_fusion": true}}', r"config\.json: enable_fusion is True"),
        ("config.json", '{"projection_dim": 256}', r"config\.json: .* projection_dim 256; .* width 512"),
        ("config.json", '{"audio_config": {"depths": [1, 1], "num_attention_heads": [3]}}', "not a ClapConfig"),
        ("config.json", "[1]", r"config\.json: not a ClapConfig"),
        ("config.json", '{"text_config": {"vocab_size": "many"}}', r"config\.json: not a ClapConfig"),
        ("vocab.json", '{"<s>": 0, "</s>": 2, "<pad>": 5, "<unk>": 3, "<mask>": 1}', r"<pad> 5, do not fit .* <pad> 1"),
        ("vocab.json", "not json", r"vocab\.json and merges\.txt are no tokenizer"),
        ("merges.txt", "#version: 0.2\nnever seen\n", r"vocab\.json and merges\.txt are no tokenizer"),
    ],
)
def test_settings_and_a_tokenizer_that_do_not_fit_are_named(tmp_path, name, content, says):
    write_clap(tmp_path)
    (tmp_path / name).write_text(content)
    if name == "vocab.json":
        (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(BadCheckpoint, match=says):
        load(tmp_path)
