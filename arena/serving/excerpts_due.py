"""Which studies may need excerpts that were never requested: one query, whatever the number of studies."""

from datetime import timedelta

from django.db import connection
from django.utils import timezone

from .. import sweeps
from ..models import ExcerptRequest, Study
from .pools import request_excerpts

LOOK_AGAIN = timedelta(seconds=60)  # where there was no room for all that is needed

# All that the excerpts of a study depend on, as one hash: its settings, its systems in service with their measured
# clips, its prompts, and how many excerpts were rejected, because a check moves on to another clip then.
BASIS = """
    WITH clips AS (
        SELECT system_id, concat_ws(':', system_id, count(*), sum(id), sum(duration_ms)) AS state
        FROM arena_clip WHERE status = 'ready' GROUP BY system_id
    ), rejected AS (
        SELECT study_id, count(*) AS n FROM arena_excerpt
        WHERE status = 'rejected' AND study_id IS NOT NULL GROUP BY study_id
    ), systems AS (
        SELECT chosen.study_id, string_agg(clips.state, ',' ORDER BY clips.system_id) AS states
        FROM arena_study_systems AS chosen
            JOIN arena_system AS system ON system.id = chosen.system_id AND system.retired_at IS NULL
            JOIN clips ON clips.system_id = chosen.system_id
        GROUP BY chosen.study_id
    ), prompts AS (
        SELECT study_id, md5(string_agg(prompt_id::text, ',' ORDER BY prompt_id)) AS ids
        FROM arena_study_prompts GROUP BY study_id
    ), bases AS (
        SELECT study.id AS study_id, study.is_open, md5(concat_ws('|',
            study.excerpt_s, study.full_length, study.excerpts_mb, study.codec,
            study.practice, study.golds, study.traps, coalesce(study.blocks, -1),
            coalesce(systems.states, ''), coalesce(prompts.ids, ''), coalesce(rejected.n, 0)
        )) AS basis
        FROM arena_study AS study
            LEFT JOIN systems ON systems.study_id = study.id
            LEFT JOIN prompts ON prompts.study_id = study.id
            LEFT JOIN rejected ON rejected.study_id = study.id
    )"""


def due_studies() -> list[int]:
    """Primary keys of the open studies that have changed, or whose clips have, since their excerpts were requested, or
    where an excerpt has been served and not been replaced. One that has no room is looked at less often."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""{BASIS}, served AS (
                SELECT DISTINCT study_id FROM arena_excerpt WHERE n_served > 0 AND NOT is_replaced
            )
            SELECT bases.study_id FROM bases
                LEFT JOIN arena_excerptrequest AS last USING (study_id)
                LEFT JOIN served USING (study_id)
            WHERE is_open AND (
                bases.basis IS DISTINCT FROM last.basis
                OR last.full_since IS NULL AND served.study_id IS NOT NULL
                OR last.full_since IS NOT NULL AND last.requested_at < %s)""",
            [timezone.now() - LOOK_AGAIN],
        )
        return [pk for (pk,) in cursor.fetchall()]


def request(study: Study) -> None:
    """Request the study's excerpts, and remember what they were requested for."""
    with connection.cursor() as cursor:
        cursor.execute(f"{BASIS} SELECT basis FROM bases WHERE study_id = %s", [study.pk])
        (basis,) = cursor.fetchone()  # before its clips are read: what comes meanwhile is seen by the next sweep
    _, is_full = request_excerpts(study)
    now, last = timezone.now(), ExcerptRequest.objects.filter(study=study).first()
    full_since = ((last and last.full_since) or now) if is_full else None
    values = {"basis": basis, "requested_at": now, "full_since": full_since}
    ExcerptRequest.objects.update_or_create(study=study, defaults=values)
    if full_since == now:
        _tell_that_there_is_no_room(study)


def _tell_that_there_is_no_room(study):
    message = (
        f"The excerpts of {study.slug} have reached {study.excerpts_mb:,} MB: clips keep fewer, which are served "
        "again. Raise excerpts_mb, or wait until open battles end."
    )
    sweeps.tell_staff("requests", study.pk, "excerpts", message, {"excerpts_mb": study.excerpts_mb})
