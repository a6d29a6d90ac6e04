"""MERT-v1-330M's network in torch: transformers' HubertModel, which it is where its config has neither a constant-Q
front end nor DeepNorm, so none of the code that is published beside the weights is needed.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import HubertConfig, HubertModel

from scoring.reward.checkpoints import BadCheckpoint, fill, named_tensors, read_checkpoint, read_settings

CHECKPOINTS = ("model.safetensors", "pytorch_model.bin")
RATE, WIDTH = 24_000, 1024
VARIANCE_FLOOR = 1e-7  # of transformers' Wav2Vec2FeatureExtractor

# For training only: what masked frames are replaced with, and HuBERT's targets.
_UNUSED = ("masked_spec_embed", "label_embs_concat", "final_proj.weight", "final_proj.bias")

# The positional convolution's length and direction, as torch names them now, and as it did when MERT was published.
_OLD_NAMES = {
    "encoder.pos_conv_embed.conv.parametrizations.weight.original0": "encoder.pos_conv_embed.conv.weight_g",
    "encoder.pos_conv_embed.conv.parametrizations.weight.original1": "encoder.pos_conv_embed.conv.weight_v",
}


class Mert(nn.Module):
    """Windows [B, n >= shortest] of samples at 24 kHz -> [B, 1024]: the last hidden layer's mean over time."""

    def __init__(self, config: HubertConfig, normalise: bool):
        super().__init__()
        self.model = HubertModel(config)
        self.normalise = normalise
        self.shortest = _receptive_field(config)

    def forward(self, windows: Tensor) -> Tensor:
        if self.normalise:
            variance, mean = torch.var_mean(windows, dim=-1, correction=0, keepdim=True)
            windows = (windows - mean) / torch.sqrt(variance + VARIANCE_FLOOR)
        # all windows of a batch have one length, so an attention mask would be all ones
        return self.model(windows).last_hidden_state.mean(dim=1)


def load(folder: Path) -> Mert:
    """The network of config.json, preprocessor_config.json and model.safetensors or pytorch_model.bin.

    Raises BadCheckpoint naming the file and the setting or tensor: for a config that HubertModel does not cover, and
    for any tensor that is missing, extra or misshapen.
    """
    settings = _settings(folder / "config.json")
    normalises = _normalises(folder / "preprocessor_config.json")
    try:
        with torch.device("meta"):
            network = Mert(HubertConfig(**settings), normalises)
    except Exception as error:  # transformers checks no more than types; what does not add up fails where it is used
        raise BadCheckpoint(f"{folder / 'config.json'}: not a config of any HubertModel ({error})") from error
    path = next((folder / name for name in CHECKPOINTS if (folder / name).is_file()), folder / CHECKPOINTS[-1])
    tensors = named_tensors(path, read_checkpoint(path))

    def called(name: str) -> str:
        old = _OLD_NAMES.get(name)
        return old if old in tensors else name

    fill(path, network.model, tensors, called=called, unused=_UNUSED.__contains__, own={})
    return network


def _settings(path: Path) -> dict[str, Any]:
    """The published config as HubertConfig's settings, if HubertModel is the network it describes."""
    settings = read_settings(path)
    covered = {
        "model_type": ("mert_model", "hubert"),
        "feature_extractor_cqt": (False,),  # constant-Q features beside the convolutions'
        "deepnorm": (False,),  # scaled residuals; only with them does attention_relax mean anything
        "hidden_size": (WIDTH,),
        "sample_rate": (RATE,),
    }
    # what MERT's own config class takes a missing setting to be
    defaults = {"feature_extractor_cqt": False, "deepnorm": False, "sample_rate": RATE}
    for name, values in covered.items():
        value = settings.get(name, defaults.get(name))
        if value not in values:
            raise BadCheckpoint(
                f"{path}: {name} is {value!r}; mert-330m is covered where it is {' or '.join(map(repr, values))}: "
                "another network needs an encoder of its own"
            )
    theirs = ("model_type", "architectures", "auto_map", "transformers_version")
    # without masking the model has no masked_spec_embed, which evaluation never reads
    ours = {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    return {name: value for name, value in settings.items() if name not in theirs} | ours


def _normalises(path: Path) -> bool:
    """Whether the preprocessor brings each input to mean 0 and variance 1."""
    settings = read_settings(path)
    kind = settings.get("feature_extractor_type")
    rate = settings.get("sampling_rate")
    normalise = settings.get("do_normalize")
    if (kind, rate) != ("Wav2Vec2FeatureExtractor", RATE) or not isinstance(normalise, bool):
        raise BadCheckpoint(
            f"{path}: feature_extractor_type {kind!r}, sampling_rate {rate!r}, do_normalize {normalise!r}; expected "
            f"'Wav2Vec2FeatureExtractor', {RATE}, and true or false"
        )
    return normalise


def _receptive_field(config: HubertConfig) -> int:
    """Samples that the convolutions need for one frame."""
    length = 1
    for kernel, stride in reversed(list(zip(config.conv_kernel, config.conv_stride, strict=True))):
        length = (length - 1) * stride + kernel
    return length
