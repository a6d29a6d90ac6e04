"""Serving a battle and storing a vote, on the real PostgreSQL, as a multiple of the cheapest query there is."""

import os
import time
from datetime import timedelta
from statistics import median

VOTES = 300
SYSTEMS, PROMPTS = 20, 20


def run() -> list[dict]:
    """Median milliseconds of serve_battle and cast_vote over VOTES votes, and as a multiple of `SELECT 1`."""
    import tests.services  # noqa: F401 - starts the databases and sets the environment for the settings

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "arena.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    from annotations.services import Answer, cast_vote
    from arena.services import give_consent
    from arena.serving import serve_battle

    call_command("migrate", verbosity=0)
    study = make_study()
    times = {"SELECT 1": [], "serve_battle": [], "cast_vote": []}
    now = timezone.now() - timedelta(days=1)

    def timed(name, work, *arguments, **options):
        began = time.perf_counter()
        result = work(*arguments, **options)
        times[name].append((time.perf_counter() - began) * 1000)
        return result

    rater = None
    for number in range(VOTES):
        if number % 20 == 0:
            rater = give_consent(None, study, 1, now=now)
        timed("SELECT 1", connection.cursor().execute, "SELECT 1")
        battle, _ = timed("serve_battle", serve_battle, rater, study, now=now)
        now += timedelta(seconds=10)
        answer = Answer(preference="A", heard={"A": [[0, 4000]], "B": [[0, 4000]]}, first_played="A")
        timed("cast_vote", cast_vote, rater, battle.pk, answer, f"{number}", now=now)
    floor = median(times["SELECT 1"])
    return [
        {"what": name, "n": len(ms), "median_ms": round(median(ms), 3), "times_select_1": round(median(ms) / floor, 1)}
        for name, ms in times.items()
    ]


def make_study():
    """A study of SYSTEMS x PROMPTS playable clips, as they are after ingest; no audio is needed to draw pairs."""
    from arena.models import Clip, Excerpt, Prompt, Study, System

    study = Study.objects.create(slug="bench", name="Bench", excerpt_s=10)
    systems = System.objects.bulk_create(System(name=f"system {i}") for i in range(SYSTEMS))
    prompts = Prompt.objects.bulk_create(Prompt(text=f"prompt {i}") for i in range(PROMPTS))
    study.systems.set(systems)
    clips = Clip.objects.bulk_create(
        Clip(system=system, prompt=prompt, sha256=f"{system.pk}-{prompt.pk}", status="ready",
             duration_ms=12_000, loudness_lufs=-14.0)
        for system in systems for prompt in prompts
    )  # fmt: skip
    Excerpt.objects.bulk_create(
        Excerpt(study=study, clip=clip, length_ms=10_000, codec="mp3", status="ready", file="none", size=1)
        for clip in clips
    )
    return study
