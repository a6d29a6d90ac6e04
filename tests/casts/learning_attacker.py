"""An attacker who has learnt, from battles whose answers were revealed, what came with which clip, and recognises clips
in battles that were not.

Whatever was observed of a slot becomes columns; each value that was seen in learning votes for the clips it came with
(naive Bayes with one added to every count). The prompt is public, so the guess is among the prompt's clips, and chance
is one in as many. Whether guesses are better than chance is decided by permutation: if nothing tells the clips of a
prompt apart, each rater could as well have had any other order of them.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from math import log

import numpy as np

N_SHUFFLES = 5000


@dataclass(frozen=True)
class Seen:
    """What was observed of one slot, and, for the judge, what was in it."""

    observed: dict
    rater: int
    prompt: int
    clip: int


@dataclass(frozen=True)
class Recognition:
    accuracy: float
    chance: float
    p: float


class Attacker:
    def __init__(self, learnt: list[Seen]):
        self.clips = defaultdict(set)
        self.with_value = defaultdict(Counter)
        for seen in learnt:
            self.clips[seen.prompt].add(seen.clip)
            for column in seen.observed.items():
                self.with_value[column][seen.clip] += 1

    def guess(self, seen: Seen) -> int:
        """Of the prompt's clips the one that the observed values speak for most."""
        clips = sorted(self.clips[seen.prompt])
        score = np.zeros(len(clips))
        for column in seen.observed.items():
            if counts := self.with_value.get(column):
                of_prompt = sum(counts[clip] for clip in clips)
                score += [log((counts[clip] + 1) / (of_prompt + len(clips))) for clip in clips]
        best = np.flatnonzero(score >= score.max() - 1e-9)
        return clips[best[len(seen.observed) % len(best)]]


def recognise(learnt: list[Seen], fresh: list[Seen], rng: np.random.Generator) -> Recognition:
    attacker = Attacker(learnt)
    guesses = [attacker.guess(seen) for seen in fresh]
    truth = [seen.clip for seen in fresh]
    of_rater = defaultdict(list)  # {(rater, prompt): places}
    for place, seen in enumerate(fresh):
        of_rater[seen.rater, seen.prompt].append(place)
    hits = sum(guess == clip for guess, clip in zip(guesses, truth, strict=True))
    by_chance = np.zeros(N_SHUFFLES)
    for (_, prompt), places in of_rater.items():
        clips = np.array(sorted(attacker.clips[prompt]))
        of_places = np.searchsorted(clips, [truth[place] for place in places])
        guessed = np.array([guesses[place] for place in places])
        orders = rng.permuted(np.tile(clips, (N_SHUFFLES, 1)), axis=1)
        by_chance += (orders[:, of_places] == guessed).sum(axis=1)
    p = (1 + (by_chance >= hits).sum()) / (1 + N_SHUFFLES)
    return Recognition(hits / len(fresh), float(by_chance.mean()) / len(fresh), float(p))
