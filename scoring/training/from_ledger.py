"""A training set from the ledger: the votes on clips in the form that `reward.train` takes."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arena.models import Study
from scoring.inputs import StudyVotes
from scoring.inputs.votes import study_votes
from scoring.jury.features import read_all_features
from scoring.stats.board_method import excluded_flags

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSet:
    """Votes on clips, in ledger order, in the form that `reward.train` takes.

    features: float32 [C, D], a row per clip, by clip id; the encoders' blocks beside each other. a, b: int [N], rows of
    it. target: float [N], credit to a, 0.5 for a tie. weight: float [N]. prompt: int [N]; rater, system_a, system_b:
    str [N], a vote without rater has a label of its own; source: str [N], the study's slug; time: int [N], its seq.
    excluded: {reason: n}, among them `no_clips`, and `not_embedded`: votes on clips that an encoder could not embed.
    """

    features: np.ndarray
    a: np.ndarray
    b: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    prompt: np.ndarray
    rater: np.ndarray
    system_a: np.ndarray
    system_b: np.ndarray
    source: np.ndarray
    time: np.ndarray
    excluded: dict[str, int]

    def as_arguments(self) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
        """(positional, keyword) arguments for `train`."""
        return (self.features, self.a, self.b, self.target, self.prompt), {
            "rater": self.rater,
            "systems": (self.system_a, self.system_b),
            "source": self.source,
            "time": self.time,
            "weight": self.weight,
        }


def training_set(
    studies: Iterable[Study],
    seq: int,
    encoders: Sequence[dict[str, Any]],
    reliability: Mapping[str, int] | None = None,
    last_mark: int | None = None,
) -> TrainingSet:
    """The usable votes of the studies up to `seq` on clips that all encoders have embedded, {"key", "revision",
    "dimension"} each. A clip whose stored embedding is damaged counts as not embedded: see features.read_features.

    reliability: {study's slug: a `Reliability` id}; the votes of these studies weigh as much as their raters' skill.
    last_mark: id up to which `TrainingMark`s count: they multiply the weight of votes on their clips.
    Votes on clip pairs that were served again are used, too: a model should learn from the pairs that are hard.
    """
    parts: dict[str, list[np.ndarray]] = {}
    excluded: Counter[str] = Counter()
    for study in studies:
        votes = study_votes(study, seq, excluded_flags(study), (reliability or {}).get(study.slug), again=True)
        names = np.array(votes.systems, dtype=str)
        for name, values in {
            "clip_a": votes.clip_a,
            "clip_b": votes.clip_b,
            "target": votes.outcome,
            "weight": votes.weight * mark_weights(study, votes, last_mark),
            "prompt": votes.prompt,
            "rater": votes.rater,
            "system_a": names[votes.a] if len(names) else names,
            "system_b": names[votes.b] if len(names) else names,
            "source": np.full(len(votes.seq), study.slug),
            "time": votes.seq,
        }.items():
            parts.setdefault(name, []).append(values)
        excluded.update(votes.excluded)
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    clip_ids, features = read_all_features(np.union1d(columns["clip_a"], columns["clip_b"]), encoders, logger.warning)
    return assemble(columns, clip_ids, features, excluded)


def mark_weights(study: Study, votes: StudyVotes, last_mark: int | None) -> np.ndarray:
    """float [V]: by how much each vote's weight is multiplied by the study's marks up to that id; 1 without one."""
    marks = {  # the last one counts where several are on the same clips
        (low, high): weight
        for low, high, weight in study.training_marks.filter(pk__lte=last_mark or 0)
        .order_by("pk")
        .values_list("clip_low", "clip_high", "weight")
    }
    if not marks:
        return np.ones(len(votes.seq))
    low, high = np.minimum(votes.clip_a, votes.clip_b), np.maximum(votes.clip_a, votes.clip_b)
    return np.array([marks.get(clips, 1.0) for clips in zip(low.tolist(), high.tolist(), strict=True)], dtype=float)


def assemble(
    columns: Mapping[str, np.ndarray], clip_ids: np.ndarray, features: np.ndarray, excluded: Counter[str]
) -> TrainingSet:
    """The TrainingSet of votes, whose columns are those of its fields but clip_a and clip_b, ids, for a and b.

    clip_ids: int [C], ascending, of the rows of features. A vote on another clip is excluded.
    """
    with_clips = (columns["clip_a"] > 0) & (columns["clip_b"] > 0)
    usable = np.isin(columns["clip_a"], clip_ids) & np.isin(columns["clip_b"], clip_ids)
    in_order = np.flatnonzero(usable)[np.argsort(columns["time"][usable], kind="stable")]
    votes = {name: values[in_order] for name, values in columns.items()}
    left_out = Counter(no_clips=int((~with_clips).sum()), not_embedded=int((with_clips & ~usable).sum()))
    excluded = Counter(excluded) + left_out  # which drops what is 0
    return TrainingSet(
        features=features,
        a=np.searchsorted(clip_ids, votes.pop("clip_a")),
        b=np.searchsorted(clip_ids, votes.pop("clip_b")),
        excluded=dict(sorted(excluded.items())),
        **votes,
    )
