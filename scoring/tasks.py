"""Sweeps over the jury's work. Thin: what to do is in the rooms; what is left to do is in the database."""

import logging
import os
import threading
from contextlib import contextmanager

from celery import shared_task
from django.utils import timezone

from annotations.alarms import raise_alarm
from arena.models import Study

from .models import RewardModel, Standing
from .reward.faults import DeviceFailed

logger = logging.getLogger(__name__)


@shared_task(time_limit=300)
def refit_boards():
    """A new edition for every board that the ledger has run ahead of."""
    from .boards import refit

    for study in Study.objects.all():
        refit.refit_board(study, only_if_due=True)


@shared_task(time_limit=60)
def move_standings_on():
    """Count the votes that came since the last editions."""
    from scoring.boards import standings

    for standing in Standing.objects.defer("counts").select_related("study"):
        if standings.is_behind(standing):
            standings.move_on(standing.study)


@shared_task(time_limit=1800)
def compute_categories():
    """The boards of the categories of every last edition that has none."""
    from scoring.boards import categories

    for study in Study.objects.all():
        if categories.categories_are_due(study):
            categories.compute_categories(study)


@shared_task(time_limit=600)
def draw_figures():
    """The figures of every study whose edition or rewards have moved since they were drawn."""
    from scoring.boards.figures import data as figures

    for study in Study.objects.all():
        if figures.figures_are_due(study):
            figures.draw_figures(study)


@shared_task(time_limit=300)
def refit_anchors():
    """A new anchor fit for every board that moved since the last one, under the live model."""
    from .anchors import refit

    model = RewardModel.live()
    for study in Study.objects.all() if model else ():
        refit.refit_anchors(study, model, only_if_due=True)


@shared_task(time_limit=600)
def power_boards():
    """Ratings of votes and rewards beside every edition that has none yet under the live model."""
    from scoring.boards import prediction_powered

    for study in Study.objects.all():
        prediction_powered.compute_due(study)


@shared_task(time_limit=600)
def write_cards():
    """A robustness card for every last edition without one."""
    from scoring.boards import robustness_cards

    for study in Study.objects.all():
        if robustness_cards.card_is_due(study):
            robustness_cards.write_card(study, only_if_due=True)


@shared_task(time_limit=600)
def explain_editions():
    """What moved each edition away from the one before it."""
    from scoring.boards import explanations

    for edition in explanations.unexplained()[: explanations.PER_SWEEP]:
        explanations.explain(edition)


@shared_task(time_limit=600)
def screen_raters():
    """Judge the raters of every study where there is something new, and flag what does not look like listening."""
    from scoring.screening import sweep as screening

    for study in Study.objects.all():
        try:
            if screening.screening_is_due(study):
                screening.screen_study(study, only_if_due=True)
        except Exception as error:  # whatever breaks in one study must ring, and must not stop the others
            logger.exception("the raters of %s cannot be screened", study.slug)
            message = f"The raters cannot be screened: {error}"
            raise_alarm(study, screening.SCREEN, message, {}, timezone.now())


@shared_task
def score_clips():
    """Embed and reward clips under the live model. Runs on the gpu queue."""
    from scoring.file_scoring import jobs as score_jobs
    from scoring.jury.worker import score_pending

    with watchdog(seconds=600):
        score_pending(others_wait=score_jobs.are_waiting)


@shared_task
def work_off_score_jobs():
    """Score files that researchers sent. Then it is the clips' turn, whose own messages run out behind files that keep
    coming. Runs on the gpu queue."""
    from scoring.file_scoring import jobs as score_jobs

    with watchdog(seconds=600):
        n_scored = score_jobs.work_off()
    if n_scored:
        score_clips()


@shared_task(time_limit=300)
def erase_scored_files():
    """Forget what researchers sent, a day after it was scored."""
    from scoring.file_scoring import jobs as score_jobs

    score_jobs.erase()


@contextmanager
def watchdog(seconds):
    """End this process if the block takes longer, for a solo worker knows no time limit, or if its device has failed
    it: the supervisor starts another."""
    timer = threading.Timer(seconds, _end_process, [f"scoring hangs for {seconds} s"])
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
def release_pairs():
    """A new release of training pairs, if there are votes that the last one did not have."""
    from scoring.releases import numbered as releases

    releases.release_new_pairs()


@shared_task(time_limit=6 * 3600)
def retrain():
    """The next step of retraining, if the loop is on and something is due. Training takes minutes to hours."""
    from scoring.training import retraining

    retraining.turn()
