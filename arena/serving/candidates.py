"""Which clips a study can compare, at which length, and which checks it can serve. For clip pairs see `stock`, for how
many excerpts there are of each clip `pools`.

All clips of a prompt are heard at one length, that of the shortest: a length of each pair would name the clips.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from ..models import Clip, Excerpt, Status, Study
from .process_cache import recent

DEGRADED = (Excerpt.Variant.LOWPASS, Excerpt.Variant.CLIPPED, Excerpt.Variant.NOISY)
MOST_CHECKS = 24  # clips with a variant, per study and purpose
STEP_MS = 100  # lengths are multiples of this
SPREAD_MS = 300  # within which the excerpts of a clip begin
SHORTEST_MS = 1000


@dataclass(frozen=True)
class Candidate:
    """Two clips that can form a battle, the one of the lower system id first. is_own: whether their excerpts were cut
    for the study, rather than for all studies by an earlier version."""

    prompt_id: int
    length_ms: int
    system_ids: tuple[int, int]
    clip_ids: tuple[int, int]
    is_own: bool


@dataclass(frozen=True)
class Served:
    """The clips of a prompt that can be played now, and at which length."""

    is_own: bool
    length_ms: int
    clips: frozenset[int]


def playable_length(duration_ms: Any, study: Study) -> int:
    """How much of a clip can be heard in a study, to the tenth of a second: up to `excerpt_s`, and so that the excerpts
    can begin SPREAD_MS apart, unless the study plays clips in full length or they are hardly longer than a second."""
    spread = 0 if study.full_length else min(SPREAD_MS, max(0, duration_ms - SHORTEST_MS))
    return min((duration_ms - spread) // STEP_MS * STEP_MS, study.excerpt_s * 1000)


def clips_by_prompt(study: Study) -> dict[int, list[tuple[int, int, int]]]:
    """The study's ready clips as {prompt_id: [(clip_id, system_id, playable length)]}."""
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


def common_length(clips: Iterable[tuple[int, int, int]]) -> int:
    """At which length the clips of a prompt are heard."""
    return min(length for _, _, length in clips)


@dataclass(frozen=True)
class Check:
    """A clip that can be served against a variant of itself."""

    prompt_id: int
    length_ms: int
    system_id: int
    clip_id: int
    variant: str
    is_own: bool


def needed_excerpts(study: Study) -> set[tuple[int, int]]:
    """(clip_id, length_ms) of every plain excerpt that some pair of the study needs."""
    return {
        (clip, common_length(clips))
        for clips in clips_by_prompt(study).values()
        if len({system for _, system, _ in clips}) > 1
        for clip, _, _ in clips
    }


def needed_checks(study: Study, refused: set[tuple[int, int, str]]) -> set[tuple[int, int, str]]:
    """(clip_id, length_ms, variant) of every excerpt that the study's checks need, the plain ones included.

    A few clips, spread over the study by a fixed hash: enough that no rater hears one twice. A gold has all kinds of
    degraded copies, so that none names it. A clip of which every variant was refused (they would not be audible on that
    clip) is replaced by the next. refused: keys that cannot be cut.
    """
    needed = set()
    everything = _spread_over_prompts(study)
    for wanted, variants in ((study.practice + _in_blocks(study.golds, study), DEGRADED),
                             (_in_blocks(study.traps, study), (Excerpt.Variant.TONES,))):  # fmt: skip
        n_chosen = 0
        for clip, length in everything:
            if n_chosen >= min(wanted, MOST_CHECKS):
                break
            possible = {(clip, length, variant.value) for variant in variants} - refused
            if possible and (clip, length, "") not in refused:
                needed |= {*possible, (clip, length, "")}
                n_chosen += 1
    return needed


def _spread_over_prompts(study):
    """[(clip, length)], one clip of every prompt before the second of any: the prompt must not hint at a check."""
    lengths = dict(needed_excerpts(study))
    by_prompt = (
        sorted((_hash(study, clip), clip) for clip, _, _ in clips if clip in lengths)
        for clips in clips_by_prompt(study).values()
    )
    ranked = sorted(pair for clips in by_prompt for pair in enumerate(clips))
    return [(clip, lengths[clip]) for _, (_, clip) in ranked]


def _hash(study, clip):
    return hashlib.sha256(f"{study.pk}:{clip}".encode()).digest()


def _in_blocks(per_block, study):
    return per_block * (study.blocks or MOST_CHECKS) * 2  # twice what one rater needs, so that raters differ


# ---- what can be played now ---------------------------------------------------------------------------


def ready_excerpts(study: Study, variants: Iterable[str]) -> set[tuple[bool, int, int, str]]:
    """(is_own, clip_id, length_ms, variant) of what can be played: the study's own, and those of an earlier version."""
    ready = Excerpt.objects.filter(codec=study.codec, status=Status.READY, variant__in=list(variants))
    shared = ready.filter(study=None, clip__system__studies=study)
    return {
        (is_own, *key)
        for is_own, rows in ((True, ready.filter(study=study)), (False, shared))
        for key in rows.order_by().values_list("clip_id", "length_ms", "variant").distinct()
    }


def served_by_prompt(study: Study, grouped: dict[int, list[tuple[int, int, int]]]) -> dict[int, Served]:
    """{prompt_id: Served} of the clips in `grouped`, as from `clips_by_prompt`.

    Once every clip of a prompt has an excerpt of the study's own at their common length, or cannot have one, these are
    served. Until then, after an upgrade or a shorter clip, it is the length at which most clips can be played, so that
    nobody waits.
    """
    ready = defaultdict(set)  # {clip: {(is_own, length)}}
    for is_own, clip, length, _ in ready_excerpts(study, [Excerpt.Variant.PLAIN]):
        ready[clip].add((is_own, length))
    refused = _refused_plain(study)
    served = {}
    for prompt, clips in grouped.items():
        own = True, common_length(clips)
        if all(own in ready[clip] or (clip, own[1]) in refused for clip, _, _ in clips):
            best = own
        else:
            n_ready = Counter(place for clip, _, _ in clips for place in ready[clip])
            best = max(n_ready, key=lambda place: (n_ready[place], place == own, *place), default=own)
        served[prompt] = Served(*best, frozenset(clip for clip, _, _ in clips if best in ready[clip]))
    return served


def _refused_plain(study):
    rejected = Excerpt.objects.filter(study=study, codec=study.codec, status=Status.REJECTED, variant="")
    return set(rejected.values_list("clip_id", "length_ms"))


def ready_checks(study: Study, tones: bool) -> list[Check]:
    """`checks`, cached for a few seconds: attention traps, or clips against their degraded copies."""
    return recent(("checks", study.pk, tones), lambda _: checks(study, tones))


def checks(study: Study, tones: bool) -> list[Check]:
    """Every clip that can be served against a variant of itself, as ordinary battles would serve it."""
    variants = defaultdict(list)
    for is_own, clip, length, variant in sorted(ready_excerpts(study, [Excerpt.Variant.TONES] if tones else DEGRADED)):
        variants[is_own, clip, length].append(variant)
    grouped = clips_by_prompt(study)
    return [
        Check(prompt, served.length_ms, system, clip, variant, served.is_own)
        for prompt, served in served_by_prompt(study, grouped).items()
        for clip, system, _ in grouped[prompt]
        if clip in served.clips
        for variant in variants[served.is_own, clip, served.length_ms]
    ]


def still_being_cut(study: Study) -> bool:
    """Whether first excerpts of clips are pending in the study, so that there will soon be more to serve."""
    return Excerpt.objects.filter(study=study, codec=study.codec, status=Status.PENDING, n_before=0).exists()
