"""MuQ-MuLan's network in torch: the classes of the package muq 0.1.0, filled from one checked file.

muq's own from_pretrained first fetches MuQ and XLM-RoBERTa whole, to overwrite every tensor of theirs, and passes over
tensors that do not match. Here the two are built from their configs alone, and each tensor of the file is accounted
for. muq was written for transformers 4, whose conformer returned every layer's output: _Conformer does so in 5.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from muq import MuQ
from muq.muq.muq import MuQConfig
from muq.muq_mulan.models.audio import AudioSpectrogramTransformerPretrained
from muq.muq_mulan.models.mulan import MuLanModel
from muq.muq_mulan.models.text import TextTransformerPretrained
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BatchEncoding, XLMRobertaConfig, XLMRobertaModel
from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import Wav2Vec2ConformerEncoder

from scoring.reward.checkpoints import BadCheckpoint, fill, named_tensors, read_checkpoint, read_settings

CHECKPOINTS = ("model.safetensors", "pytorch_model.bin")
RATE, WIDTH = 24_000, 512
MAX_TOKENS = 512  # XLM-RoBERTa's positions
FRAME = 2048  # of the log-mel spectrum, reflected at the ends by half a frame

# Of the trainings: contrasts, targets and their predictions, the pooler. No embedding is computed with them.
_UNREAD = (
    "mulan.contrast.",
    "mulan.multi_layer_contrastive_learning.",
    "mulan.audio.aggregator.",
    "mulan.audio.model.model.cls_token",
    "mulan.audio.model.model.linear.",
    "mulan.audio.model.model.quantizer",
    "mulan.audio.model.model.recon_",
    "mulan.audio.model.model.rvq.",
    "mulan.text.model.pooler.",
)
# Computed from the config, and written into files by some versions of transformers and not by others.
_COMPUTED = ("embeddings.position_ids", "embeddings.token_type_ids", "embed_positions.inv_freq")
_OLD_NAMES = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}


class MuQMuLanNetwork(nn.Module):
    """Both towers. Windows [B, n >= shortest] of samples at 24 kHz -> [B, 512] of norm 1."""

    shortest = FRAME // 2 + 1

    def __init__(
        self, config: Mapping[str, Any], muq: MuQConfig, xlm_roberta: XLMRobertaConfig, tokenizer: Tokenizer
    ) -> None:
        super().__init__()
        self.mulan = MuLanModel(
            audio_transformer=_Audio(muq, **_tower(config, "audio")),
            text_transformer=_Text(xlm_roberta, tokenizer, **_tower(config, "text")),
            **config["mulan"],
        )

    def forward(self, windows: Tensor) -> Tensor:
        return self.mulan.get_audio_latents(windows)

    @torch.inference_mode()
    def embed_text(self, text: str) -> np.ndarray:
        """float32 [512] of norm 1."""
        row = self.mulan.get_text_latents(raw_texts=[text])[0].float().cpu().numpy()
        if not np.isfinite(row).all():
            raise ValueError(f"the network of muq-mulan-text makes NaN or infinities of {text!r}")
        return row


class _Audio(AudioSpectrogramTransformerPretrained):
    """muq's audio tower, its MuQ built from a config instead of fetched."""

    def __init__(self, muq: MuQConfig, **settings: Any) -> None:
        self._muq = muq
        super().__init__(**settings)

    def _init_pretrained_model(self, model_name: str) -> None:
        self.model = MuQ(self._muq)
        conformer = self.model.model.conformer
        conformer.__class__ = _Conformer
        conformer.config._attn_implementation = "eager"  # muq's config is a dictionary: it has none of its own


class _Conformer(Wav2Vec2ConformerEncoder):
    """transformers' encoder, returning what goes into each layer and what comes out at the end."""

    def forward(  # type: ignore[override]  # as muq calls it
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, output_hidden_states: bool = True
    ) -> dict[str, Any]:
        states: list[Tensor] = []
        hooks = [layer.register_forward_pre_hook(lambda _, given: states.append(given[0])) for layer in self.layers]
        try:
            last = super().forward(hidden_states, attention_mask=attention_mask)["last_hidden_state"]
        finally:
            for hook in hooks:
                hook.remove()
        return {"hidden_states": (*states, last), "last_hidden_state": last}


class _Text(TextTransformerPretrained):
    """muq's text tower, its XLM-RoBERTa built from a config instead of fetched, and its texts cut to MAX_TOKENS."""

    def __init__(self, xlm_roberta: XLMRobertaConfig, tokenizer: Tokenizer, **settings: Any) -> None:
        self._xlm_roberta = xlm_roberta
        super().__init__(**settings)
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        self._fast = tokenizer

    def _init_pretrained_model(self) -> XLMRobertaModel:
        return XLMRobertaModel(self._xlm_roberta)

    @property
    def tokenizer(self) -> Any:
        return self._tokens

    def _tokens(self, texts: list[str], **_: Any) -> BatchEncoding:
        [encoded] = self._fast.encode_batch(texts)  # one text, so no padding
        return BatchEncoding(
            {
                "input_ids": torch.tensor([encoded.ids]),
                "attention_mask": torch.tensor([encoded.attention_mask]),
            }
        )


def split(clip: Tensor, longest: int) -> list[Tensor]:
    """A clip [..., n] as muq's MuQMuLan cuts it: windows of `longest` one after the other; what is left at the end
    goes on with the clip's first samples, as many as there are.
    """
    n = clip.shape[-1]
    whole = n // longest
    windows = [clip[..., i * longest : (i + 1) * longest] for i in range(whole)]
    if left := n - whole * longest:
        windows.append(torch.cat([clip[..., whole * longest :], clip[..., : longest - left]], dim=-1))
    return windows


def load(folder: Path) -> MuQMuLanNetwork:
    """The network of config.json and model.safetensors or pytorch_model.bin, and of the configs of the two inside.

    Raises BadCheckpoint naming the file and the setting or tensor.
    """
    config = _config(folder / "config.json")
    muq, xlm_roberta = folder / "muq" / "config.json", folder / "xlm-roberta" / "config.json"
    try:
        tokenizer = Tokenizer.from_file(str(folder / "xlm-roberta" / "tokenizer.json"))
        network = MuQMuLanNetwork(
            config, MuQConfig(**read_settings(muq)), XLMRobertaConfig(**read_settings(xlm_roberta)), tokenizer
        )
    except BadCheckpoint:
        raise
    except Exception as error:  # the package checks nothing: whatever it makes of strange settings
        raise BadCheckpoint(
            f"{folder}: config.json, muq/config.json, xlm-roberta/config.json and xlm-roberta/tokenizer.json do not "
            f"describe a MuQ-MuLan of muq 0.1.0 ({type(error).__name__}: {error})"
        ) from error
    path = next((folder / name for name in CHECKPOINTS if (folder / name).is_file()), folder / CHECKPOINTS[-1])
    tensors = named_tensors(path, read_checkpoint(path))

    def called(name: str) -> str:
        old = next((name.replace(new, old) for new, old in _OLD_NAMES.items() if new in name), name)
        return old if old in tensors else name

    def unused(name: str) -> bool:
        return name.startswith(_UNREAD) or name.endswith(_COMPUTED)

    own = {name: tensor for name, tensor in network.state_dict().items() if unused(name) and name not in tensors}
    _forget(network)
    fill(path, network, tensors, called=called, unused=unused, own=own)
    return network


def _forget(network: nn.Module) -> None:
    """Let go of the values that the network was built with, all but those that no file holds. muq cannot be built on
    the meta device; without this, memory would hold the network twice.
    """
    in_files = network.state_dict().keys()
    kept = [(name, buffer) for name, buffer in network.named_buffers() if name not in in_files]
    network.to("meta")
    for name, buffer in kept:
        module, _, leaf = name.rpartition(".")
        setattr(network.get_submodule(module), leaf, buffer)


def _config(path: Path) -> Mapping[str, Any]:
    settings = read_settings(path)
    settings = settings.get("config", settings)
    for name in ("mulan", "audio_model", "text_model", "audio_transformer", "text_transformer"):
        if not isinstance(settings.get(name), dict):
            raise BadCheckpoint(f"{path}: has no {name}; expected a config of muq's MuQMuLan")
    covered = {
        ("mulan", "sr"): (RATE,),
        ("mulan", "clip_secs"): (10,),
        ("mulan", "dim_latent"): (WIDTH,),
    }
    for (part, name), values in covered.items():
        if settings[part].get(name) not in values:
            raise BadCheckpoint(f"{path}: {part}.{name} is {settings[part].get(name)!r}; covered is {values[0]}")
    for part, family in (("audio_model", "muq"), ("text_model", "xlm-roberta")):
        if family not in str(settings[part].get("name")).lower():
            raise BadCheckpoint(f"{path}: {part}.name is {settings[part].get('name')!r}; covered is a {family}")
    return settings


def _tower(config: Mapping[str, Any], side: str) -> dict[str, Any]:
    """A tower's settings, as MuQMuLan.create_MuLan_from_config passes them on."""
    model = config[f"{side}_model"]
    settings = {"model_name": model["name"], "model_dim": model.get("model_dim"), "frozen_pretrained": False}
    if side == "audio":
        settings["use_layer_idx"] = model.get("use_layer_idx", -1)
    return {**settings, **config[f"{side}_transformer"]}
