"""Delete the files of excerpts that nobody can hear any more. Their rows stay: battles say by them what was heard."""

from datetime import timedelta

from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone

from arena.models import Excerpt, Status

KEPT = timedelta(hours=1)  # after the answer: the page may still play and download it
AT_ONCE = 500

# Replaced ones, and, of those from before excerpts were cut for one study, the ones for which every open study of their
# system has its own. Never the last that could be served of a pool, nor what a battle still needs.
DUE = """
    SELECT excerpt.id, excerpt.study_id FROM arena_excerpt AS excerpt
    WHERE status = 'ready' AND {which} {only}
        AND NOT EXISTS (SELECT FROM arena_battle WHERE excerpt_a_id = excerpt.id AND {is_needed})
        AND NOT EXISTS (SELECT FROM arena_battle WHERE excerpt_b_id = excerpt.id AND {is_needed})
    LIMIT %(most)s"""
IS_NEEDED = "(closed_at IS NULL AND expires_at > %(now)s OR closed_at > %(kept)s)"
REPLACED = """is_replaced AND (n_served = 0 OR EXISTS (
    SELECT FROM arena_excerpt AS other
    WHERE other.study_id = excerpt.study_id AND other.clip_id = excerpt.clip_id AND other.length_ms = excerpt.length_ms
        AND other.codec = excerpt.codec AND other.variant = excerpt.variant AND other.status = 'ready'
        AND NOT other.is_replaced))"""
SUPERSEDED = """study_id IS NULL AND NOT EXISTS (
    SELECT FROM arena_clip AS clip
        JOIN arena_study_systems AS chosen ON chosen.system_id = clip.system_id
        JOIN arena_study AS study ON study.id = chosen.study_id AND study.is_open
    WHERE clip.id = excerpt.clip_id AND NOT EXISTS (
        SELECT FROM arena_excerpt AS own
        WHERE own.study_id = study.id AND own.clip_id = clip.id AND own.status IN ('ready', 'rejected')
            AND own.variant = ''))"""


UNFINISHED = "SELECT id, study_id FROM arena_excerpt WHERE status = 'spent' AND file <> '' LIMIT %(most)s"


def due() -> dict[int, int | None]:
    """{excerpt: its study} of those whose files can be deleted."""
    return _found(REPLACED) | _found(SUPERSEDED) | _read(UNFINISHED, {"most": AT_ONCE})


def _found(which, only=None):
    now = timezone.now()
    query = DUE.format(which=which, is_needed=IS_NEEDED, only="" if only is None else "AND excerpt.id = %(only)s")
    return _read(query, {"now": now, "kept": now - KEPT, "most": AT_ONCE, "only": only})


def _read(query, values):
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return dict(cursor.fetchall())


def tidy(excerpt_id: int) -> None:
    """Delete the file of an excerpt that is due. Idempotent."""
    with transaction.atomic():
        excerpt = Excerpt.objects.select_for_update(no_key=True).get(pk=excerpt_id)  # nobody is just being served it
        if excerpt.status == Status.READY and (_found(REPLACED, excerpt_id) or _found(SUPERSEDED, excerpt_id)):
            Excerpt.objects.filter(pk=excerpt_id).update(status=Excerpt.SPENT)
        elif excerpt.status != Excerpt.SPENT:
            return
    if excerpt.file.name:
        default_storage.delete(excerpt.file.name)
    Excerpt.objects.filter(pk=excerpt_id).update(file="")
