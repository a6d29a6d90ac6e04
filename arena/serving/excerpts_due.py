"""Which studies may need excerpts that were never requested: one query, whatever the number of studies."""

from django.db import connection
from django.utils import timezone

from ..models import ExcerptRequest, Study
from .candidates import request_excerpts

# All that the excerpts of a study depend on, as one hash: its settings, its systems in service with their measured
# clips, its prompts, and how many excerpts were rejected, because a check moves on to another clip then.
BASIS = """
    WITH clips AS (
        SELECT system_id, concat_ws(':', system_id, count(*), sum(id), sum(duration_ms)) AS state
        FROM arena_clip WHERE status = 'ready' GROUP BY system_id
    ), rejected AS (
        SELECT codec, count(*) AS n FROM arena_excerpt WHERE status = 'rejected' GROUP BY codec
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
            study.excerpt_s, study.codec, study.practice, study.golds, study.traps, coalesce(study.blocks, -1),
            coalesce(systems.states, ''), coalesce(prompts.ids, ''), coalesce(rejected.n, 0)
        )) AS basis
        FROM arena_study AS study
            LEFT JOIN systems ON systems.study_id = study.id
            LEFT JOIN prompts ON prompts.study_id = study.id
            LEFT JOIN rejected ON rejected.codec = study.codec
    )"""


def due_studies() -> list[int]:
    """Primary keys of the open studies that have changed, or whose clips have, since their excerpts were requested."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""{BASIS}
            SELECT study_id FROM bases LEFT JOIN arena_excerptrequest AS last USING (study_id)
            WHERE is_open AND bases.basis IS DISTINCT FROM last.basis"""
        )
        return [pk for (pk,) in cursor.fetchall()]


def request(study: Study) -> None:
    """Request the study's excerpts, and remember what they were requested for."""
    with connection.cursor() as cursor:
        cursor.execute(f"{BASIS} SELECT basis FROM bases WHERE study_id = %s", [study.pk])
        (basis,) = cursor.fetchone()  # before its clips are read: what comes meanwhile is seen by the next sweep
    request_excerpts(study)
    values = {"basis": basis, "requested_at": timezone.now()}
    ExcerptRequest.objects.update_or_create(study=study, defaults=values)
