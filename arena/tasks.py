"""Sweeps: do the pending work in the database, a few rows at a time."""

from collections.abc import Callable
from typing import Any

from celery import shared_task

from . import services
from .models import Clip, Excerpt, Study
from .serving import candidates


@shared_task(time_limit=900)
def ingest_clips() -> None:
    """Measure pending clips."""
    work_off(Clip, services.ingest_clip)


@shared_task(time_limit=900)
def cut_excerpts() -> None:
    """Request the excerpts that open studies need, and cut pending ones."""
    for study in Study.objects.filter(is_open=True):
        candidates.request_excerpts(study)
    work_off(Excerpt, services.cut_excerpt)


@shared_task(time_limit=60)
def forget_arrivals() -> None:
    """Delete old arrivals."""
    services.forget_arrivals()


def work_off(model: Any, work: Callable[[Any], object], limit: int = 4) -> None:
    """Claim and do rows one at a time: a row that fails delays only itself, until its claim expires."""
    for _ in range(limit):
        if (pk := model.objects.claim()) is None:
            return
        work(pk)
