"""What network encoders share: windows of a clip, batches of equal length, one network per process.

Read by the web process, which asks encoders for what they declare: torch is imported when a network first runs.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scoring.reward import weights
from scoring.reward.encoders.waveforms import checked

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class WeightsOnDisk:
    """An encoder whose numbers come from installed weights: its revision, and its network, loaded once per process.

    A subclass declares `weights` (their name for `fetch_weights`) and `code_version`, raised whenever its code
    changes a number, and says in `load` how the files become a module.
    """

    weights: str
    code_version: str

    @property
    def revision(self) -> str:
        """Code version and content of the weights. Raises WeightsMissing; loads neither torch nor the network."""
        return f"{self.code_version}-{weights.installed(self.weights).fingerprint}"

    @property
    def engine(self) -> str:
        """Which implementation runs the weights, where there is a choice of several that give the same numbers."""
        return ""

    def load(self, folder: Path) -> nn.Module:
        """The network of the files in `folder`, in eval mode, on the CPU. Raises BadCheckpoint naming the file."""
        raise NotImplementedError

    def network(self) -> nn.Module:
        """The installed network, on cuda where there is one. Encoders of the same weights and engine share it.

        Raises WeightsMissing; BadWeights where a file is no longer what was installed; BadCheckpoint.
        """
        return _load_once(self.weights, self.engine, self.load)


class NetworkEncoder(WeightsOnDisk):
    """An audio encoder that is a network over windows of a clip: a clip's embedding is the mean of its windows'.

    A clip of up to `window_s` is one window; a longer one is cut into as many windows of `window_s` as cover it,
    evenly spaced, the first from its start and the last to its end. Windows of equal length, from whichever clips,
    go through the network together, and no clip is padded to the length of another, so an embedding does not depend
    on the batch it came in (to 1e-4).

    `autocast` ("bfloat16" or "float16") lets the device compute in that type where torch thinks it safe. None, the
    default, is float32 throughout: what the revision stands for.
    """

    kind = "audio"
    differentiable = True
    window_s: float
    batch_s = 320.0  # of audio that goes through the network at once on cuda, while memory lasts
    batch_s_on_cpu = 40.0  # which gains nothing by more, and is killed when memory runs out
    autocast: Literal["bfloat16", "float16"] | None = None

    key: str
    dimension: int
    sample_rate: int
    windows: str
    licence: str

    def fit(self, window: Tensor) -> Tensor:
        """What the network is given of a window [..., n]: the window itself, unless it needs a fixed length."""
        return window

    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Waveforms float32 [n], mono, at `sample_rate` -> float32 [B, dimension]. Without gradients.

        Raises ValueError naming the place in the batch for a waveform that is empty, not mono or not finite, that is
        too short for the network, or of which the network makes NaN; MemoryError where the device cannot hold
        even one window.
        """
        clips = [checked(place, waveform) for place, waveform in enumerate(batch)]
        network = self.network()
        rows: list[list[np.ndarray]] = [[] for _ in clips]
        for windows in self._by_length(clips).values():
            for place, row in self._rows(network, windows):
                rows[place].append(row)
        embeddings = np.empty((len(clips), self.dimension), dtype=np.float32)
        for place, of_clip in enumerate(rows):
            embeddings[place] = np.mean(of_clip, axis=0, dtype=np.float64)
            if not np.isfinite(embeddings[place]).all():
                raise ValueError(f"waveform {place} of the batch: {self.key} makes NaN or infinite numbers of it")
        return embeddings

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveforms [B, n], mono, at `sample_rate` -> [B, dimension], as `embed`, with gradients to the waveforms.

        Computed where the network is and in its float type.
        """
        import torch

        network = self.network()
        like = next(network.parameters())
        waveform = waveform.to(like.device, like.dtype)
        cuts = cut(waveform.shape[-1], self._longest)
        windows = self.fit(torch.stack([waveform[:, start:stop] for start, stop in cuts], dim=1))
        return network(windows.flatten(0, 1)).unflatten(0, windows.shape[:2]).mean(dim=1)

    @property
    def _longest(self) -> int:
        return round(self.window_s * self.sample_rate)

    def _by_length(self, clips: Sequence[np.ndarray]) -> dict[int, list[tuple[int, Tensor]]]:
        """Every clip's windows, as the network is given them, with the clip's place, by their length in samples."""
        import torch

        groups = defaultdict(list)
        for place, clip in enumerate(clips):
            for start, stop in cut(clip.size, self._longest):
                try:
                    window = self.fit(torch.from_numpy(clip[start:stop]))
                except ValueError as error:
                    raise ValueError(f"waveform {place} of the batch: {error}") from error
                groups[window.shape[-1]].append((place, window))
        return groups

    def _rows(self, network: nn.Module, windows: list[tuple[int, Tensor]]) -> Iterator[tuple[int, np.ndarray]]:
        """(place, embedding) of windows of one length."""
        import torch

        like = next(network.parameters())
        length = windows[0][1].shape[-1]

        def run(some: Sequence[tuple[int, Tensor]]) -> np.ndarray:
            together = torch.stack([window for _, window in some]).to(like.device, like.dtype)
            with torch.inference_mode(), _autocast(like.device, self.autocast):
                return network(together).float().cpu().numpy()

        def name(window: tuple[int, Tensor]) -> str:
            return f"waveform {window[0]} of the batch, {length / self.sample_rate:.1f} s of it through {self.key}"

        seconds = self.batch_s if like.device.type == "cuda" else self.batch_s_on_cpu
        at_once = max(1, int(seconds * self.sample_rate) // length)
        for (place, _), row in in_batches(windows, at_once, run, name):
            yield place, row


def in_batches(
    items: Sequence[Any], at_once: int, run: Callable[[Sequence[Any]], np.ndarray], name: Callable[..., str]
) -> Iterator[tuple[Any, ...]]:
    """Each item with its row of `run`, which takes up to `at_once` items. A device that is out of memory gets half as
    many, and so on; where it has not the memory for one, MemoryError with the item's `name`.
    """
    import torch

    at = 0
    while at < len(items):
        some = items[at : at + at_once]
        rows = None
        with suppress(torch.OutOfMemoryError):  # what it had computed is freed once the exception is gone: at the end
            rows = run(some)
        if rows is not None:
            yield from zip(some, rows, strict=True)
            at += len(some)
        elif len(some) > 1:
            torch.cuda.empty_cache()
            at_once = len(some) // 2
        else:
            raise MemoryError(f"{name(some[0])}: the device has not the memory for it, even alone")


def cut(n: int, longest: int) -> list[tuple[int, int]]:
    """(start, stop) of a clip's windows: all of up to `longest` samples, else windows of `longest`, evenly spaced."""
    if n <= longest:
        return [(0, n)]
    last = -(-n // longest) - 1
    starts = [round(i * (n - longest) / last) for i in range(last + 1)]
    return [(start, start + longest) for start in starts]


def _autocast(device: torch.device, dtype: str | None) -> AbstractContextManager[Any]:
    import torch

    return torch.autocast(device.type, dtype=getattr(torch, dtype)) if dtype else nullcontext()


_loaded: dict[str, tuple[tuple[Path, str, str], nn.Module]] = {}
_loading = threading.Lock()


def _load_once(name: str, engine: str, load: Callable[[Path], nn.Module]) -> nn.Module:
    """The network of the weights `name` as installed now; another thread that asks meanwhile waits for it."""
    installed = weights.installed(name)
    identity = (installed.path, installed.fingerprint, engine)
    with _loading:
        if name not in _loaded or _loaded[name][0] != identity:
            import torch

            from scoring.reward.torchvision_operators import declare_missing

            declare_missing()
            _loaded.pop(name, None)  # so that two of them never fill a device
            installed.verify()
            torch.backends.cudnn.allow_tf32 = False  # torch's default, for convolutions only, is 10 bits of mantissa
            network = load(installed.path).eval().requires_grad_(False)
            _loaded[name] = identity, network.to("cuda" if torch.cuda.is_available() else "cpu")
        return _loaded[name][1]
