"""Clips as they are after ingest, without the work of ingesting them."""

import uuid
from collections import defaultdict

from arena.models import Clip, Excerpt, Study


def make_clip(system, prompt, duration_ms=12_000, length_ms=10_000):
    """A clip with its excerpt. Files are made by the tests that play them."""
    return make_clips([system], [prompt], duration_ms, length_ms)[0]


def make_excerpt(clip, study, length_ms=10_000, status="ready", **fields):
    """One that is ready, without its file, or pending, or rejected."""
    done = {"file": f"excerpts/{uuid.uuid4().hex}.mp3", "size": 40 * length_ms} if status == "ready" else {}
    fields = {"codec": "mp3", "status": status, **done, **fields}
    return Excerpt.objects.create(study=study, clip=clip, length_ms=length_ms, **fields)


def make_ready(study):
    """An excerpt of the study's own for every clip of its systems that has none in it."""
    for clip in Clip.objects.filter(system__studies=study).exclude(excerpts__study=study):
        make_excerpt(clip, study)


def make_clips(systems, prompts, duration_ms=12_000, length_ms=10_000):
    """A clip of every system for every prompt, prompt by prompt, with an excerpt for each study of its system; one of
    an earlier version where there is none."""
    clips = Clip.objects.bulk_create(
        Clip(
            system=system,
            prompt=prompt,
            sha256=uuid.uuid4().hex * 2,
            original="originals/none.wav",
            status="ready",
            duration_ms=duration_ms,
            sample_rate=44100,
            channels=2,
            loudness_lufs=-14.0,
            true_peak_dbtp=-1.0,
        )
        for prompt in prompts
        for system in systems
    )
    studies = defaultdict(list)
    for study, system in Study.systems.through.objects.values_list("study", "system"):
        studies[system].append(study)
    Excerpt.objects.bulk_create(
        Excerpt(
            study_id=study,
            clip=clip,
            length_ms=length_ms,
            codec="mp3",
            status="ready",
            file=f"excerpts/{clip.pk}.mp3",
            size=400_000,
            gain_db=-9.0,
            loudness_lufs=-23.0,
            true_peak_dbtp=-3.0,
        )
        for clip in clips
        for study in studies[clip.system_id] or [None]
    )
    return clips
