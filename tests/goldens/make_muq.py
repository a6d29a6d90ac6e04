"""Write muq.json: what the package muq computes with the tiny weights of tests/tiny_muq, under transformers 4, which it
was written for.

    python3.11 -m venv reference && reference/bin/pip install -r tests/goldens/requirements-muq.txt
    reference/bin/python -m tests.goldens.make_muq

Run from the root of the repository. Nothing is fetched: the two networks inside lie in folders whose paths stand in the
place of the hub's names, as from_pretrained takes them.
"""

import json
import os
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from muq import MuQ, MuQMuLan
from muq.muq.muq import MuQConfig
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

from tests.casts.tiny_muq import CONFIG, TEXTS, waveforms, write_muq


def reference(folder):
    """muq's own MuQMuLan from local folders, with every tensor of the file in its place."""
    written = folder / "written"
    write_muq(written)
    inner = {"audio_model": folder / "inner" / "muq", "text_model": folder / "inner" / "xlm-roberta"}
    for path in inner.values():
        path.mkdir(parents=True)
    muq = json.loads((written / "muq" / "config.json").read_text())
    (inner["audio_model"] / "config.json").write_text(json.dumps(muq))
    save_file(MuQ(MuQConfig(**muq)).state_dict(), inner["audio_model"] / "model.safetensors")
    roberta = json.loads((written / "xlm-roberta" / "config.json").read_text())
    XLMRobertaModel(XLMRobertaConfig(**roberta)).save_pretrained(inner["text_model"])
    PreTrainedTokenizerFast(
        tokenizer_file=str(written / "xlm-roberta" / "tokenizer.json"),
        **{"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"},
    ).save_pretrained(inner["text_model"])
    config = CONFIG | {part: {**CONFIG[part], "name": str(path)} for part, path in inner.items()}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = torch.load(written / "pytorch_model.bin", weights_only=True)
    save_file(tensors, folder / "model.safetensors")
    model = MuQMuLan.from_pretrained(str(folder)).eval()
    loaded = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for name, tensor in model.state_dict().items()
    }
    assert loaded.keys() == tensors.keys() and all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    return model


@torch.no_grad()
def main():
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        model = reference(Path(folder))
        audio = {name: model(wavs=torch.from_numpy(x)[None])[0] for name, x in waveforms().items()}
        text = {text: model(texts=[text])[0] for text in TEXTS}
    rounded = {
        side: {name: [round(value, 7) for value in row.tolist()] for name, row in rows.items()}
        for side, rows in (("audio", audio), ("text", text))
    }
    (Path(__file__).parent / "muq.json").write_text(json.dumps(rounded, indent=1, ensure_ascii=False) + "\n", "utf-8")


main()
