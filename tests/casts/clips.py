"""Clips as they are after ingest, without the work of ingesting them."""

import uuid

from arena.models import Clip, Excerpt


def make_clip(system, prompt, duration_ms=12_000, length_ms=10_000):
    """A clip with its excerpt. Files are made by the tests that play them."""
    return make_clips([system], [prompt], duration_ms, length_ms)[0]


def make_clips(systems, prompts, duration_ms=12_000, length_ms=10_000):
    """A clip of every system for every prompt, prompt by prompt."""
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
    Excerpt.objects.bulk_create(
        Excerpt(
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
    )
    return clips
