"""Score clips and what the sanity probes make of them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from arena.models import Clip, Status
from arena.refusals import Conflict
from arena.services import local_copy
from scoring.evaluation import probes

from .judge import BATCH, Judge, NoReward, Sound

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


def files(judge: Judge, paths: Iterable[str | Path]) -> Iterator[Original]:
    """Called by their names where these differ, else by their paths; nobody knows their prompts."""
    names = [Path(path).name for path in paths]
    for path, name in zip(paths, names, strict=True):
        yield Original(name if len(set(names)) == len(names) else str(path), "", judge.hear(path))


def sample_clips(judge: Judge, count: int, *, with_prompt: bool) -> Iterator[Original]:
    """Of the arena's ready clips always the same ones while there are no new clips: the first by their sha256."""
    clips = Clip.objects.filter(status=Status.READY).select_related("system", "prompt").order_by("sha256", "pk")[:count]
    if not clips:
        raise Conflict("The arena has no ready clip to make probes of: name files.")
    for clip in clips:
        with local_copy(clip.original) as path:
            heard = judge.hear(path)
        yield Original(f"clip {clip.pk} ({clip.system})", clip.prompt.text if with_prompt else "", heard)


def probe(judge: Judge, originals: Iterable[Original], progress: Callable[[], object]) -> Probing:
    """Score the originals, at most their first SECONDS, and every probe of each."""
    columns: dict[str, list[float | None]] = {"original": [], **{one.name: [] for one in probes.PROBES}}
    failures: dict[str, dict[str, str]] = {}
    names, prompts = [], []
    for place, original in enumerate(originals):
        names.append(original.name)
        prompts.append(original.prompt)
        if isinstance(original.sound, NoReward):
            failures.setdefault("original", {})[original.name] = original.sound.reason
        for name, reward in _probe_one(judge, place, original).items():
            if not isinstance(reward, NoReward):
                columns[name].append(reward)
                continue
            columns[name].append(None)
            if reward is not original.sound:
                failures.setdefault(name, {})[original.name] = reward.reason
        progress()
    rewards = columns.pop("original")
    outcomes = [probes.compare(one, rewards, columns[one.name]) for one in probes.PROBES]
    return Probing(names, prompts, rewards, [one for one in outcomes if one], columns, failures)


def _probe_one(judge, place, original) -> dict[str, float | NoReward]:
    names = ["original", *(one.name for one in probes.PROBES)]
    if isinstance(original.sound, NoReward):
        return dict.fromkeys(names, original.sound)
    rate = original.sound.sample_rate
    waveform = original.sound.waveform[: SECONDS * rate]
    given: dict[str, float | NoReward] = {}
    made = {"original": Sound(waveform, rate)}
    for one in probes.PROBES:
        try:
            made[one.name] = Sound(one.apply(waveform, rate, place), rate)
        except ValueError as failure:
            given[one.name] = NoReward(str(failure))
    names, sounds = list(made), list(made.values())
    for start in range(0, len(sounds), BATCH):
        batch = sounds[start : start + BATCH]
        given |= zip(names[start : start + BATCH], judge.rewards(batch, [original.prompt] * len(batch)), strict=True)
    return given
