"""Write clap.json and clap_shapes.json: what laion_clap.CLAP_Module makes of the tiny weights of tests/tiny_networks.

    python3.11 -m venv reference && reference/bin/pip install -r tests/goldens/requirements.txt
    reference/bin/python -m tests.goldens.make_clap                  # the committed files
    reference/bin/python -m tests.goldens.make_clap --full FOLDER    # FOLDER/published.npz, of the published size

The second reads the weights that tests.tiny_networks.write_clap(FOLDER, full_size=True) wrote there. Run from the
root of the repository. Nothing is fetched: roberta-base is replaced by a network and a tokenizer made here, and
torchvision, which laion_clap imports for a resize that the non-fusion network does not use, is content with two
operators declared and never called.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch

from tests.casts import tiny_networks
from tests.goldens.inputs import TEXTS, waveforms

torchvision_operators = torch.library.Library("torchvision", "DEF")
for operator in ("nms", "qnms"):
    torchvision_operators.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import transformers  # noqa: E402 (imports torchvision, which must find its operators)


def tokenizer(folder):
    vocabulary = json.loads((folder / "vocab.json").read_text("utf-8"))
    merges = [tuple(line.split(" ")) for line in (folder / "merges.txt").read_text("utf-8").splitlines()[1:]]
    return transformers.RobertaTokenizer(vocab=vocabulary, merges=merges)


def build(text_config, htsat, text_tokenizer):
    """laion_clap's CLAP_Module with roberta of `text_config` and, if `htsat` is given, an HTSAT of that size."""
    transformers.RobertaModel.from_pretrained = classmethod(
        lambda cls, name: transformers.RobertaModel(transformers.RobertaConfig(**text_config))
    )
    for name in ("RobertaTokenizer", "BertTokenizer", "BartTokenizer"):
        getattr(transformers, name).from_pretrained = classmethod(lambda cls, name: text_tokenizer)
    import laion_clap
    from clap_module import factory, model
    from clap_module.htsat import HTSAT_Swin_Transformer

    if htsat:
        factory._MODEL_CONFIGS["HTSAT-base"]["embed_dim"] = 8 * htsat["embed_dim"]
        model.create_htsat_model = lambda config, *fusion: HTSAT_Swin_Transformer(
            spec_size=256, patch_size=4, patch_stride=(4, 4), window_size=8, num_classes=527, config=config, **htsat
        )
    module = laion_clap.CLAP_Module(enable_fusion=False, amodel="HTSAT-base", device="cpu")
    first = module.model.text_projection[0]
    if text_config["hidden_size"] != first.in_features:
        module.model.text_projection[0] = torch.nn.Linear(text_config["hidden_size"], first.out_features)
    return module


def shapes(module):
    """As published: since transformers 4.31 position_ids are no longer in a new state dict."""
    found = {name: list(tensor.shape) for name, tensor in module.model.state_dict().items()}
    positions = module.model.text_branch.config.max_position_embeddings
    return {**found, "text_branch.embeddings.position_ids": [1, positions]}


def vectors(module):
    audio = [module.get_audio_embedding_from_data(x=x[None])[0] for x in waveforms().values()]
    return np.stack(audio), module.get_text_embedding(TEXTS)


def main():
    goldens = tiny_networks.GOLDENS
    roberta = {"type_vocab_size": 1, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    base = {**roberta, "vocab_size": 50265, "max_position_embeddings": 514, "layer_norm_eps": 1e-5, "hidden_size": 768}
    if sys.argv[1:2] == ["--full"]:
        folder = Path(sys.argv[2])
        module = build(base, None, tokenizer(folder))
        module.load_ckpt(str(folder / tiny_networks.CLAP_FILE), verbose=False)
        audio, text = vectors(module)
        np.savez(folder / "published.npz", audio=audio, text=text)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        vocabulary = tiny_networks.write_tokenizer(folder)
        published = shapes(build(base, None, tokenizer(folder)))
        tiny = {**roberta, **tiny_networks.TINY_TEXT, "vocab_size": len(vocabulary)}
        module = build(tiny, tiny_networks.TINY_HTSAT, tokenizer(folder))
        write_json(goldens / "clap_shapes.json", {"tiny": shapes(module), "published": published})
        tiny_networks.write_clap(folder)
        module.load_ckpt(str(folder / tiny_networks.CLAP_FILE), verbose=False)
        audio, text = vectors(module)
    write_json(
        goldens / "clap.json",
        {
            "audio": {name: [round(float(x), 6) for x in row] for name, row in zip(waveforms(), audio, strict=True)},
            "text": {name: [round(float(x), 6) for x in row] for name, row in zip(TEXTS, text, strict=True)},
        },
    )


def write_json(path, content):
    """One entry a line."""
    groups = []
    for group, entries in content.items():
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in entries.items())
        groups.append(f" {json.dumps(group)}: {{\n{lines}\n }}")
    path.write_text("{\n" + ",\n".join(groups) + "\n}\n")


if __name__ == "__main__":
    main()
