"""Weights files as named tensors: read without running what is in them, and matched against a network by name; and the
settings beside them."""

import json
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from scoring.reward.archives import BadArchive, check_stored


class BadCheckpoint(ValueError):
    """A file that holds no usable weights; the message names the file and the tensor."""


def read_checkpoint(path: str | os.PathLike[str], allowed: Sequence[Any] = ()) -> Mapping[str, Any]:
    """The content of a .safetensors file, or of one by torch.save that needs only tensors and plain containers.

    `allowed`: further globals its pickle may name, as torch.serialization.safe_globals takes them. Raises
    BadCheckpoint for a file that is missing, damaged, or wants anything else; nothing of the file is executed.
    """
    path = Path(path)
    if not path.is_file():
        raise BadCheckpoint(f"{path}: there is no such file of weights")
    try:
        check_stored(path)
    except BadArchive as error:
        raise BadCheckpoint(f"{path}: {error}") from error
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
        # torch's own message tells people to run the code; what it wanted stands in the error under that
        reason = str(error.__context__ or error).strip().partition("\n")[0].partition(". Please")[0]
        raise BadCheckpoint(
            f"{path}: refused, because it is damaged or holds more than weights; "
            f"code in a checkpoint is never run ({reason or type(error).__name__})"
        ) from error
    if not isinstance(content, Mapping):
        raise BadCheckpoint(f"{path}: holds no named tensors (found {type(content).__name__})")
    return content


def read_settings(path: Path) -> dict[str, Any]:
    """The object in a JSON file beside the weights; BadCheckpoint where there is none."""
    try:
        settings = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadCheckpoint(f"{path}: not a readable JSON file ({error})") from error
    if not isinstance(settings, dict):
        raise BadCheckpoint(f"{path}: holds a {type(settings).__name__}, not settings by name")
    return settings


def named_tensors(path: Path, content: object, prefix: str = "") -> dict[str, Tensor]:
    """`content` as name -> tensor, without `prefix` where a name has it; BadCheckpoint if it holds anything else."""
    if not isinstance(content, Mapping):
        raise BadCheckpoint(f"{path}: holds no named tensors (found {type(content).__name__})")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise BadCheckpoint(f"{path}: entry {name!r} is a {type(tensor).__name__}, not a tensor")
        if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_complex() or tensor.is_quantized:
            raise BadCheckpoint(f"{path}: tensor {name} is {tensor.dtype}, {tensor.layout}; expected dense numbers")
        if _bytes(tensor) > tensor.untyped_storage().nbytes():
            raise BadCheckpoint(f"{path}: tensor {name} of {list(tensor.shape)} repeats what is stored of it")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise BadCheckpoint(f"{path}: tensor {name} holds NaN or infinite values")
    if sum(map(_bytes, content.values())) > 2 * os.path.getsize(path):
        raise BadCheckpoint(f"{path}: its tensors hold many times what is stored, by naming the same numbers again")
    tensors = {name.removeprefix(prefix): tensor for name, tensor in content.items()}
    if len(tensors) < len(content):
        raise BadCheckpoint(f"{path}: holds tensors of one name with and without {prefix!r}")
    return tensors


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def fill(
    path: Path,
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    called: Callable[[str], str],
    unused: Callable[[str], bool],
    own: Mapping[str, Tensor],
) -> None:
    """Give `network`, built on the meta device, the file's `tensors`, as account_for() finds them, and its `own`.

    They are copied, so that the file may be replaced while the network lives.
    """
    wanted = network.state_dict()
    found = account_for(path, {name: wanted[name] for name in wanted if name not in own}, tensors, called, unused)
    state = {name: tensor.to(wanted[name].dtype, copy=True) for name, tensor in found.items()}
    network.load_state_dict({**state, **own}, strict=True, assign=True)
    left = [name for name, tensor in (*network.named_parameters(), *network.named_buffers()) if tensor.is_meta]
    if left:
        raise BadCheckpoint(f"{path}: nothing gives the network's {', '.join(left)} a value")


def account_for(
    path: Path,
    wanted: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    called: Callable[[str], str],
    unused: Callable[[str], bool],
) -> dict[str, Tensor]:
    """The file's tensor for each one wanted, every tensor of the file being wanted or known as unused.

    `called(name)` is what the file calls the wanted tensor `name`; where it gives one name for several, the file holds
    them one after the other along the first axis. Raises BadCheckpoint for the first tensor that is missing, extra or
    misshapen.
    """
    parts: dict[str, list[str]] = {}
    for name in wanted:
        parts.setdefault(called(name), []).append(name)
    for name in sorted(parts.keys() - tensors.keys()):
        raise BadCheckpoint(f"{path}: missing tensor {name}")
    for name in sorted(tensors.keys() - parts.keys()):
        if not unused(name):
            raise BadCheckpoint(f"{path}: extra tensor {name}, which the network does not have")
    found: dict[str, Tensor] = {}
    for name, of_network in parts.items():
        shape = list(wanted[of_network[0]].shape)
        if len(of_network) > 1:
            shape[0] = sum(len(wanted[part]) for part in of_network)
        if list(tensors[name].shape) != shape:
            raise BadCheckpoint(f"{path}: tensor {name} has shape {list(tensors[name].shape)}, expected {shape}")
        split = tensors[name].split([len(wanted[part]) for part in of_network]) if shape else [tensors[name]]
        found |= zip(of_network, split, strict=True)
    return found
