"""Which excerpts a study needs, and which checks it can serve once they are cut. For clip pairs see `stock`."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from ..models import Clip, Excerpt, Status, Study
from .process_cache import recent

DEGRADED = (Excerpt.Variant.LOWPASS, Excerpt.Variant.CLIPPED, Excerpt.Variant.NOISY)
MOST_CHECKS = 24  # clips with a variant, per study and purpose
STEP_MS = 100  # lengths are multiples of this, so that clips of about equal length share an excerpt


@dataclass(frozen=True)
class Candidate:
    """Two clips that can form a battle, the one of the lower system id first, with their excerpts of common length."""

    prompt_id: int
    length_ms: int
    system_ids: tuple[int, int]
    clip_ids: tuple[int, int]
    excerpt_ids: tuple[int, int]


def playable_length(duration_ms: Any, study: Study) -> int:
    """A clip's length in a study: all of it, to the tenth of a second, up to the study's `excerpt_s`."""
    return min(duration_ms // STEP_MS * STEP_MS, study.excerpt_s * 1000)


def clips_by_prompt(study: Study) -> dict[int, list[tuple[int, int, int]]]:
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


@dataclass(frozen=True)
class Check:
    """A clip that can be served against a variant of itself."""

    prompt_id: int
    length_ms: int
    system_id: int
    clip_id: int
    plain_id: int
    variant_id: int


def needed_excerpts(study: Study) -> set[tuple[int, int]]:
    """(clip_id, length_ms) of every plain excerpt that some pair of the study needs."""
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


def needed_checks(study: Study) -> set[tuple[int, int, str]]:
    """(clip_id, length_ms, variant) of every excerpt that the study's checks need, the plain ones included.

    A few clips, spread over the study by a fixed hash: enough that no rater hears one twice. A clip whose variant was
    rejected (it would not be audible on that clip) is replaced by the next.
    """
    needed = set()
    refused = set(
        Excerpt.objects.filter(codec=study.codec, status=Status.REJECTED).values_list("clip_id", "length_ms", "variant")
    )
    everything = _spread_over_prompts(study)
    for wanted, variants in ((study.practice + _in_blocks(study.golds, study), DEGRADED),
                             (_in_blocks(study.traps, study), (Excerpt.Variant.TONES,))):  # fmt: skip
        n_chosen = 0
        for order, clip, length in everything:
            if n_chosen >= min(wanted, MOST_CHECKS):
                break
            variant = variants[order[0] % len(variants)]
            if not {(clip, length, variant), (clip, length, "")} & refused:
                needed |= {(clip, length, variant), (clip, length, "")}
                n_chosen += 1
    return needed


def _spread_over_prompts(study):
    """[(hash, clip, length)], one clip of every prompt before the second of any, and only lengths of ordinary
    battles: neither prompt nor length must hint at a check."""
    lengths = defaultdict(list)
    for clip, length in sorted(needed_excerpts(study)):
        lengths[clip].append(length)
    by_prompt = (
        sorted((_hash(study, clip), clip, lengths[clip]) for clip, _, _ in clips if clip in lengths)
        for clips in clips_by_prompt(study).values()
    )
    ranked = sorted(pair for clips in by_prompt for pair in enumerate(clips))
    return [(order, clip, options[order[1] % len(options)]) for _, (order, clip, options) in ranked]


def _hash(study, clip):
    return hashlib.sha256(f"{study.pk}:{clip}".encode()).digest()


def _in_blocks(per_block, study):
    return per_block * (study.blocks or MOST_CHECKS) * 2  # twice what one rater needs, so that raters differ


def request_excerpts(study: Study) -> int:
    """Create, as pending rows, the excerpts that the study needs and does not have yet; returns how many."""
    have = set(Excerpt.objects.filter(codec=study.codec).values_list("clip_id", "length_ms", "variant"))
    needed = {(clip, length, "") for clip, length in needed_excerpts(study)} | needed_checks(study)
    missing = needed - have
    Excerpt.objects.bulk_create(
        [
            Excerpt(clip_id=clip, length_ms=length, codec=study.codec, variant=variant)
            for clip, length, variant in sorted(missing)
        ],
        ignore_conflicts=True,
    )
    return len(missing)


def ready_excerpts(study: Study, variants: Iterable[str]) -> dict[tuple[int, int], list[tuple[str, int]]]:
    """{(clip_id, length_ms): [(variant, excerpt_id), ...]} of the study's excerpts that can be played."""
    ready = defaultdict(list)
    for pk, clip, length, variant in Excerpt.objects.filter(
        codec=study.codec, status=Status.READY, variant__in=variants, clip__system__studies=study
    ).order_by("pk").values_list("pk", "clip_id", "length_ms", "variant"):  # fmt: skip
        ready[clip, length].append((variant, pk))
    return ready


def ready_checks(study: Study, tones: bool) -> list[Check]:
    """`checks`, cached for a few seconds: attention traps, or clips against their degraded copies."""
    return recent(("checks", study.pk, tones), lambda _: checks(study, tones))


def checks(study: Study, tones: bool) -> list[Check]:
    """Every clip that can be served against a variant of itself, at a length that ordinary battles have."""
    plain = ready_excerpts(study, [Excerpt.Variant.PLAIN])
    variants = ready_excerpts(study, [Excerpt.Variant.TONES] if tones else DEGRADED)
    needed = needed_excerpts(study)
    of_clip = {clip: (prompt, system) for prompt, clips in clips_by_prompt(study).items() for clip, system, _ in clips}
    return [
        Check(of_clip[clip][0], length, of_clip[clip][1], clip, plain[clip, length][0][1], excerpt)
        for (clip, length), ready_variants in variants.items()
        if (clip, length) in plain and (clip, length) in needed
        for _, excerpt in ready_variants
    ]


def still_being_cut(study: Study) -> bool:
    """Whether excerpts of the study are pending, so that there will soon be more to serve."""
    return Excerpt.objects.filter(codec=study.codec, status=Status.PENDING, clip__system__studies=study).exists()
