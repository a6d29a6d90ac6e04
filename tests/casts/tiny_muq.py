"""A tiny MuQ-MuLan of muq's own classes, in the published files. Needs the package muq: see requirements-muq.txt.

tests/goldens/make_muq.py gives muq, under the transformers 4 that it was written for, the same files.
"""

import json

import numpy as np

from tests.casts.tiny_networks import planted

TRANSFORMER = {
    "dim": 24,
    "tf_depth": 2,
    "heads": 2,
    "dim_head": 8,
    "attn_dropout": 0.0,
    "ff_dropout": 0.0,
    "ff_mult": 2,
}
CONFIG = {
    "mulan": {
        "sr": 24_000,
        "clip_secs": 10,
        "dim_latent": 512,
        "decoupled_contrastive_learning": True,
        "hierarchical_contrastive_loss": False,
        "hierarchical_contrastive_loss_layers": None,
        "sigmoid_contrastive_loss": False,
        "rank_contrast": True,
    },
    "audio_model": {"name": "OpenMuQ/MuQ-large-msd-iter", "model_dim": 32, "use_layer_idx": -1},
    "text_model": {"name": "xlm-roberta-base", "model_dim": 48, "use_layer_idx": -1},
    "audio_transformer": TRANSFORMER,
    "text_transformer": {**TRANSFORMER, "max_seq_len": 1024},
}
CONFORMER = {
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "position_embeddings_type": "rotary",
    "conv_depthwise_kernel_size": 31,
    "hidden_act": "swish",
}
MUQ = {
    "label_rate": 25,
    "features": ["melspec_2048"],
    "hop_length": 240,
    "n_mels": 128,
    "conv_dim": 16,
    "encoder_dim": 32,
    "encoder_depth": 2,
    "codebook_size": 64,
    "is_flash": False,
    "stat": {"melspec_2048_mean": 6.768444971712967, "melspec_2048_std": 18.417922652295623},
}
XLM_ROBERTA = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 514,
    "layer_norm_eps": 1e-5,
    "type_vocab_size": 1,
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
}


TEXTS = ["calm piano", "a", "Driving rock at 140 bpm; no vocals.", "piano " * 60, "café"]


def install_tiny_muq(folder, **settings):
    from scoring.reward import weights

    write_muq(folder, **settings)
    return weights.install("muq-mulan", folder)


def write_muq(folder, **settings):
    """config.json, pytorch_model.bin, muq/config.json and xlm-roberta's; `settings` replace those of config.json."""
    import torch
    from transformers import Wav2Vec2ConformerConfig

    from scoring.reward.encoders.muq_network import MuQMuLanNetwork

    (folder / "muq").mkdir(parents=True)
    (folder / "xlm-roberta").mkdir()
    conformer = json.loads(Wav2Vec2ConformerConfig(**CONFORMER).to_json_string(use_diff=False))
    muq = {**MUQ, "w2v2_config": conformer}
    tokenizer = write_tokenizer(folder / "xlm-roberta" / "tokenizer.json")
    xlm_roberta = {"model_type": "xlm-roberta", **XLM_ROBERTA, "vocab_size": tokenizer.get_vocab_size()}
    for name, config in (("", {**CONFIG, **settings}), ("muq", muq), ("xlm-roberta", xlm_roberta)):
        (folder / name / "config.json").write_text(json.dumps(config))

    from muq.muq.muq import MuQConfig
    from transformers import XLMRobertaConfig

    network = MuQMuLanNetwork(CONFIG, MuQConfig(**muq), XLMRobertaConfig(**xlm_roberta), tokenizer)
    torch.save(
        {published(name): tensor_of(name, tensor) for name, tensor in network.state_dict().items()},
        folder / "pytorch_model.bin",
    )


def published(name):
    """Names as torch gave them when the weights were published."""
    for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
        name = name.replace(f"parametrizations.weight.{new}", old)
    return name


def tensor_of(name, tensor):
    import torch

    if name.endswith(("inv_freq", "num_batches_tracked")) or not tensor.is_floating_point():
        return tensor
    if name.endswith("running_var"):
        return torch.from_numpy(1 + np.abs(np.array(planted(name, list(tensor.shape)))))
    gain = 1 if name.startswith("mulan.text") else 0.1 if name.endswith("bias") else 2  # or all clips sound alike
    return torch.from_numpy(np.array(gain * planted(published(name), list(tensor.shape)), dtype=np.float32))


def write_tokenizer(path):
    """Of XLM-RoBERTa's kind: pieces with their log-probabilities, five special tokens, <s> and </s> around a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    pieces = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        *(chr(code) for code in range(97, 123)),
        "\u2581",
        "\u2581calm",
        "piano",
        "\u2581pi",
        "<mask>",
    ]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(i)) for i, piece in enumerate(pieces)], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(path))
    return tokenizer


def sound(seconds, seed):
    """A chord that beats, with noise and a rest, at 24 kHz."""
    random = np.random.RandomState(seed)
    t = np.arange(round(24_000 * seconds)) / 24_000
    x = sum(0.2 * np.sin(2 * np.pi * f * t) for f in 110 * random.uniform(1, 8, 3)) * np.cos(np.pi * t / 3)
    x[t.size // 2 : t.size // 2 + t.size // 8] *= 1e-3
    return (x + 0.01 * random.standard_normal(t.size)).astype(np.float32)


def waveforms():
    """By name: as many windows of 10 s as fit, or more; shorter, so that muq goes on with the beginning."""
    return {f"{seconds} s": sound(seconds, i) for i, seconds in enumerate((3, 7.1, 10, 23.4))}
