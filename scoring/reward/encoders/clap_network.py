"""LAION-CLAP-Music's network in torch: transformers' ClapModel behind laion_clap's own front end and file format.

laion_clap 1.1.7 itself wants numpy < 2, fetches tokenizers when imported and crops long clips at random, so the
published checkpoint is renamed to the same network in transformers. tests/goldens holds what laion_clap computes;
laion_clap_network is laion_clap itself, for whoever wants the reference.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import ClapConfig, ClapModel, RobertaTokenizer

from scoring.reward.checkpoints import BadCheckpoint, fill, named_tensors, read_checkpoint
from scoring.reward.encoders.network import in_batches

CHECKPOINT = "music_audioset_epoch_15_esc_90.14.pt"
WIDTH = 512
INT16 = 32767.0
HOP, FRAME = 480, 1024  # samples; laion_clap's HTSAT-base.json
POWER_FLOOR = 1e-10
MAX_TOKENS = 77
TEXTS_AT_ONCE = 64
TEXTS_KEPT = 4096

# What laion_clap builds as HTSAT-base with roberta-base. transformers' default for the text's layer norms is 1e-12.
PUBLISHED = {
    "projection_dim": WIDTH,
    "text_config": {"layer_norm_eps": 1e-5},
    "audio_config": {
        "patch_embeds_hidden_size": 128,
        "depths": [2, 2, 12, 2],
        "num_attention_heads": [4, 8, 16, 32],
        "hidden_size": 1024,
    },
}

_NUMPY_SCALAR = getattr(np, "_core").multiarray.scalar  # noqa: B009  # no part of numpy's types
# The published pickle holds learning rates and losses as NumPy scalars, beside the tensors.
_NUMPY_SCALARS = (
    np.dtype,
    *(type(np.dtype(name)) for name in ("float64", "float32", "int64")),
    (_NUMPY_SCALAR, "numpy.core.multiarray.scalar"),
    (_NUMPY_SCALAR, "numpy._core.multiarray.scalar"),
)


class TwoTowers(nn.Module):
    """What CLAP's networks share, whoever wrote them: prompts seen lately are remembered.

    `forward` takes windows [B, n] of samples at 48 kHz, full scale +-1, to [B, 512] of norm 1.
    """

    def __init__(self) -> None:
        super().__init__()
        self._texts: OrderedDict[str, np.ndarray] = OrderedDict()
        self._texts_lock = threading.Lock()

    def _text_rows(self, prompts: Sequence[str]) -> np.ndarray:
        """float32 [B, 512] of norm 1, of as many prompts as the device holds."""
        raise NotImplementedError

    def embed_texts(self, prompts: Sequence[str]) -> np.ndarray:
        """float32 [B, 512]; prompts seen lately are remembered."""
        with self._texts_lock:
            rows = {prompt: self._texts[prompt] for prompt in prompts if prompt in self._texts}
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in rows]
        rows |= in_batches(new, TEXTS_AT_ONCE, self._text_rows, lambda prompt: f"prompt {prompt[:60]!r}")
        with self._texts_lock:
            self._texts |= rows
            for prompt in rows:
                self._texts.move_to_end(prompt)
            while len(self._texts) > TEXTS_KEPT:
                self._texts.popitem(last=False)
        return np.stack([rows[prompt] for prompt in prompts])


class Clap(TwoTowers):
    """CLAP's two towers as transformers has them."""

    def __init__(self, config: Any, tokenizer: RobertaTokenizer):
        super().__init__()
        self.log_mel = LogMel(config.audio_config.num_mel_bins)
        self.model = ClapModel(config)
        self.tokenizer = tokenizer

    def forward(self, windows: Tensor) -> Tensor:
        with torch.autocast(windows.device.type, enabled=False):  # powers span ten decades
            mel = self.log_mel(quantised(windows))
        return self.model.get_audio_features(input_features=mel[:, None]).pooler_output

    @torch.inference_mode()
    def _text_rows(self, prompts: Sequence[str]) -> np.ndarray:
        tokens = self.tokenizer(
            list(prompts), padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        ).to(self.log_mel.filters.device)
        features = self.model.get_text_features(tokens["input_ids"], attention_mask=tokens["attention_mask"])
        return features.pooler_output.float().cpu().numpy()


class LogMel(nn.Module):
    """Samples [B, n] -> log-mel power in dB [B, 1 + n // HOP, mels], by the checkpoint's own Fourier and mel matrices.

    As torchlibrosa's Spectrogram and LogmelFilterBank (Kong et al. 2020): frames centred, reflected at the ends.
    """

    real: Tensor
    imaginary: Tensor
    filters: Tensor

    def __init__(self, mels: int) -> None:
        super().__init__()
        bins = FRAME // 2 + 1
        self.register_buffer("real", torch.empty(bins, 1, FRAME))
        self.register_buffer("imaginary", torch.empty(bins, 1, FRAME))
        self.register_buffer("filters", torch.empty(bins, mels))

    def forward(self, samples: Tensor) -> Tensor:
        frames = functional.pad(samples, (FRAME // 2, FRAME // 2), mode="reflect").unfold(-1, FRAME, HOP)
        power = (frames @ self.real[:, 0].T).square() + (frames @ self.imaginary[:, 0].T).square()
        return 10.0 * torch.log10((power @ self.filters).clamp(min=POWER_FLOOR))


def quantised(samples: Tensor) -> Tensor:
    """Through 16-bit integers and back, as laion_clap's NumPy path: clipped to +-1, then cut off towards zero.

    The step counts as the identity for a gradient (straight-through; Bengio et al. 2013), the clipping as it is.
    """
    clipped = samples.clamp(-1.0, 1.0)
    return clipped + ((clipped.detach() * INT16).trunc() / INT16 - clipped.detach())


def repeat_pad(window: Tensor, length: int) -> Tensor:
    """[..., n <= length] -> [..., length]: as many whole repeats as fit, then zeros (laion_clap's `repeatpad`)."""
    n = window.shape[-1]
    if n == length:
        return window
    repeated = window.repeat(*[1] * (window.ndim - 1), length // n)
    return functional.pad(repeated, (0, length - repeated.shape[-1]))


def load(folder: Path) -> Clap:
    """The network of the published checkpoint, tokenizer files beside it; `config.json` (a ClapConfig) for other sizes.

    Raises BadCheckpoint naming the file, and the tensor or setting that does not fit.
    """
    network = _build(folder)
    config: Any = network.model.config
    path = folder / CHECKPOINT
    tensors = read_tensors(path)
    positions = torch.arange(config.text_config.max_position_embeddings).expand(1, -1).clone()
    own = {
        "model.text_model.embeddings.position_ids": positions,
        "model.text_model.embeddings.token_type_ids": torch.zeros_like(positions),
    }
    fill(path, network, tensors, called=published_name, unused=is_unused, own=own)
    return network


def _build(folder: Path) -> Clap:
    """The network that config.json describes, or the published one, with its tokenizer; on the meta device."""
    config: Any = read_config(folder)
    tokenizer = read_tokenizer(folder, config.text_config)
    try:
        with torch.device("meta"):
            return Clap(config, tokenizer)
    except Exception as error:  # transformers checks no more than types; what does not add up fails where it is used
        raise _not_a_config(folder, error) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The published checkpoint's tensors by laion_clap's names. Raises BadCheckpoint; runs no code that it holds."""
    content = read_checkpoint(path, allowed=_NUMPY_SCALARS)
    return named_tensors(path, content.get("state_dict", content), prefix="module.")


def read_config(folder: Path) -> ClapConfig:
    """What config.json describes, or the published network where there is none. Raises BadCheckpoint."""
    path = folder / "config.json"
    try:
        config: Any = ClapConfig.from_dict(json.loads(path.read_text("utf-8")) if path.is_file() else PUBLISHED)
        fusion, width = config.audio_config.enable_fusion, config.projection_dim
    except Exception as error:  # from_dict raises whatever the first setting that it cannot use provokes
        raise _not_a_config(folder, error) from error
    if fusion or width != WIDTH:
        raise BadCheckpoint(
            f"{path}: enable_fusion is {fusion} and projection_dim {width}; clap-music is the network without fusion, "
            f"of width {WIDTH}"
        )
    return config


def _not_a_config(folder: Path, error: Exception) -> BadCheckpoint:
    return BadCheckpoint(f"{folder / 'config.json'}: not a ClapConfig of any network ({error})")


def read_tokenizer(folder: Path, config: Any) -> RobertaTokenizer:
    """roberta-base's byte-pair tokenizer of vocab.json and merges.txt."""
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    try:
        ids = json.loads(vocabulary.read_text("utf-8"))
        lines = merges.read_text("utf-8").split("\n")
        pairs: Any = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
        tokenizer = RobertaTokenizer(vocab=ids, merges=pairs)
        largest, padding = max(ids.values()), ids["<pad>"]
    except Exception as error:  # the tokenizers library raises plain Exception for files that contradict each other
        raise BadCheckpoint(f"{folder}: vocab.json and merges.txt are no tokenizer of roberta's ({error!r})") from error
    if largest >= config.vocab_size or padding != config.pad_token_id:
        raise BadCheckpoint(
            f"{vocabulary}: tokens up to {largest}, <pad> {padding}, do not fit a network of "
            f"{config.vocab_size} tokens, <pad> {config.pad_token_id}"
        )
    return tokenizer


# transformers' names -> laion_clap's, the first that fits of each; then, in the audio tower only, those of its blocks
_TOWERS = {
    "log_mel.real": "audio_branch.spectrogram_extractor.stft.conv_real.weight",
    "log_mel.imaginary": "audio_branch.spectrogram_extractor.stft.conv_imag.weight",
    "log_mel.filters": "audio_branch.logmel_extractor.melW",
    "model.audio_model.audio_encoder.batch_norm.": "audio_branch.bn0.",
    "model.audio_model.audio_encoder.": "audio_branch.",
    "model.text_model.": "text_branch.",
    "model.audio_projection.linear1.": "audio_projection.0.",
    "model.audio_projection.linear2.": "audio_projection.2.",
    "model.text_projection.linear1.": "text_projection.0.",
    "model.text_projection.linear2.": "text_projection.2.",
    "model.": "",
}
_BLOCKS = {
    ".layernorm_before.": ".norm1.",
    ".layernorm_after.": ".norm2.",
    ".attention.self.query.": ".attn.qkv.",
    ".attention.self.key.": ".attn.qkv.",
    ".attention.self.value.": ".attn.qkv.",
    ".attention.self.": ".attn.",
    ".attention.output.dense.": ".attn.proj.",
    ".intermediate.dense.": ".mlp.fc1.",
    ".output.dense.": ".mlp.fc2.",
}
# AudioSet's classifier, CLAP's training-only projections, and tables that the network makes itself
_UNUSED = ("audio_branch.tscam_conv.", "audio_branch.head.", "audio_transform.", "text_transform.")
_UNUSED_TABLES = (".embeddings.position_ids", ".embeddings.token_type_ids", ".attn_mask")


def published_name(name: str) -> str:
    """What laion_clap calls a tensor of Clap; query, key and value are one tensor there."""
    ours, theirs = next((ours, theirs) for ours, theirs in _TOWERS.items() if name.startswith(ours))
    name = theirs + name.removeprefix(ours)
    if name.startswith("audio_branch."):
        for ours, theirs in _BLOCKS.items():
            name = name.replace(ours, theirs)
    return name


def is_unused(name: str) -> bool:
    """Whether laion_clap has a tensor of that name that no embedding depends on."""
    return name.startswith(_UNUSED) or name.endswith(_UNUSED_TABLES)
