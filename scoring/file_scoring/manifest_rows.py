"""The rows of a manifest through the jury: rewards of files, margins of pairs, and which of them are kept."""

import hashlib
import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from scoring.models import RewardModel
from scoring.registry.calibration import calibration_of
from scoring.stats.rounding import rounded

from .manifest import Manifest
from .percentiles import Ruler
from .score import score_files

ROWS = 32  # that are scored and written together: what a kill may cost


def score_rows(
    manifest: Manifest, model: RewardModel, known: Iterable[dict[str, Any]]
) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """The manifest's rows with their results, in lists of up to ROWS: (rows, those of them that are new).

    known: rows of an earlier run. One that had a reward is not scored again if its paths, its prompt, the content of
    its files and the model are the same. A row that cannot be scored carries the reason.
    """
    judge = _Judge(manifest, model)
    known = {judge.key(row): row for row in known if not row["error"]}
    rows = iter(manifest.rows)
    while batch := list(islice(rows, ROWS)):
        prepared = [judge.prepared(row) for row in batch]
        new = [row for row in prepared if not row["error"] and judge.key(row) not in known]
        judge.score(new)
        yield [known.get(judge.key(row), row) | _carried(manifest, row) for row in prepared], new
        known.update((judge.key(row), row) for row in new if not row["error"])


def _carried(manifest, row):
    return {name: row[name] for name in manifest.columns}


class _Judge:
    def __init__(self, manifest, model) -> None:
        self.manifest, self.model = manifest, model
        self.calibration = calibration_of(model)
        self.scored: dict[tuple[str, str], Any] = {}  # (content, prompt): Scored
        self.hashes = ("sha256_a", "sha256_b") if manifest.is_of_pairs else ("sha256",)
        self.identity = (*manifest.paths, *(["prompt"] if "prompt" in manifest.columns else []), *self.hashes)

    def key(self, row):
        """What makes two rows the same."""
        return (*(row[name] for name in self.identity), row["reward_model"])

    def prepared(self, row):
        """The row with its files' hashes, and an error where it cannot be one."""
        cells = {name: row.get(name) or "" for name in self.manifest.columns}
        prepared = {**cells, **dict.fromkeys(self.manifest.results, ""), "reward_model": self.model.name}
        if None in row or None in row.values():
            return prepared | {"error": "The row has not as many cells as the header."}
        errors = []
        for column, name in zip(self.manifest.paths, self.hashes, strict=True):
            try:
                prepared[name] = self._hash(cells[column])
            except OSError as error:
                errors.append(f"{column}: {error.strerror or error}")
        return prepared | {"error": "; ".join(errors)}

    def _hash(self, path):
        if not path:
            raise FileNotFoundError("The cell is empty.")
        source = self.manifest.folder / path
        if not source.is_file():
            raise FileNotFoundError("There is no such file.")
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def score(self, rows):
        """Put the results into the rows. A file that several rows name with one prompt is scored once a run."""
        asked = {one: path for row in rows for one, path in self._files(row) if one not in self.scored}
        files = [(path, prompt) for (_, prompt), path in asked.items()]
        self.scored.update(zip(asked, score_files(files, self.model), strict=True))
        for row in rows:
            found = [self.scored[one] for one, _ in self._files(row)]
            row["error"] = "; ".join(
                f"{column}: {one.error}" if len(found) > 1 else one.error
                for column, one in zip(self.manifest.paths, found, strict=True)
                if one.error
            )
            if not row["error"]:
                row.update(self._results([one.reward for one in found]))

    def _files(self, row):
        """[((content, prompt), path)] of the row's files."""
        return [
            ((row[name], row.get("prompt", "")), self.manifest.folder / row[column])
            for name, column in zip(self.hashes, self.manifest.paths, strict=True)
        ]

    def _results(self, rewards):
        if len(rewards) == 1:
            return {"reward": rounded(rewards[0])}
        margin = rewards[0] - rewards[1]
        probability = self.calibration.probability(margin)
        return {
            "reward_a": rounded(rewards[0]),
            "reward_b": rounded(rewards[1]),
            "margin": rounded(margin),
            "probability": "" if probability is None else probability,
        }


def place(rows: Iterable[dict[str, Any]], ruler: Ruler) -> None:
    """Give every reward its percentile among the arena's clips."""
    for row in rows:
        if not row["error"]:
            percentile = ruler.percentile(float(row["reward"]))
            row["percentile"] = "" if percentile is None else percentile


def keep(
    rows: list[dict[str, Any]],
    *,
    min_reward: float | None = None,
    top_share: float | None = None,
    min_margin: float | None = None,
) -> None:
    """Say of each row whether it is `kept`: it has a result and passes every filter that is set.

    min_reward: its reward is at least this. top_share: it is among this share of the rewards, the largest, rounded up
    to a whole file, equal ones with it. min_margin: its |margin| is at least this.
    """
    scored = [row for row in rows if not row["error"]]
    least = -math.inf if min_reward is None else min_reward
    if top_share is not None and scored:
        rewards = sorted((float(row["reward"]) for row in scored), reverse=True)
        least = max(least, rewards[math.ceil(top_share * len(rewards)) - 1])
    for row in rows:
        row["kept"] = not row["error"] and (
            abs(float(row["margin"])) >= (min_margin or 0.0) if "margin" in row else float(row["reward"]) >= least
        )
