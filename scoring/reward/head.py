"""The head: a small MLP from embeddings to one reward, and the files it is kept in.

A file is trusted for its numbers only. The architecture is read off the tensors' shapes, so that a head saved
here and one published by TuneJury, under whatever key prefix, load alike; anything that does not fit is
refused by name.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from scoring.reward.checkpoints import BadCheckpoint, named_tensors, read_checkpoint
from scoring.reward.weights import sha256_of
from scoring.reward.whole_file import written_whole

HIDDEN = (1024, 512, 256, 128)
DROPOUT = 0.5

_LINEAR = {"weight", "bias"}
_NORM = {"weight", "bias", "running_mean", "running_var"}
_OPTIONAL = {"num_batches_tracked"}


class RankNetHead(nn.Module):
    """(Linear, BatchNorm, ReLU, Dropout) for each hidden width, then Linear to 1 (TuneJury, arXiv 2606.17006,
    section 3).

    float32 [B, input_width] -> float32 [B]. The two clips of a pair go through the same weights (Burges et
    al. 2005). Weights start at PyTorch's default: the released code's Kaiming fan-out makes the last layer so
    large that first margins are tens of nats, from which a few hundred votes do not recover (held-out log
    loss 1.4 instead of 0.6).
    """

    def __init__(self, input_width: int, hidden: Sequence[int] = HIDDEN, dropout: float = DROPOUT):
        super().__init__()
        self.input_width = input_width
        self.hidden = tuple(hidden)
        layers: list[nn.Module] = []
        width = input_width
        for next_width in self.hidden:
            layers += [
                nn.Linear(width, next_width),
                nn.BatchNorm1d(next_width),
                nn.ReLU(),
                nn.Dropout(dropout),
            ]
            width = next_width
        layers.append(nn.Linear(width, 1))
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).squeeze(-1)

    def _all(self, kind: type[nn.Module]) -> list[nn.Module]:
        return [layer for layer in self.net if isinstance(layer, kind)]


def load_head(path: str | os.PathLike[str]) -> RankNetHead:
    """The head in a .safetensors file or a torch .pt / .pth of weights only, in eval mode on the CPU.

    Input width, hidden widths and key prefix come from the file. Raises BadCheckpoint for a pickle that wants
    to run code, and for a missing, extra, misshapen or non-finite tensor; FileNotFoundError where there is no
    file.
    """
    path = Path(path)
    linears, norms = _layers(path, _read_tensors(path))
    widths = _check_shapes(path, linears, norms)
    head = RankNetHead(widths[0], widths[1:])
    with torch.no_grad():
        for kind, sources in ((nn.Linear, linears), (nn.BatchNorm1d, norms)):
            for layer, (_, tensors) in zip(head._all(kind), sources, strict=True):
                layer.load_state_dict(tensors, strict=False)  # only num_batches_tracked may be absent: checked above
    return head.eval()


def save_head(head: RankNetHead, path: str | os.PathLike[str], metadata: dict[str, str]) -> str:
    """Write weights and metadata as safetensors, all or nothing, and return the file's SHA-256 in hex."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in head.state_dict().items()}
    with written_whole(path) as unfinished:
        save_file(tensors, unfinished, metadata=metadata)
        return sha256_of(unfinished)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The strings that save_head wrote beside the weights. A file that is not safetensors has none:
    BadCheckpoint.
    """
    path = Path(path)
    _must_exist(path)
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise BadCheckpoint(f"{path}: not a safetensors file, so it has no metadata ({error})") from error


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file of weights")


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """The file's tensors by name, all of them finite and, but for counters, floating-point."""
    _must_exist(path)
    content = read_checkpoint(path)
    for wrapper in ("state_dict", "model_state_dict"):
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not content:
        raise BadCheckpoint(f"{path}: holds no named tensors")
    tensors = named_tensors(path, content)
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() and name.rpartition(".")[2] not in _OPTIONAL:
            raise BadCheckpoint(f"{path}: tensor {name} is {tensor.dtype}; expected floats")
    return tensors


Layers = list[tuple[str, dict[str, Tensor]]]


def _layers(path: Path, tensors: Mapping[str, Tensor]) -> tuple[Layers, Layers]:
    """Linears and batch norms in natural order of their keys, each complete and with nothing left over."""
    modules: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        module, _, leaf = name.rpartition(".")
        if leaf not in _NORM | _OPTIONAL:
            raise BadCheckpoint(f"{path}: extra tensor {name}, which no layer of a head has")
        modules.setdefault(module, {})[leaf] = tensor

    linears: Layers = []
    norms: Layers = []
    for module in sorted(modules, key=_natural):
        leaves = modules[module]
        is_norm = bool(leaves.keys() - _LINEAR) or ("weight" in leaves and leaves["weight"].ndim == 1)
        for leaf in sorted((_NORM if is_norm else _LINEAR) - leaves.keys()):
            raise BadCheckpoint(f"{path}: missing tensor {_join(module, leaf)}")
        (norms if is_norm else linears).append((module, leaves))
    if len(linears) != len(norms) + 1:
        raise BadCheckpoint(
            f"{path}: a head has one linear layer more than batch norms; a layer is missing or extra among "
            f"linear {_names(linears)} and batch norm {_names(norms)}"
        )
    return linears, norms


def _check_shapes(path: Path, linears: Layers, norms: Layers) -> list[int]:
    """Input width and hidden widths, each tensor checked against the layer before it."""

    def expect(module: str, leaf: str, tensor: Tensor, shape: list[int]) -> None:
        if list(tensor.shape) != shape:
            name = _join(module, leaf)
            raise BadCheckpoint(f"{path}: tensor {name} has shape {list(tensor.shape)}, expected {shape}")

    for module, leaves in linears:
        if leaves["weight"].ndim != 2:
            raise BadCheckpoint(
                f"{path}: tensor {_join(module, 'weight')} has {leaves['weight'].ndim} axes, expected 2"
            )
    widths = [linears[0][1]["weight"].shape[1]]
    for i, (module, leaves) in enumerate(linears):
        width = leaves["weight"].shape[0] if i < len(norms) else 1
        expect(module, "weight", leaves["weight"], [width, widths[-1]])
        expect(module, "bias", leaves["bias"], [width])
        widths.append(width)
    for (module, leaves), width in zip(norms, widths[1:-1], strict=True):
        for leaf in sorted(_NORM):
            expect(module, leaf, leaves[leaf], [width])
        if "num_batches_tracked" in leaves:
            expect(module, "num_batches_tracked", leaves["num_batches_tracked"], [])
    return widths[:-1]


def _natural(name: str) -> list[str | int]:
    """net.4 before net.12: runs of digits compare as numbers (re.split puts them at the odd places)."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", name))]


def _join(module: str, leaf: str) -> str:
    return f"{module}.{leaf}" if module else leaf


def _names(layers: Layers) -> str:
    return ", ".join(module or "(no prefix)" for module, _ in layers) or "(none)"
