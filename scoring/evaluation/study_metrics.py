"""The audio metrics of a study's systems, and whether each says what the study's listeners said.

Everything comes from embeddings that are stored: a clip is decoded once, for all encoders together, when one lacks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from arena.models import Clip, Status, Study
from arena.refusals import Conflict, NotFound
from scoring.inputs.rewards import clip_rewards, in_columns
from scoring.inputs.votes import StudyVotes, board_votes
from scoring.jury.embedding import embed_all
from scoring.jury.features import as_block, read_all_features
from scoring.metrics import diversity, frechet, kernel_distance
from scoring.metrics.agreement import agreement
from scoring.metrics.bootstrap import Estimate, estimate
from scoring.metrics.mauve import mauve
from scoring.models import Edition, Rating, RewardModel
from scoring.reward.encoders import Encoder

ROUNDS = 100  # of the bootstrap
SetMetric = Callable[[np.ndarray, np.ndarray], float]  # of a system's embeddings and those of the reference
OTHERS = "the other systems"
MAD_ENCODER = "mert-330m"  # whose MAUVE divergence is MAD


@dataclass(frozen=True)
class SystemClips:
    """The ready clips of each system: {system: [(clip id, prompt id)]}."""

    of: dict[str, list[tuple[int, int]]]

    @property
    def ids(self) -> list[int]:
        return [clip for clips in self.of.values() for clip, _ in clips]


@dataclass
class Metric:
    """What one metric says. `better`: whether "more" or "less" of it is meant to be better.

    of_system: {system: Estimate}; of_clip: {clip id: value}, where it has one per clip; left_out: {system: why}.
    """

    name: str
    better: str
    of_system: dict[str, Estimate] = field(default_factory=dict)
    of_clip: dict[int, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def measure(study: Study, encoders: Sequence[Encoder], reference: str | None = None, seed: int = 0) -> dict[str, Any]:
    """All metrics of the study under these encoders, embedding first what lacks, as JSON.

    reference: the system that distances are to, for example one of recordings; by default all other systems together.
    Raises NotFound for a system that is not in the study, Conflict where it has fewer than two systems with clips.
    """
    clips = _clips_of(study)
    if reference is not None and reference not in clips.of:
        raise NotFound(f"{reference} has no ready clip in {study.slug}. Systems with clips: {', '.join(clips.of)}.")
    if len(clips.of) < 2:
        raise Conflict(f"{study.slug} has clips of fewer than two systems: there is nothing to compare.")
    embed_all([(encoder.key, encoder.revision) for encoder in encoders])
    vectors = {encoder.key: _vectors(clips, encoder) for encoder in encoders}
    metrics = [
        *(metric for encoder in encoders if encoder.kind == "audio"
          for metric in _of_sets(clips, encoder.key, vectors[encoder.key], reference, seed)),
        *(_cosine(clips, key, vectors[key], vectors[f"{key}-text"], seed)
          for key in vectors if f"{key}-text" in vectors),
        *_reward(clips, RewardModel.live(), seed),
    ]  # fmt: skip
    edition = study.editions.newest()
    return {
        "study": study.slug,
        "reference": reference or OTHERS,
        "encoders": [as_block(encoder) for encoder in encoders],
        "seed": seed,
        "clips": {system: len(of) for system, of in clips.of.items()},
        "edition": edition.number if edition else None,
        "metrics": [_as_json(metric) for metric in metrics],
        "agreement": _agreements(study, edition, metrics, seed) if edition else {},
    }


def _clips_of(study):
    clips = Clip.objects.filter(status=Status.READY, system__in=study.systems.all()).order_by("system__name", "pk")
    if study.prompts.exists():
        clips = clips.filter(prompt__in=study.prompts.all())
    of: dict[str, list[tuple[int, int]]] = {}
    for system, clip, prompt in clips.values_list("system__name", "pk", "prompt_id"):
        of.setdefault(system, []).append((clip, prompt))
    return SystemClips(of)


def _vectors(clips, encoder) -> dict[int, np.ndarray]:
    """{clip id: vector}, of the clips that could be embedded."""
    found, rows = read_all_features(clips.ids, [as_block(encoder)], complain=lambda reason: None)
    return dict(zip(found.tolist(), rows.astype(float), strict=True))


def _of_sets(clips, key, vectors, reference, seed) -> list[Metric]:
    """The metrics of a system's clips as a set: distances to the reference, and how different they are."""
    measures: dict[str, tuple[str, SetMetric]] = {
        f"FAD {key}": ("less", lambda x, y: frechet.distance(frechet.gaussian(x), frechet.gaussian(y))),
        f"KAD {key}": ("less", kernel_distance.distance),
        f"{'MAD' if key == MAD_ENCODER else 'MAUVE divergence'} {key}": ("less", lambda x, y: mauve(x, y).divergence),
        f"MPCD {key}": ("more", lambda x, y: diversity.mean_pairwise_cosine_distance(x)),
        f"Vendi score {key}": ("more", lambda x, y: diversity.vendi_score(x)),
    }
    metrics = {name: Metric(name, better) for name, (better, _) in measures.items()}
    for system, of in clips.of.items():
        if system == reference:
            continue
        own = [(vectors[clip], prompt) for clip, prompt in of if clip in vectors]
        others = [reference] if reference else [name for name in clips.of if name != system]
        beside = [vectors[clip] for name in others for clip, _ in clips.of[name] if clip in vectors]
        for name, (_, compute) in measures.items():
            try:
                metrics[name].of_system[system] = _compared(compute, own, np.array(beside), seed)
            except ValueError as reason:
                metrics[name].left_out[system] = str(reason)
    return list(metrics.values())


def _compared(compute: SetMetric, own: list[tuple[np.ndarray, int]], beside: np.ndarray, seed: int) -> Estimate:
    vectors, prompts = np.array([vector for vector, _ in own]), np.array([prompt for _, prompt in own])

    def of_rows(rows: np.ndarray) -> float:
        return compute(vectors[rows], beside)

    return estimate(of_rows, prompts, np.random.default_rng(seed), rounds=ROUNDS)


def _cosine(clips, key, audio, text, seed) -> Metric:
    both = sorted(audio.keys() & text.keys())
    values = diversity.text_audio_cosine(np.array([audio[c] for c in both]), np.array([text[c] for c in both]))
    return _mean_of_clips(f"text-audio cosine {key}", clips, dict(zip(both, values.tolist(), strict=True)), seed)


def _reward(clips, live, seed) -> list[Metric]:
    return [_mean_of_clips(f"reward {live.name}", clips, clip_rewards(live, clips.ids), seed)] if live else []


def _mean_of_clips(name: str, clips: SystemClips, of_clip: Mapping[int, float], seed: int) -> Metric:
    metric = Metric(name, "more", of_clip=dict(of_clip))
    for system, of in clips.of.items():
        own = [(of_clip[clip], prompt) for clip, prompt in of if clip in of_clip]
        if not own:
            metric.left_out[system] = "none of its clips has a value"
            continue
        metric.of_system[system] = _mean(own, seed)
    return metric


def _mean(own: list[tuple[float, int]], seed: int) -> Estimate:
    values, prompts = np.array([value for value, _ in own]), np.array([prompt for _, prompt in own])

    def of_rows(rows: np.ndarray) -> float:
        return float(values[rows].mean())

    return estimate(of_rows, prompts, np.random.default_rng(seed), rounds=ROUNDS)


def _agreements(study: Study, edition: Edition, metrics: list[Metric], seed: int) -> dict[str, Any]:
    """{metric: Agreement with the decided votes of the edition, or {"left_out": why}}."""
    votes = board_votes(study, edition.ledger_seq, edition.config)
    ratings = {
        rating.system.name: rating.value for rating in Rating.objects.filter(edition=edition).select_related("system")
    }
    found: dict[str, Any] = {}
    for metric in metrics:
        sign = 1 if metric.better == "more" else -1
        value_of = {system: sign * value.value for system, value in metric.of_system.items()}
        of_a, of_b = _values_of_votes(votes, metric, value_of)
        used = votes.decisive & np.isfinite(of_a - of_b)
        try:
            result = agreement(
                (of_a - of_b)[used], votes.outcome[used], votes.cluster[used], value_of, ratings,
                np.random.default_rng(seed),
            )  # fmt: skip
        except ValueError as reason:
            found[metric.name] = {"left_out": str(reason)}
        else:
            found[metric.name] = asdict(result)
    return found


def _values_of_votes(votes: StudyVotes, metric: Metric, value_of: Mapping[str, float]) -> list[np.ndarray]:
    """The values of a and of b for every vote, float [V]: of the clips, or of the systems; NaN where there is none."""
    if metric.of_clip:
        return in_columns(metric.of_clip, votes.clip_a, votes.clip_b)
    by_system = np.array([value_of.get(system, np.nan) for system in votes.systems], dtype=float)
    return [by_system[votes.a], by_system[votes.b]]


def _as_json(metric: Metric) -> dict[str, Any]:
    return {
        "name": metric.name,
        "better": metric.better,
        "systems": {system: asdict(value) for system, value in metric.of_system.items()},
        "left_out": metric.left_out,
    }
