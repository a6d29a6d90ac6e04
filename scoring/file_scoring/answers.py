"""The JSON of a job that is done: one reward with its position, or files ranked by reward."""

from dataclasses import asdict
from typing import Any

from arena.models import Study
from arena.refusals import BadAudio
from scoring.models import ScoreJob
from scoring.registry.calibration import calibration_of, sigmoid
from scoring.stats.rounding import rounded

from .percentiles import position


def score_json(job: ScoreJob, study: Study | None = None) -> dict[str, Any]:
    """The reward of the job's one file, with its position among the arena's clips, and the study's if one is given.
    Raises BadAudio with the reason for a file that has none."""
    item: Any = job.items.get()
    model: Any = job.reward_model  # that of a job that is done
    if item.error:
        raise BadAudio(item.error, id=job.pk, filename=item.filename)
    in_study = study and {"study": study.slug, **asdict(position(item.reward, model, study))}
    return {
        "id": job.pk,
        "filename": item.filename,
        "sha256": item.sha256,
        "reward": rounded(item.reward),
        "reward_model": model.name,
        "position": asdict(position(item.reward, model)),
        "position_in_study": in_study,
    }


def best_of_n_json(job: ScoreJob) -> dict[str, Any]:
    """The job's files, best first; what could not be scored comes last, in the order it was sent."""
    items: list[Any] = list(job.items.order_by("position"))
    model: Any = job.reward_model
    ranked = sorted((item for item in items if not item.error), key=lambda item: -item.reward)
    failed = [item for item in items if item.error]
    if not ranked:
        errors = [{"index": item.position, "filename": item.filename, "error": item.error} for item in failed]
        raise BadAudio("None of the files could be scored.", id=job.pk, files=errors)
    calibration = calibration_of(model)
    return {
        "id": job.pk,
        "reward_model": model.name,
        "temperature": calibration.temperature and calibration.temperature["value"],
        "lapses": calibration.lapses,
        "files": [
            *(_ranked_json(item, ranked, calibration) for item in ranked),
            *(_file_json(item, error=item.error) for item in failed),
        ],
    }


def _ranked_json(item, ranked, calibration):
    best = ranked[0]
    margin = best.reward - item.reward
    return _file_json(
        item,
        rank=1 + sum(other.reward > item.reward for other in ranked),
        reward=rounded(item.reward),
        margin=rounded(margin),
        probability=None if item is best else calibration.probability(margin),
        sigmoid=None if item is best else rounded(sigmoid(margin)),
    )


def _file_json(item, *, rank=None, reward=None, margin=None, probability=None, sigmoid=None, error=None):
    return {
        "rank": rank,
        "index": item.position,
        "filename": item.filename,
        "reward": reward,
        "margin": margin,
        "probability": probability,
        "sigmoid": sigmoid,
        "error": error,
    }
