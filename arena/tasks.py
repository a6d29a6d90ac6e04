"""Sweeps: do the pending work in the database, a few rows at a time. See `arena.sweeps`."""

from celery import shared_task

from . import services, sweeps
from .models import Clip, Excerpt
from .security import forgetting
from .serving import excerpts_due, spent_excerpts


@shared_task(time_limit=900)
def ingest_clips() -> None:
    """Measure pending clips."""
    sweeps.over_claims("ingest", Clip.objects.all(), services.ingest_clip, what="clip", most=4)


@shared_task(time_limit=300)
def request_excerpts() -> None:
    """Request the excerpts that open studies need and that were not requested yet."""
    sweeps.over_studies("requests", excerpts_due.due_studies, excerpts_due.request, each_s=240)


@shared_task(time_limit=900)
def cut_excerpts() -> None:
    """Cut pending excerpts."""
    sweeps.over_claims("excerpts", Excerpt.objects.all(), services.cut_excerpt, what="excerpt", most=4)


@shared_task(time_limit=300)
def tidy_excerpts() -> None:
    """Delete the files of excerpts that nobody can hear any more."""
    sweeps.over_rows("tidy", spent_excerpts.due, spent_excerpts.tidy, what="excerpt", each_s=60)


@shared_task(time_limit=60)
def forget_arrivals() -> None:
    """Delete old arrivals."""
    sweeps.once("arrivals", services.forget_arrivals)


@shared_task(time_limit=900)
def tidy_files() -> None:
    """Delete files that nobody needs."""
    sweeps.once("leftovers", services.tidy)


@shared_task(time_limit=60)
def forget_sign_ins() -> None:
    """Delete old failures to sign in, and sessions that have run out."""
    sweeps.once("sign-ins", forgetting.forget)


@shared_task(time_limit=60)
def watch_sweeps() -> None:
    """Tell staff of sweeps that do not get through."""
    sweeps.once(sweeps.WATCH, sweeps.watch)
