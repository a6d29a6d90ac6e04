"""Score the clips of CMI-RewardBench, each (file, prompt) once; a run that was stopped resumes where it ended."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from scoring.evaluation.rewardbench.rows import Row
from scoring.jury.hearing import NoReward, rewards_of_files, sha256_of, unless_machines_fault

if TYPE_CHECKING:
    from scoring.reward.scorer import Scorer


class RewardCache:
    """Rewards by content: the file's sha256, the prompt and the model's sha256. JSON lines, appended one by one.

    A run that was stopped resumes from it; a line that was only half written is ignored.
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
    """What to score: each path with each of its prompts once, in the order of the rows; "" where a row names no
    file."""
    return list(dict.fromkeys(key for row in rows for key in keys_of(row, with_prompt=with_prompt)))


def keys_of(row: Row, *, with_prompt: bool) -> list[Key]:
    return [(path, row.prompt if with_prompt else "") for path in row.sides]


def score(
    scorer: "Scorer", folder: Path, keys: Sequence[Key], cache: RewardCache, progress: Callable[[int], object]
) -> dict[Key, float | NoReward]:
    """The reward of each key, or why it has none; `progress` is called with how many more are done.

    Rewards go into `cache` as they come. Raises what is this machine's fault and no file's.
    """
    outcomes: dict[Key, float | NoReward] = {}
    sha256s: dict[str, str] = {}
    being_scored: deque[Key] = deque()

    def files_to_score():
        for path, prompt in keys:
            if path not in sha256s:
                sha256s[path] = unless_machines_fault(_sha256_below(folder, path))
            sha256 = sha256s[path]
            known = sha256 if isinstance(sha256, NoReward) else cache.get(sha256, prompt)
            if known is None:
                being_scored.append((path, prompt))
                yield Path(folder, path), prompt
            else:
                outcomes[path, prompt] = known
                progress(1)

    for outcome in rewards_of_files(scorer, files_to_score()):
        path, prompt = being_scored.popleft()
        outcomes[path, prompt] = unless_machines_fault(outcome)
        if not isinstance(outcome, NoReward):
            cache.add(sha256s[path], prompt, outcome)
        progress(1)
    return {key: outcomes[key] for key in keys}


def _sha256_below(folder, path):
    """The SHA-256 of the file at the path below the folder, or why it cannot have a reward."""
    parts = PurePosixPath(path).parts
    if not parts:
        return NoReward("The row names no file.")
    if PurePosixPath(path).is_absolute() or ".." in parts:
        return NoReward("The path leads out of the benchmark's folder.")
    return sha256_of(Path(folder, *parts))
