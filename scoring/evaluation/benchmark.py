"""Score the clips of CMI-RewardBench, each (file, prompt) once, so that a run that was stopped goes on where it was."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from scoring.evaluation.rewardbench.rows import Row

from .judge import BATCH, FILES_FAULT, Judge, NoReward, Sound, sentence


class RewardCache:
    """Rewards by content: the file's sha256, the prompt and the model's sha256. JSON lines, appended one by one.

    So a run that was stopped goes on where it was; a line that the stop cut short counts as not there.
    """

    def __init__(self, path: str | Path, model_sha256: str) -> None:
        self.path, self.model_sha256 = Path(path), model_sha256
        self.known = dict(self._read())

    def get(self, sha256: str, prompt: str) -> float | None:
        return self.known.get((sha256, prompt))

    def add(self, sha256: str, prompt: str, reward: float) -> None:
        self.known[sha256, prompt] = reward
        line = {"file": sha256, "prompt": prompt, "model": self.model_sha256, "reward": reward}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" * self._is_cut_short() + json.dumps(line) + "\n")

    def _read(self):
        if not self.path.exists():
            return
        for text in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
                if line["model"] == self.model_sha256:
                    yield (line["file"], line["prompt"]), float(line["reward"])
            except (ValueError, KeyError, TypeError):
                continue

    def _is_cut_short(self):
        if not self.path.exists() or not self.path.stat().st_size:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, 2)
            return file.read() != b"\n"


Key = tuple[str, str]  # a path below the folder of the benchmark's data, and a prompt


def wanted(rows: Iterable[Row], *, with_prompt: bool) -> list[Key]:
    """What to score: each path with each of its prompts once, in the order of the rows; "" for a path not given."""
    return list(dict.fromkeys(key for row in rows for key in keys_of(row, with_prompt=with_prompt)))


def keys_of(row: Row, *, with_prompt: bool) -> list[Key]:
    return [(path, row.prompt if with_prompt else "") for path in row.sides]


def score(
    judge: Judge, folder: Path, keys: Sequence[Key], cache: RewardCache, progress: Callable[[int], object]
) -> dict[Key, float | NoReward]:
    """The reward of each key, or why it has none; `progress` is told how many more are done.

    Files are read ahead on a thread while the model computes. Rewards are kept in `cache` as they come.
    """
    found: dict[Key, float | NoReward] = {}
    sha256s: dict[str, str] = {}

    def prepare(batch: Sequence[Key]) -> list[tuple]:
        return [(key, *_prepared(judge, folder, key, cache, sha256s)) for key in batch]

    for batch in _ahead(prepare, [keys[start : start + BATCH] for start in range(0, len(keys), BATCH)]):
        heard = [(key, sha256, ready) for key, sha256, ready in batch if isinstance(ready, Sound)]
        found |= {key: ready for key, _, ready in batch if not isinstance(ready, Sound)}
        given = judge.rewards([sound for *_, sound in heard], [prompt for (_, prompt), *_ in heard]) if heard else []
        for (key, sha256, _), reward in zip(heard, given, strict=True):
            found[key] = reward
            if not isinstance(reward, NoReward):
                cache.add(sha256, key[1], reward)
        progress(len(batch))
    return found


def _prepared(judge, folder, key, cache, sha256s):
    """(sha256, the reward known, or the sound to score, or why there is none)."""
    path, prompt = key
    try:
        file = _below(folder, path)
        if path not in sha256s:
            with file.open("rb") as source:
                sha256s[path] = hashlib.file_digest(source, "sha256").hexdigest()
    except (*FILES_FAULT, ValueError) as failure:
        return None, NoReward(sentence(failure))
    known = cache.get(sha256s[path], prompt)
    return sha256s[path], judge.hear(file) if known is None else known


def _below(folder, path):
    parts = PurePosixPath(path).parts
    if not parts:
        raise ValueError("The row names no file.")
    if PurePosixPath(path).is_absolute() or ".." in parts:
        raise ValueError("The path leads out of the benchmark's folder.")
    return Path(folder, *parts)


def _ahead(prepare, batches) -> Iterator:
    """prepare(batch) for each batch, the next one made on a thread while the caller has the last."""
    with ThreadPoolExecutor(1) as thread:
        coming = None
        for batch in batches:
            ready, coming = coming, thread.submit(prepare, batch)
            if ready:
                yield ready.result()
        if coming:
            yield coming.result()
