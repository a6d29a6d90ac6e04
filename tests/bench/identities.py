"""The screen of identities on a lecture hall: RATERS raters behind one connection within the hour, VOTES votes each.
CPU seconds of this process and its database backend, of a first screening and of one when nothing is new.
"""

import os
import time

from tests.bench.sweeps import cpu_s

RATERS, VOTES = 10_000, 30
SHAPES = ((4, 10), (16, 8))  # systems, prompts: raters share half of few clip pairs, or few of many
GOAL_S = 5

LAY_DOWN = """
CREATE TEMP TABLE hall AS SELECT gen_random_uuid() AS id, i FROM generate_series(1, %(raters)s) AS i;
INSERT INTO arena_rater (id, kind, created_at) SELECT id, 'listener', now() FROM hall;
INSERT INTO arena_arrival (rater_id, device, is_forwarded, at)
    SELECT id, 'hall ' || %(study)s, false, now() - interval '50 minutes' + i * interval '0.2 seconds' FROM hall;
CREATE TEMP TABLE pair AS
    SELECT row_number() OVER (ORDER BY a.id, b.id) AS n, a.prompt_id, a.system_id AS system_a, b.system_id AS system_b,
           a.id AS clip_a, b.id AS clip_b, ea.id AS excerpt_a, eb.id AS excerpt_b
    FROM arena_clip AS a JOIN arena_clip AS b ON b.prompt_id = a.prompt_id AND b.id > a.id
        JOIN arena_excerpt AS ea ON ea.clip_id = a.id JOIN arena_excerpt AS eb ON eb.clip_id = b.id
        JOIN arena_study_systems AS chosen ON chosen.system_id = a.system_id AND chosen.study_id = %(study)s;
CREATE TEMP TABLE drawn AS
    SELECT gen_random_uuid() AS id, hall.id AS rater, random() AS luck, pair.*
    FROM hall CROSS JOIN generate_series(1, %(votes)s) AS place
        JOIN pair ON pair.n = 1 + (hall.i * 7919 + place * 31) %% (SELECT count(*) FROM pair);
INSERT INTO arena_battle (id, study_id, rater_id, kind, prompt_id, system_a_id, system_b_id, clip_a_id, clip_b_id,
                          excerpt_a_id, excerpt_b_id, length_ms, codec, policy, pair_probability, clip_probability,
                          served_at, reserved_until, expires_at, closed_at, close_reason, skip_reason, expected)
    SELECT id, %(study)s, rater, 'ranked', prompt_id, system_a, system_b, clip_a, clip_b, excerpt_a, excerpt_b, 10000,
           'mp3', 'uniform', 0.1, 1, now(), now(), now(), now(), 'voted', '', '' FROM drawn;
INSERT INTO annotations_vote (battle_id, rater_id, preference, degree, axes, tags, heard, first_played, opened_ms,
                              decided_ms, received_at)
    SELECT id, rater, CASE WHEN luck < 0.7 THEN CASE WHEN n %% 2 = 0 THEN 'A' ELSE 'B' END WHEN luck < 0.8 THEN 'A'
           WHEN luck < 0.9 THEN 'B' ELSE 'TIE' END, '', '{}', '[]', '{}', '', 8000, 9000 + 4000 * luck,
           now() - interval '10 minutes' FROM drawn;
DROP TABLE hall, pair, drawn
"""


def run() -> list[dict]:
    """A row per number of clip pairs."""
    import tests.services  # noqa: F401 - starts the databases and sets the environment for the settings

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "arena.settings")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    n_raters = int(os.environ.get("IDENTITY_RATERS", RATERS))
    return [measure(n_raters, *shape) for shape in SHAPES]


def measure(n_raters, n_systems, n_prompts):
    from django.utils import timezone

    from annotations import identity

    study = make_hall(n_raters, n_systems, n_prompts)
    now = timezone.now()
    cpu, began = cpu_s(), time.perf_counter()
    screened = identity.screen_identities(study, now)
    first, took = cpu_s() - cpu, time.perf_counter() - began
    cpu = cpu_s()
    again = identity.screen_identities(study, now)
    return {"raters": n_raters, "votes": n_raters * VOTES, "clip_pairs": n_systems * (n_systems - 1) // 2 * n_prompts,
            "screened": len(screened), "cpu_s": round(first, 2), "goal_s": GOAL_S, "wall_s": round(took, 2),
            "again": len(again), "again_cpu_s": round(cpu_s() - cpu, 2)}  # fmt: skip


def make_hall(n_raters, n_systems, n_prompts):
    """A study of its own systems and prompts, and the votes of the raters of one connection."""
    from django.db import connection, transaction

    from arena.models import Clip, Excerpt, Prompt, Study, System

    study = Study.objects.create(slug=f"hall-{n_systems}", name="Hall", excerpt_s=10)
    systems = System.objects.bulk_create(System(name=f"{study.slug} {i}") for i in range(n_systems))
    prompts = Prompt.objects.bulk_create(Prompt(text=f"{study.slug} {i}") for i in range(n_prompts))
    study.systems.set(systems)
    clips = Clip.objects.bulk_create(
        Clip(system=system, prompt=prompt, sha256=f"{system.pk}-{prompt.pk}", status="ready", duration_ms=12_000,
             loudness_lufs=-14.0) for prompt in prompts for system in systems
    )  # fmt: skip
    Excerpt.objects.bulk_create(
        Excerpt(study=study, clip=clip, length_ms=10_000, codec="mp3", status="ready", file="none", size=1)
        for clip in clips
    )
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in LAY_DOWN.split(";\n"):
            cursor.execute(statement, {"study": study.pk, "raters": n_raters, "votes": VOTES})
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return study


if __name__ == "__main__":
    from tests.bench.__main__ import print_table

    print_table(run())
