"""Tiny networks of the published classes, in the published files: whatever runs the whole reward model can be tested.

    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path / "weights"))
    install_all(tmp_path / "published")  # or install_tiny_clap, install_tiny_mert
    get_encoder("clap-music").embed([waveform])  # 512 numbers; mert-330m has its 1,024

Weights are fixed by each tensor's name, so embeddings are the same everywhere. A network is loaded once per process and
installed copy: tests that share a session-wide folder load it once. `full_size=True` writes the published sizes, with
random weights, for benchmarks (clap-music 0.8 GB, mert-330m 1.3 GB). Nothing here is fetched.

tests/goldens/make_clap.py gives laion_clap the same weights and writes what it makes of them.
"""

import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np

GOLDENS = Path(__file__).parents[1] / "goldens"
CLAP_FILE = "music_audioset_epoch_15_esc_90.14.pt"
TINY_TEXT = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 100,
    "layer_norm_eps": 1e-5,
}
TINY_HTSAT = {"embed_dim": 16, "depths": [2, 2, 1, 1], "num_heads": [2, 2, 4, 4]}


def install_all(folder, full_size=False):
    """Write clap-music and mert-330m below `folder` and install them where WEIGHTS_DIR says."""
    install_tiny_clap(folder / "clap-music", full_size)
    install_tiny_mert(folder / "mert-330m", full_size)


def install_tiny_clap(folder, full_size=False):
    from scoring.reward import weights

    write_clap(folder, full_size)
    return weights.install("clap-music", folder)


def install_tiny_mert(folder, full_size=False, **settings):
    from scoring.reward import weights

    write_mert(folder, full_size, **settings)
    return weights.install("mert-330m", folder)


# --- CLAP ---------------------------------------------------------------------------------------------------


def write_clap(folder, full_size=False):
    """The checkpoint as laion_clap's training writes it, tokenizer files and, for the tiny one, config.json."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = write_tokenizer(folder)
    if not full_size:
        (folder / "config.json").write_text(json.dumps(tiny_clap_config(len(vocabulary))))
    shapes = clap_shapes("published" if full_size else "tiny")
    state = {f"module.{name}": torch.from_numpy(np.array(planted(name, shape))) for name, shape in shapes.items()}
    rate = np.float64(1e-4)  # as a NumPy scalar, which the published pickle holds too
    optimizer = {"state": {}, "param_groups": [{"lr": rate, "params": [0]}]}
    content = {"epoch": 15, "name": "HTSAT-base-roberta", "state_dict": state, "optimizer": optimizer}
    torch.save(content, folder / CLAP_FILE)


def tiny_clap_config(vocabulary_size):
    """transformers' ClapConfig for the tiny network."""
    return {
        "projection_dim": 512,
        "text_config": {**TINY_TEXT, "vocab_size": vocabulary_size},
        "audio_config": {
            "patch_embeds_hidden_size": TINY_HTSAT["embed_dim"],
            "depths": TINY_HTSAT["depths"],
            "num_attention_heads": TINY_HTSAT["num_heads"],
            "hidden_size": 8 * TINY_HTSAT["embed_dim"],
        },
    }


def clap_shapes(size):
    """{name: shape} of every tensor in laion_clap's state dict, "tiny" or "published"; written by make_clap.py."""
    return json.loads((GOLDENS / "clap_shapes.json").read_text())[size]


def write_tokenizer(folder):
    """A byte-pair tokenizer of roberta's kind: its five special tokens, all bytes, a few merges."""
    from tokenizers.pre_tokenizers import ByteLevel

    merges = [("p", "i"), ("pi", "a"), ("n", "o"), ("Ġ", "c"), ("a", "l"), ("al", "m"), ("Ġc", "alm"), ("r", "o")]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *sorted(ByteLevel.alphabet()), *map("".join, merges), "<mask>"]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), "utf-8")
    return vocabulary


# --- MERT ---------------------------------------------------------------------------------------------------


def write_mert(folder, full_size=False, *, do_normalize=True, layer_norm=True, **settings):
    """config.json, preprocessor_config.json and pytorch_model.bin, named as in the published repository.

    `layer_norm`: layer norms in the convolutions and before attention, or else a group norm and norms after.
    """
    import torch
    from transformers import HubertConfig, HubertModel

    folder.mkdir(parents=True, exist_ok=True)
    tiny = {"num_hidden_layers": 2, "intermediate_size": 64, "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16}
    published = {"num_hidden_layers": 24, "intermediate_size": 4096}
    architecture = {
        "hidden_size": 1024,
        "num_attention_heads": 16,
        "feat_extract_norm": "layer" if layer_norm else "group",
        "do_stable_layer_norm": layer_norm,
        **(published if full_size else tiny),
    }
    mert = {"model_type": "mert_model", "feature_extractor_cqt": False, "deepnorm": False, "attention_relax": -1.0}
    mert |= {
        "architectures": ["MERTModel"],
        "auto_map": {"AutoModel": "modeling_MERT.MERTModel"},
        "sample_rate": 24_000,
    }
    (folder / "config.json").write_text(json.dumps({**architecture, **mert, **settings}))
    preprocessor = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 24_000, "feature_size": 1}
    preprocessor |= {"do_normalize": do_normalize, "padding_value": 0, "return_attention_mask": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    with torch.device("meta"):
        shapes = {
            name: list(tensor.shape) for name, tensor in HubertModel(HubertConfig(**architecture)).state_dict().items()
        }
    for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
        conv = "encoder.pos_conv_embed.conv."
        shapes[conv + old] = shapes.pop(f"{conv}parametrizations.weight.{new}")
    state = {name: torch.from_numpy(np.array(planted(name, shape))) for name, shape in shapes.items()}
    torch.save(state, folder / "pytorch_model.bin")


# --- weights, by name ---------------------------------------------------------------------------------------


def planted(name, shape):
    """The tensor of that name: seeded by it, scaled so that signals neither die nor explode; tables as they must be."""
    if name.endswith("conv_real.weight"):
        return fourier()[0]
    if name.endswith("conv_imag.weight"):
        return fourier()[1]
    if name.endswith("melW"):
        return mel_filters()
    if name.endswith("relative_position_index"):
        return relative_positions(round(shape[0] ** 0.5))
    if name.endswith("position_ids"):
        return np.arange(shape[1])[None]
    if name.endswith("num_batches_tracked"):
        return np.array(1)
    if name.endswith("attn_mask"):
        return shift_mask(shape)
    normal = np.asarray(np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape), dtype=np.float32)
    if name.endswith("bn0.running_mean"):  # of log-mel powers, in dB
        return -20 + 5 * normal
    if name.endswith("bn0.running_var"):
        return 400 * (1 + 0.1 * np.abs(normal))
    if name.endswith("weight_g"):
        return 0.5 + 0.05 * np.abs(normal)
    if name.endswith("bias") or len(shape) == 0:
        return np.float32(0.1) * normal
    if len(shape) == 1:
        return 1 + 0.1 * normal
    if "embeddings." in name or name.endswith("bias_table"):
        return 0.3 * normal
    return normal / np.float32(np.sqrt(np.prod(shape[1:])))


@cache
def fourier(n=1024):
    """Real and imaginary part of the Fourier matrix under a periodic Hann window, [n // 2 + 1, 1, n] each."""
    angle = 2 * np.pi / n * (np.arange(n // 2 + 1)[:, None] * np.arange(n) % n)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    return tuple((part * window).astype(np.float32)[:, None] for part in (np.cos(angle), -np.sin(angle)))


@cache
def mel_filters():
    """Slaney's mel filters with unit area, [513, 64], 50 to 14,000 Hz."""
    from transformers.audio_utils import mel_filter_bank

    filters = mel_filter_bank(513, 64, 50, 14_000, 48_000, norm="slaney", mel_scale="slaney")
    return filters.astype(np.float32)


def relative_positions(side):
    """[side ** 2, side ** 2]: which entry of the table of position biases a pair of patches reads (Liu et al. 2021)."""
    at = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij")).reshape(2, -1)
    apart = at[:, :, None] - at[:, None, :] + side - 1
    return apart[0] * (2 * side - 1) + apart[1]


def shift_mask(shape):
    """[windows, m * m, m * m]: -100 between patches that only the shift by m // 2 made neighbours (Liu et al. 2021)."""
    m, side = round(shape[1] ** 0.5), round(shape[0] ** 0.5)
    region = np.searchsorted([side * m - m, side * m - m // 2], np.arange(side * m), side="right")
    regions = 3 * region[:, None] + region
    windows = regions.reshape(side, m, side, m).swapaxes(1, 2).reshape(side * side, m * m)
    return np.where(windows[:, :, None] == windows[:, None], 0, -100).astype(np.float32)
