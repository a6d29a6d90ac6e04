"""Scoring the rows of a manifest: rewards of files, margins of pairs, and which rows are kept."""

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from arena.named_files import LeadsOutside
from scoring.jury import hearing, scorers
from scoring.models import RewardModel
from scoring.registry.calibration import calibration_of
from scoring.stats.rounding import rounded

from .manifest import Manifest
from .percentiles import Percentiles

ROWS = 32  # that are scored and written together: as many may be lost when the process is killed


def score_rows(
    manifest: Manifest, model: RewardModel, known: Iterable[dict[str, Any]]
) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """The manifest's rows with their results, in lists of up to ROWS: (rows, those of them that were scored now).

    known: rows of an earlier run. A row that has a reward there is not scored again if its paths, its prompt, the
    content of its files and the model are the same. A row that cannot be scored has the reason in `error`.
    """
    judge = _Judge(manifest, model)
    results = {judge.key(row): row for row in known if not row["error"]}
    rows = iter(manifest.rows)
    while batch := list(islice(rows, ROWS)):
        prepared = [judge.prepared(row) for row in batch]
        new = [row for row in prepared if not row["error"] and judge.key(row) not in results]
        judge.score(new)
        yield [results.get(judge.key(row), row) | _own_columns(manifest, row) for row in prepared], new
        results.update((judge.key(row), row) for row in new if not row["error"])


def _own_columns(manifest, row):
    return {name: row[name] for name in manifest.columns}


class _Judge:
    def __init__(self, manifest, model) -> None:
        self.manifest, self.model = manifest, model
        self.calibration = calibration_of(model)
        self.scorer = scorers.load_scorer(model.pk)
        self.scored: dict[tuple[str, str], Any] = {}  # (content, prompt): reward or NoReward
        self.hashes = ("sha256_a", "sha256_b") if manifest.is_of_pairs else ("sha256",)
        self.identity = (*manifest.paths, *(["prompt"] if "prompt" in manifest.columns else []), *self.hashes)

    def key(self, row):
        """Equal for two rows that have the same results."""
        return (*(row[name] for name in self.identity), row["reward_model"])

    def prepared(self, row):
        """The row with its files' hashes, and with an error where it cannot be scored."""
        cells = row.cells
        prepared = {**cells, **dict.fromkeys(self.manifest.results, ""), "reward_model": self.model.name}
        if row.problem:
            return prepared | {"error": f"Line {row.line}: {row.problem}."}
        errors = []
        for column, name in zip(self.manifest.paths, self.hashes, strict=True):
            sha256 = self._hash(cells[column])
            if isinstance(sha256, hearing.NoReward):
                errors.append(f"{column}: {sha256.reason}")
            else:
                prepared[name] = sha256
        return prepared | {"error": "; ".join(errors)}

    def _hash(self, path):
        if not path:
            return hearing.NoReward("The cell is empty.")
        try:
            return hearing.sha256_of(self.manifest.folders.find(path))
        except LeadsOutside as error:
            return hearing.NoReward(f"The path is not read: {error}.")

    def score(self, rows):
        """Put the results into the rows. A file that several rows name with the same prompt is scored once."""
        unscored = {key: path for row in rows for key, path in self._files(row) if key not in self.scored}
        files = [(path, prompt) for (_, prompt), path in unscored.items()]
        self.scored.update(zip(unscored, hearing.rewards_of_files(self.scorer, files), strict=True))
        for row in rows:
            outcomes = [self.scored[key] for key, _ in self._files(row)]
            row["error"] = "; ".join(
                f"{column}: {outcome.reason}" if self.manifest.is_of_pairs else outcome.reason
                for column, outcome in zip(self.manifest.paths, outcomes, strict=True)
                if isinstance(outcome, hearing.NoReward)
            )
            if not row["error"]:
                row.update(self._results(outcomes))

    def _files(self, row):
        """[((content, prompt), path)] of the row's files."""
        return [
            ((row[name], row.get("prompt", "")), self.manifest.folders.find(row[column]))
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


def place(rows: Iterable[dict[str, Any]], percentiles: Percentiles) -> None:
    """Give every reward its percentile among the arena's clips."""
    for row in rows:
        if not row["error"]:
            percentile = percentiles.of(float(row["reward"]))
            row["percentile"] = "" if percentile is None else percentile


def keep(
    rows: list[dict[str, Any]],
    *,
    min_reward: float | None = None,
    top_share: float | None = None,
    min_margin: float | None = None,
) -> None:
    """Set `kept` of each row: whether it has a result and passes every filter that is set.

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
