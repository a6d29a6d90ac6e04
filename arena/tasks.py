"""Sweeps over the stage: what is pending in the database gets done, a few at a time."""

from celery import shared_task

from . import candidates, services
from .models import Clip, Excerpt, Study


@shared_task(time_limit=300)
def ingest_clips():
    """Measure pending clips."""
    for pk in Clip.objects.claim(limit=4):
        services.ingest_clip(pk)


@shared_task(time_limit=300)
def cut_excerpts():
    """Ask for the excerpts that open studies need, and cut pending ones."""
    for study in Study.objects.filter(is_open=True):
        candidates.request_excerpts(study)
    for pk in Excerpt.objects.claim(limit=4):
        services.cut_excerpt(pk)
