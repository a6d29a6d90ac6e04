"""The sweeps of scoring. They are thin: the rooms know how the work is done, the database knows what is left to do."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from celery import shared_task
from django.utils import timezone

from annotations.alarms import raise_alarm
from arena.models import Study

from .models import RewardModel, Standing
from .reward.faults import DeviceFailed

logger = logging.getLogger(__name__)


@shared_task(time_limit=300)
def refit_boards() -> None:
    """A new edition of every board that is behind the ledger."""
    from .boards import refit

    for study in Study.objects.all():
        refit.refit_board(study, only_if_due=True)


@shared_task(time_limit=60)
def move_standings_on() -> None:
    """Count the votes since the last editions."""
    from scoring.boards import standings

    for standing in Standing.objects.defer("counts").select_related("study"):
        if standings.is_behind(standing):
            standings.move_on(standing.study)


@shared_task(time_limit=1800)
def compute_categories() -> None:
    """Compute the boards of the categories for every last edition that has none."""
    from scoring.boards import categories

    for study in Study.objects.all():
        if categories.categories_are_due(study):
            categories.compute_categories(study)


@shared_task(time_limit=600)
def draw_figures() -> None:
    """Draw the figures of every study whose edition or rewards have changed since they were drawn."""
    from scoring.boards.figures import data as figures

    for study in Study.objects.all():
        if figures.figures_are_due(study):
            figures.draw_figures(study)


@shared_task(time_limit=300)
def refit_anchors() -> None:
    """A new anchor fit, under the live model, for every board that has changed since the last one."""
    from .anchors import refit

    model = RewardModel.live()
    for study in Study.objects.all() if model else ():
        refit.refit_anchors(study, model, only_if_due=True)


@shared_task(time_limit=600)
def power_boards() -> None:
    """Compute prediction-powered ratings for every edition that has none yet under the live model."""
    from scoring.boards import prediction_powered

    for study in Study.objects.all():
        prediction_powered.compute_due(study)


@shared_task(time_limit=600)
def write_cards() -> None:
    """A robustness card for every last edition without one."""
    from scoring.boards import robustness_cards

    for study in Study.objects.all():
        if robustness_cards.card_is_due(study):
            robustness_cards.write_card(study, only_if_due=True)


@shared_task(time_limit=600)
def explain_editions() -> None:
    """Explain how each edition differs from the one before it."""
    from scoring.boards import explanations

    for edition in explanations.unexplained()[: explanations.PER_SWEEP]:
        explanations.explain(edition)


@shared_task(time_limit=600)
def screen_raters() -> None:
    """Screen the raters of every study with something new, and flag votes that do not look like listening."""
    from scoring.screening import sweep as screening

    for study in Study.objects.all():
        try:
            if screening.screening_is_due(study):
                screening.screen_study(study, only_if_due=True)
        except Exception as error:  # a failure in one study must raise an alarm, and must not stop the others
            logger.exception("the raters of %s cannot be screened", study.slug)
            message = f"The raters cannot be screened: {error}"
            raise_alarm(study, screening.SCREEN, message, {}, timezone.now())


@shared_task
def score_clips() -> None:
    """Embed and reward clips under the live model. Runs on the gpu queue."""
    from scoring.file_scoring import jobs as score_jobs
    from scoring.jury.worker import score_pending

    with watchdog(seconds=600):
        score_pending(others_wait=score_jobs.are_waiting)


@shared_task
def work_off_score_jobs() -> None:
    """Score files that researchers sent, then one round of clips: while files keep coming, the clips' own messages
    would expire in the queue. Runs on the gpu queue."""
    from scoring.file_scoring import jobs as score_jobs

    with watchdog(seconds=600):
        n_scored = score_jobs.work_off()
    if n_scored:
        score_clips()


@shared_task(time_limit=300)
def erase_scored_files() -> None:
    """Erase files and results a day after they were scored."""
    from scoring.file_scoring import jobs as score_jobs

    score_jobs.erase()


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

    releases.release_new_pairs()


@shared_task(time_limit=6 * 3600)
def retrain() -> None:
    """The next step of retraining, if the loop is switched on and a step is due. Training takes minutes to hours."""
    from scoring.training import retraining

    retraining.turn()
