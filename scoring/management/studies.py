"""Shared by the commands that work on the boards of studies: those named, or all."""

from collections.abc import Sequence
from typing import Any

from django.core.management import CommandError

from arena.models import Study
from arena.refusals import NotFound
from scoring.models import Edition, RewardModel
from scoring.registry.live import find_model


def studies_of(slugs: Sequence[str], otherwise: Any) -> list[Study]:
    """The studies with these slugs; without slugs, those of the queryset `otherwise`. CommandError names unknown
    ones."""
    studies = list(Study.objects.filter(slug__in=slugs) if slugs else otherwise)
    if missing := set(slugs) - {study.slug for study in studies}:
        raise CommandError(f"There is no study {', '.join(sorted(missing))}.")
    return studies


def studies_with_edition(slugs: Sequence[str]) -> list[Study]:
    """The studies with these slugs, or all that have an edition; CommandError names those without."""
    with_edition = Study.objects.filter(pk__in=Edition.objects.values("study"))
    studies = studies_of(slugs, otherwise=with_edition)
    if without := [study.slug for study in studies if study not in with_edition]:
        raise CommandError(f"{', '.join(without)}: no edition of the board yet. Make one with refit_board.")
    return studies


def live_model() -> RewardModel:
    """The live reward model; CommandError without one."""
    try:
        return find_model()
    except NotFound as missing:
        raise CommandError(missing.message) from missing
