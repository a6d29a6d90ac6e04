"""LAION-CLAP-Music by the package laion_clap itself (1.1.7; requirements-clap.txt): the reference for clap_network.

The numbers are laion_clap's, by the path that TuneJury's score.py takes: a NumPy array, quantised to 16 bits. What it
would do by chance or by fetching is settled here: windows are cut before they come in, none longer than 10 s, so its
random crop never happens; roberta-base is made from its published settings, all of its weights being in the checkpoint,
and its tokenizer comes from the installed vocab.json and merges.txt. Nothing in the package is changed.

It runs under numpy 2, which its metadata excludes: the one thing it uses that numpy 2 no longer has is np.in1d, in
training code that embedding never calls.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import transformers
from torch import Tensor
from transformers import ClapConfig, RobertaConfig, RobertaModel, RobertaTokenizer

from scoring.reward.checkpoints import BadCheckpoint, account_for
from scoring.reward.encoders.clap import HOW_TO_INSTALL
from scoring.reward.encoders.clap_network import (
    CHECKPOINT,
    PUBLISHED,
    TwoTowers,
    is_unused,
    quantised,
    read_config,
    read_tensors,
    read_tokenizer,
)
from scoring.reward.weights import PackageMissing

# What roberta-base's config.json says where it differs from RobertaConfig's defaults.
ROBERTA_BASE: dict[str, Any] = {
    "vocab_size": 50265,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
}


class LaionClap(TwoTowers):
    """laion_clap's CLAP_Module. Always float32."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module: Any = module

    def forward(self, windows: Tensor) -> Tensor:
        """For a gradient, its tensor path, which does not quantise: that is done before, as in clap_network."""
        with torch.autocast(windows.device.type, enabled=False):
            if windows.requires_grad:
                return self.module.get_audio_embedding_from_data(x=quantised(windows), use_tensor=True)
            rows = self.module.get_audio_embedding_from_data(x=windows.float().cpu().numpy())
        return torch.from_numpy(rows).to(windows.device)

    @torch.inference_mode()
    def _text_rows(self, prompts: Sequence[str]) -> np.ndarray:
        return self.module.get_text_embedding(list(prompts))


def load(folder: Path) -> LaionClap:
    """The network of the published checkpoint, roberta-base's tokenizer files beside it, on the CPU.

    Raises BadCheckpoint naming the file and what does not fit; PackageMissing where laion_clap does not load.
    """
    config = read_config(folder)
    if config.to_dict() != ClapConfig.from_dict(PUBLISHED).to_dict():
        raise BadCheckpoint(
            f"{folder / 'config.json'}: describes another network than the published one, and CLAP_ENGINE=laion_clap "
            "knows only that: remove the file if the checkpoint is the published one, else unset CLAP_ENGINE"
        )
    path = folder / CHECKPOINT
    tensors = read_tensors(path)
    with _nothing_fetched(read_tokenizer(folder, config.text_config)):
        module = _module_class()(enable_fusion=False, device="cpu", amodel="HTSAT-base", tmodel="roberta")
    # What its load_ckpt does, but that one runs whatever code the file holds and names no file when it fails.
    state = account_for(path, module.model.state_dict(), tensors, called=str, unused=is_unused)
    module.model.load_state_dict(state, strict=True)
    return LaionClap(module)


def _module_class() -> Any:
    try:
        from laion_clap import CLAP_Module
    except (ImportError, OSError, RuntimeError) as error:  # OSError, RuntimeError: of libraries for another torch
        raise PackageMissing(
            f"CLAP_ENGINE=laion_clap needs the package laion_clap, which does not load here ({error}): {HOW_TO_INSTALL}"
        ) from error
    return CLAP_Module


@contextmanager
def _nothing_fetched(tokenizer: RobertaTokenizer) -> Iterator[None]:
    """Inside, what laion_clap has transformers fetch by name, some of it when imported, is made from local files."""
    local = {
        transformers.BertTokenizer: lambda name: None,  # of text towers that this network does not have
        transformers.BartTokenizer: lambda name: None,
        RobertaTokenizer: lambda name: tokenizer,
        RobertaModel: lambda name: RobertaModel(RobertaConfig(**ROBERTA_BASE)),
    }
    with ExitStack() as stack:
        for fetched, make in local.items():
            stack.enter_context(patch.object(fetched, "from_pretrained", make))
        yield
