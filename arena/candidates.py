"""Which excerpts a study needs, and which clip pairs it can serve once they are cut."""

import time
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

from django.db.models import Q

from .models import Clip, Excerpt, Status, Study

FRESH_S = 5
STEP_MS = 100  # lengths are whole tenths of a second, so that clips of about equal length share an excerpt


@dataclass(frozen=True)
class Candidate:
    """Two clips that can meet, the one of the lower system id first, with their excerpts of common length."""

    prompt_id: int
    length_ms: int
    system_ids: tuple[int, int]
    clip_ids: tuple[int, int]
    excerpt_ids: tuple[int, int]


def playable_length(duration_ms, study):
    """A clip's length in a study: all of it, to the tenth of a second, up to the study's `excerpt_s`."""
    return min(duration_ms // STEP_MS * STEP_MS, study.excerpt_s * 1000)


def clips_by_prompt(study):
    """The study's ready clips as {prompt_id: [(clip_id, system_id, length_ms)]}."""
    clips = Clip.objects.filter(
        Q(prompt__studies=study) if study.prompts.exists() else Q(),
        status=Status.READY,
        system__in=study.systems.filter(retired_at__isnull=True),
    )
    grouped = defaultdict(list)
    for clip_id, prompt_id, system_id, duration in clips.order_by("pk").values_list(
        "pk", "prompt_id", "system_id", "duration_ms"
    ):
        grouped[prompt_id].append((clip_id, system_id, playable_length(duration, study)))
    return grouped


def needed_excerpts(study):
    """(clip_id, length_ms) of every excerpt that some pair of the study needs."""
    needed = set()
    for clips in clips_by_prompt(study).values():
        systems_at = defaultdict(set)
        for _, system, length in clips:
            systems_at[length].add(system)
        for clip, system, length in clips:
            for other_length, systems in systems_at.items():
                if systems - {system}:
                    needed.add((clip, min(length, other_length)))
    return needed


def request_excerpts(study):
    """Write down, as pending rows, the excerpts that the study needs and nobody has asked for yet."""
    have = set(Excerpt.objects.filter(codec=study.codec).values_list("clip_id", "length_ms"))
    missing = needed_excerpts(study) - have
    Excerpt.objects.bulk_create(
        [Excerpt(clip_id=clip, length_ms=length, codec=study.codec) for clip, length in sorted(missing)],
        ignore_conflicts=True,
    )
    return len(missing)


def candidates(study):
    """Every clip pair that can be served now, as {(low system id, high system id): [Candidate, ...]}."""
    grouped = clips_by_prompt(study)
    ready = {
        (clip, length): pk
        for pk, clip, length in Excerpt.objects.filter(
            codec=study.codec, status=Status.READY, clip__system__studies=study
        ).values_list("pk", "clip_id", "length_ms")
    }
    pairs = defaultdict(list)
    for prompt, clips in grouped.items():
        for i, one in enumerate(clips):
            for other in clips[i + 1 :]:
                candidate = _candidate(prompt, one, other, ready)
                if candidate:
                    pairs[candidate.system_ids].append(candidate)
    return pairs


def recent_candidates(study):
    """`candidates`, at most FRESH_S seconds old: every listener asks, and new clips may wait that long."""
    return _candidates_at(study.pk, time.monotonic() // FRESH_S)


@lru_cache(maxsize=4)
def _candidates_at(study_id, _moment):
    return candidates(Study.objects.get(pk=study_id))


def _candidate(prompt, one, other, ready):
    (clip1, system1, length1), (clip2, system2, length2) = sorted((one, other), key=lambda clip: clip[1])
    length = min(length1, length2)
    excerpts = ready.get((clip1, length)), ready.get((clip2, length))
    if system1 == system2 or None in excerpts:
        return None
    return Candidate(prompt, length, (system1, system2), (clip1, clip2), excerpts)
