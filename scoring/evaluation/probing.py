"""Score clips and what the sanity probes make of them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from arena.models import Clip, Status
from arena.refusals import Conflict
from arena.services import local_copy
from scoring.evaluation import probes
from scoring.jury.hearing import NoReward, Sound, hear, rewards, unless_machines_fault

if TYPE_CHECKING:
    from scoring.reward.scorer import Scorer


SECONDS = 30  # of each clip; as much as CMI-RewardBench's runner hears


@dataclass(frozen=True)
class Original:
    """What probes are made of: a name to print, the prompt that the model is given, and how it sounds."""

    name: str
    prompt: str
    sound: Sound | NoReward


@dataclass(frozen=True)
class Probing:
    """Rewards of originals and of each probe of each, and why some have none: {probe or "original": {name: reason}}."""

    names: list[str]
    prompts: list[str]
    rewards: list[float | None]
    outcomes: list[probes.Outcome]
    probed: dict[str, list[float | None]]
    failures: dict[str, dict[str, str]]


def files(paths: Iterable[str | Path]) -> Iterator[Original]:
    """Called by their names where these differ, else by their paths; nobody knows their prompts."""
    names = [Path(path).name for path in paths]
    for path, name in zip(paths, names, strict=True):
        yield Original(name if len(set(names)) == len(names) else str(path), "", unless_machines_fault(hear(path)))


def sample_clips(count: int, *, with_prompt: bool) -> Iterator[Original]:
    """Of the arena's ready clips always the same ones while there are no new clips: the first by their sha256."""
    clips = Clip.objects.filter(status=Status.READY).select_related("system", "prompt").order_by("sha256", "pk")[:count]
    if not clips:
        raise Conflict("The arena has no ready clip to make probes of: name files.")
    for clip in clips:
        with local_copy(clip.original) as path:
            sound = unless_machines_fault(hear(path))
        yield Original(f"clip {clip.pk} ({clip.system})", clip.prompt.text if with_prompt else "", sound)


def probe(scorer: "Scorer", originals: Iterable[Original], progress: Callable[[], object]) -> Probing:
    """Score the originals, at most their first SECONDS, and every probe of each. Raises what is this machine's fault
    and no file's."""
    columns: dict[str, list[float | None]] = {"original": [], **{probe.name: [] for probe in probes.PROBES}}
    failures: dict[str, dict[str, str]] = {}
    names, prompts = [], []
    for place, original in enumerate(originals):
        names.append(original.name)
        prompts.append(original.prompt)
        if isinstance(original.sound, NoReward):
            failures.setdefault("original", {})[original.name] = original.sound.reason
        for name, outcome in _score_probes(scorer, place, original).items():
            if not isinstance(outcome, NoReward):
                columns[name].append(outcome)
                continue
            columns[name].append(None)
            if outcome is not original.sound:
                failures.setdefault(name, {})[original.name] = outcome.reason
        progress()
    of_originals = columns.pop("original")
    outcomes = [probes.compare(probe, of_originals, columns[probe.name]) for probe in probes.PROBES]
    return Probing(names, prompts, of_originals, [outcome for outcome in outcomes if outcome], columns, failures)


def _score_probes(scorer, place, original) -> dict[str, float | NoReward]:
    """{"original", or a probe's name: reward, or why there is none}."""
    if isinstance(original.sound, NoReward):
        return dict.fromkeys(["original", *(probe.name for probe in probes.PROBES)], original.sound)
    rate = original.sound.sample_rate
    waveform = original.sound.waveform[: SECONDS * rate]
    sounds = {"original": Sound(waveform, rate)}
    not_made: dict[str, float | NoReward] = {}
    for probe in probes.PROBES:
        try:
            sounds[probe.name] = Sound(probe.apply(waveform, rate, place), rate)
        except ValueError as failure:
            not_made[probe.name] = NoReward(str(failure))
    scored = rewards(scorer, list(sounds.values()), [original.prompt] * len(sounds))
    return not_made | dict(zip(sounds, map(unless_machines_fault, scored), strict=True))
