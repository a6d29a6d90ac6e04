"""Weights files as named tensors: read without running what is in them, and matched against a network by name."""

import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from scoring.reward.head import BadCheckpoint


def read_checkpoint(path: str | os.PathLike, allowed: Sequence = ()) -> Mapping:
    """The content of a .safetensors file, or of a file by torch.save that needs nothing but tensors and plain containers.

    `allowed`: further globals its pickle may name, as torch.serialization.safe_globals takes them. Raises
    BadCheckpoint for a file that is missing, damaged, or wants anything else; nothing of the file is executed.
    """
    path = Path(path)
    if not path.is_file():
        raise BadCheckpoint(f"{path}: there is no such file of weights")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        with torch.serialization.safe_globals(list(allowed)):
            # mapped, so that an optimizer's state, twice the size of the network, is never read
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except SafetensorError as error:
        raise BadCheckpoint(f"{path}: not a readable safetensors file ({error})") from error
    except Exception as error:  # whatever a damaged or hostile pickle provokes, the file is what is wrong
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadCheckpoint(
            f"{path}: refused, because it is damaged or holds more than weights; "
            f"code in a checkpoint is never run ({reason})"
        ) from error
    if not isinstance(content, Mapping):
        raise BadCheckpoint(f"{path}: holds no named tensors (found {type(content).__name__})")
    return content


def named_tensors(path: Path, content: Mapping, prefix: str = "") -> dict[str, Tensor]:
    """`content` as name -> tensor, `prefix` taken off names that have it; BadCheckpoint where it holds anything else."""
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise BadCheckpoint(f"{path}: entry {name!r} is a {type(tensor).__name__}, not a tensor")
        if tensor.layout is not torch.strided or tensor.is_complex() or tensor.is_quantized:
            raise BadCheckpoint(f"{path}: tensor {name} is {tensor.dtype}, {tensor.layout}; expected dense numbers")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise BadCheckpoint(f"{path}: tensor {name} holds NaN or infinite values")
    return {name.removeprefix(prefix): tensor for name, tensor in content.items()}


def fill(
    path: Path,
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    called: Callable[[str], str],
    unused: Callable[[str], bool],
    own: Mapping[str, Tensor],
) -> None:
    """Give `network`, built on the meta device, the file's `tensors`, each accounted for.

    `called(name)` is what the file calls the network's tensor `name`; where it gives one name for several, the file
    holds them one after the other along the first axis. `unused(name)`: a tensor of the file that the network has no
    need of. `own`: tensors of the network that are not in the file. Raises BadCheckpoint for the first tensor that is
    missing, extra or misshapen.
    """
    wanted = network.state_dict()
    parts: dict[str, list[str]] = {}
    for name in wanted.keys() - own.keys():
        parts.setdefault(called(name), []).append(name)
    for name in sorted(parts.keys() - tensors.keys()):
        raise BadCheckpoint(f"{path}: missing tensor {name}")
    for name in sorted(tensors.keys() - parts.keys()):
        if not unused(name):
            raise BadCheckpoint(f"{path}: extra tensor {name}, which the network does not have")

    state = dict(own)
    for name, of_network in parts.items():
        of_network.sort(key=list(wanted).index)
        shape = list(wanted[of_network[0]].shape)
        if len(of_network) > 1:
            shape[0] = sum(wanted[part].shape[0] for part in of_network)
        if list(tensors[name].shape) != shape:
            raise BadCheckpoint(f"{path}: tensor {name} has shape {list(tensors[name].shape)}, expected {shape}")
        split = tensors[name].chunk(len(of_network)) if len(of_network) > 1 else [tensors[name]]
        for part, tensor in zip(of_network, split, strict=True):
            # copied out of the mapped file, so that the file may be replaced while the network lives
            state[part] = tensor.to(wanted[part].dtype, copy=True)
    network.load_state_dict(state, strict=True, assign=True)
    left = [name for name, tensor in (*network.named_parameters(), *network.named_buffers()) if tensor.is_meta]
    if left:
        raise BadCheckpoint(f"{path}: nothing gives the network's {', '.join(left)} a value")
