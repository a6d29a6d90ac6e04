"""Sweeps over the jury's work. Thin: what to do is in services and jury; what is left to do is in the database."""

import logging
import os
import threading
from contextlib import contextmanager

from celery import shared_task
from django.utils import timezone

from annotations.alarms import raise_alarm
from arena.models import Study

from . import services
from .models import RewardModel

logger = logging.getLogger(__name__)


@shared_task(time_limit=300)
def refit_boards():
    """A new edition for every board that the ledger has run ahead of."""
    for study in Study.objects.all():
        if services.board_is_due(study):
            services.refit_board(study, only_if_due=True)


@shared_task(time_limit=1800)
def compute_categories():
    """The boards of the categories of every last edition that has none."""
    from . import categories

    for study in Study.objects.all():
        if categories.categories_are_due(study):
            categories.compute_categories(study)


@shared_task(time_limit=600)
def draw_figures():
    """The figures of every study whose edition or rewards have moved since they were drawn."""
    from . import figures

    for study in Study.objects.all():
        if figures.figures_are_due(study):
            figures.draw_figures(study)


@shared_task(time_limit=300)
def refit_anchors():
    """A new anchor fit for every board that moved since the last one, under the live model."""
    model = RewardModel.live()
    for study in Study.objects.all() if model else ():
        if services.anchors_are_due(study, model):
            services.refit_anchors(study, model, only_if_due=True)


@shared_task(time_limit=600)
def screen_raters():
    """Judge the raters of every study where there is something new, and flag what does not look like listening."""
    from . import screening

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
    from . import jury

    with watchdog(seconds=600):
        jury.score_pending()


@contextmanager
def watchdog(seconds):
    """End this process if the block takes longer: a solo worker knows no time limit, its supervisor restarts it."""
    timer = threading.Timer(seconds, _end_process, [seconds])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end_process(seconds):
    logger.critical("scoring hangs for %s s; this worker ends", seconds)
    os._exit(1)


@shared_task(time_limit=600)
def release_pairs():
    """A new release of training pairs, if there are votes that the last one did not have."""
    from . import releases

    releases.release_new_pairs()


@shared_task(time_limit=6 * 3600)
def retrain():
    """The next step of retraining, if the loop is on and something is due. Training takes minutes to hours."""
    from . import retraining

    retraining.turn()
