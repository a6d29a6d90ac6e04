"""The sweeps of scoring. They are thin: the rooms know how the work is done, the database knows what is left to do."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from celery import shared_task

from arena import sweeps

from .models import RewardModel
from .reward.faults import DeviceFailed

logger = logging.getLogger(__name__)


@shared_task(time_limit=300)
def refit_boards() -> None:
    """A new edition of every board that is behind the ledger."""
    from .boards import refit

    sweeps.over_studies("boards", refit.due_studies, partial(refit.refit_board, only_if_due=True), each_s=270)


@shared_task(time_limit=60)
def move_standings_on() -> None:
    """Count the votes since the last editions."""
    from scoring.boards import standings

    sweeps.over_studies("standings", standings.due_studies, standings.move_on, each_s=30)


@shared_task(time_limit=1800)
def compute_categories() -> None:
    """Compute the boards of the categories for every last edition that has none."""
    from scoring.boards import categories

    sweeps.over_studies("categories", categories.due_studies, categories.compute_categories, each_s=1700)


@shared_task(time_limit=600)
def draw_figures() -> None:
    """Draw the figures of every study whose edition or rewards have changed since they were drawn."""
    from scoring.boards.figures import data as figures

    def draw(study):
        if figures.figures_are_due(study):
            figures.draw_figures(study)

    sweeps.over_studies("figures", figures.due_studies, draw, each_s=540)


@shared_task(time_limit=300)
def refit_anchors() -> None:
    """A new anchor fit, under the live model, for every board that has changed since the last one."""
    from .anchors import refit

    model = RewardModel.live()
    refit_study = partial(refit.refit_anchors, model=model, only_if_due=True)
    sweeps.over_studies("anchors", lambda: refit.due_studies(model) if model else [], refit_study, each_s=270)


@shared_task(time_limit=600)
def power_boards() -> None:
    """Compute prediction-powered ratings for every edition that has none yet under the live model."""
    from scoring.boards import prediction_powered

    model = RewardModel.live()

    def due():
        return prediction_powered.due_studies(model) if model else []

    sweeps.over_studies("prediction-powered", due, prediction_powered.compute_due, each_s=530)


@shared_task(time_limit=600)
def write_cards() -> None:
    """A robustness card for every last edition without one."""
    from scoring.boards import robustness_cards

    write = partial(robustness_cards.write_card, only_if_due=True)
    sweeps.over_studies("robustness", robustness_cards.due_studies, write, each_s=530)


@shared_task(time_limit=600)
def explain_editions() -> None:
    """Explain how each edition differs from the one before it."""
    from scoring.boards import explanations

    sweeps.over_rows("editions", explanations.due_editions, explanations.explain_by_key, what="edition", each_s=570)


@shared_task(time_limit=600)
def screen_raters() -> None:
    """Screen the raters of every study with something new, and flag votes that do not look like listening."""
    from scoring.screening import sweep as screening

    sweeps.over_studies("raters", screening.due_studies, screening.screen_if_due, each_s=530)


@shared_task(time_limit=300)
def screen_groups() -> None:
    """Judge the groups in which raters came, and flag those who vote for or against one system together."""
    from scoring.screening import coordinated

    sweeps.over_studies("groups", coordinated.due_studies, coordinated.screen_groups, each_s=270)


@shared_task
def score_clips() -> None:
    """Embed and reward clips under the live model. Runs on the gpu queue."""
    sweeps.once("rewards", _score_clips)


@shared_task
def work_off_score_jobs() -> None:
    """Score files that researchers sent, then one round of clips: while files keep coming, the clips' own messages
    would expire in the queue. Runs on the gpu queue."""
    n_scored = 0

    def work_off():
        nonlocal n_scored
        from scoring.file_scoring import jobs as score_jobs

        with watchdog(seconds=600):
            n_scored = score_jobs.work_off()

    sweeps.once("score jobs", work_off)
    if n_scored:
        score_clips()


def _score_clips():
    from scoring.file_scoring import jobs as score_jobs
    from scoring.jury.worker import score_pending

    with watchdog(seconds=600):
        score_pending(others_wait=score_jobs.are_waiting)


@shared_task(time_limit=300)
def erase_scored_files() -> None:
    """Erase files and results a day after they were scored."""
    from scoring.file_scoring import jobs as score_jobs

    sweeps.once("erasures", score_jobs.erase)


@contextmanager
def watchdog(seconds: float) -> Iterator[None]:
    """End this process if the block takes longer, because a solo worker has no time limit, or if its device has failed;
    the supervisor starts another."""
    timer = threading.Timer(seconds, _end_process, [f"scoring has not ended within {seconds} s"])
    timer.daemon = True
    timer.start()
    try:
        yield
    except DeviceFailed as failure:
        _end_process(str(failure))
    finally:
        timer.cancel()


def _end_process(why):
    logger.critical("%s; this worker ends", why)
    os._exit(1)


@shared_task(time_limit=600)
def release_pairs() -> None:
    """A new release of training pairs, if there are votes since the last one."""
    from scoring.releases import numbered as releases

    sweeps.once("releases", releases.release_new_pairs)


@shared_task(time_limit=6 * 3600)
def retrain() -> None:
    """The next step of retraining, if the loop is switched on and a step is due. Training takes minutes to hours."""
    from scoring.training import retraining

    sweeps.once("retraining", retraining.turn)
