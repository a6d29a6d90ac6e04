"""Which encoder blocks a head reads, and in what order: from what lies beside its file, or from names and widths."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scoring.reward.checkpoints import BadCheckpoint
from scoring.reward.encoders import KEYS, Encoder, UnknownEncoder, get_encoder
from scoring.reward.head import read_metadata

# TuneJury's blocks in its order, [clap_audio, mert, text], under the names its sidecars exclude them by.
TUNEJURY = {"clap_audio": ("clap-music", 512), "mert": ("mert-330m", 1024), "text": ("clap-music-text", 512)}

Block = tuple[str, str | None]  # an encoder's key and, where it is known, the revision that the head was trained on


def named_blocks(path: str | os.PathLike[str]) -> list[Block] | None:
    """The blocks that a head's file names, in the order of its features; None where nothing names them.

    They stand in the file's metadata, where this project saved it, or in a sidecar: NAME.json beside NAME.pt, ours,
    {"encoders": [{"key", "revision"?, "dimension"?}, ...]}, or TuneJury's, {"input_dim", "exclude"}. Raises
    BadCheckpoint naming the sidecar where it is neither, or does not add up.
    """
    path = Path(path)
    if path.suffix == ".safetensors" and "encoders" in (metadata := read_metadata(path)):
        return _ours(path, {"encoders": _json(path, metadata["encoders"])})
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        return None
    content = _json(sidecar, sidecar.read_text("utf-8", errors="replace"))
    if isinstance(content, dict) and "encoders" in content:
        return _ours(sidecar, content)
    if isinstance(content, dict) and "exclude" in content:
        return _tunejurys(sidecar, content)
    raise BadCheckpoint(f'{sidecar}: names no encoder blocks; expected {{"encoders": [...]}} or TuneJury\'s "exclude"')


def find_encoders(path: str | os.PathLike[str], width: int, keys: Sequence[str] = ()) -> list[Encoder]:
    """The encoders whose blocks, in this order, are the `width` features that the head in `path` takes.

    With `keys`: these literally, if their widths add up; else with the text blocks of the same networks behind them,
    which is TuneJury's order. Without: what the file or its sidecar names. Where both name blocks they must agree.

    Raises BadCheckpoint naming the head's width and every block's where they do not fit, where nothing names them,
    or where the head was trained on another revision; UnknownEncoder for a key there is not; WeightsMissing.
    """
    try:
        named = named_blocks(path)
    except BadCheckpoint:
        if not keys:
            raise
        named = None  # a sidecar that cannot be read does not outvote who says what the blocks are
    if not keys and not named:
        raise BadCheckpoint(f"{path}: nothing says which encoder blocks its head of {width} features reads; name them")
    if len(set(keys)) < len(keys):
        raise BadCheckpoint(f"{path}: an encoder is named twice in {', '.join(keys)}; a head reads each block once")
    encoders = _fitting(path, width, keys or [key for key, _ in named or []])
    found = [encoder.key for encoder in encoders]
    if named and found != [key for key, _ in named]:
        raise BadCheckpoint(
            f"{path}: its head reads {', '.join(key for key, _ in named)}, in this order, as is written beside it; "
            f"asked for were {', '.join(found)}"
        )
    for key, revision in named or []:
        try:
            get_encoder(key, revision)
        except UnknownEncoder as error:
            raise BadCheckpoint(f"{path}: {error}") from error
    return encoders


def in_words(encoders: Sequence[Encoder]) -> str:
    return " + ".join(f"{encoder.key} {encoder.dimension}" for encoder in encoders)


def _fitting(path: str | os.PathLike[str], width: int, keys: Sequence[str]) -> list[Encoder]:
    literal = [get_encoder(key) for key in keys]
    with_text = literal + [
        get_encoder(f"{key}-text") for key in keys if f"{key}-text" in KEYS and f"{key}-text" not in keys
    ]
    for encoders in (literal, with_text):
        if sum(encoder.dimension for encoder in encoders) == width:
            return encoders
    tried = " or ".join(
        f"{sum(encoder.dimension for encoder in encoders)} ({in_words(encoders)})"
        for encoders in ([literal, with_text] if len(with_text) > len(literal) else [literal])
    )
    raise BadCheckpoint(f"{path}: its head takes {width} features, but the encoders give {tried}")


def _ours(source: Path, content: dict[str, Any]) -> list[Block]:
    try:
        blocks = [(str(block["key"]), block.get("revision")) for block in content["encoders"]]
        widths = {str(block["key"]): block.get("dimension") for block in content["encoders"]}
    except (TypeError, KeyError, AttributeError) as error:
        raise BadCheckpoint(f'{source}: "encoders" is not a list of {{"key", "revision", "dimension"}}') from error
    if not blocks:
        raise BadCheckpoint(f'{source}: "encoders" names no block')
    for key, width in widths.items():
        if width not in (None, get_encoder(key).dimension):
            raise BadCheckpoint(
                f"{source}: says that {key} has {width} features; it has {get_encoder(key).dimension} here"
            )
    return blocks


def _tunejurys(sidecar: Path, content: dict[str, Any]) -> list[Block]:
    excluded, width = content["exclude"], content.get("input_dim")
    if not isinstance(excluded, list) or not all(name in TUNEJURY for name in excluded):
        known = ", ".join(TUNEJURY)
        raise BadCheckpoint(f'{sidecar}: "exclude" is {excluded!r}; expected a list of some of {known}')
    kept = [TUNEJURY[name] for name in TUNEJURY if name not in excluded]
    if width != sum(dimension for _, dimension in kept):
        blocks = " + ".join(f"{key} {dimension}" for key, dimension in kept)
        raise BadCheckpoint(
            f"{sidecar}: its input_dim is {width}, but TuneJury's blocks without {excluded} have "
            f"{sum(dimension for _, dimension in kept)} features ({blocks}); name the encoders"
        )
    return [(key, None) for key, _ in kept]


def _json(source: Path, text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise BadCheckpoint(f"{source}: not readable as JSON ({error})") from error
