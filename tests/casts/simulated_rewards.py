"""Listeners who hear how good each clip is, and a reward model that hears it too, as well as it is told to.

A system has an ability and a clip its own quality around it; raters have tastes of their own and tie what sounds alike.
The reward is the clip's quality under noise, scaled so that it predicts votes as well as such a reward can.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from scoring.stats.bradley_terry import BOTH_BAD

SYSTEMS = 8
ABILITY = np.linspace(-1.2, 1.2, SYSTEMS)
PAIRS = np.array([(i, j) for i in range(SYSTEMS) for j in range(SYSTEMS) if i != j])
NEAR = 1 / (1 + np.abs(ABILITY[PAIRS[:, 0]] - ABILITY[PAIRS[:, 1]]))  # studies pair equals more often
BIAS = 0.5 * np.cos(np.arange(SYSTEMS))  # what the reward model thinks of each system
QUALITY, TIE_WIDTH = 2.0, 0.5
USELESS = np.inf


@dataclass(frozen=True)
class Arena:
    """noise: of the reward, in units of quality; USELESS for one that hears nothing. taste: of raters for systems.
    scale: logits per unit of the reward. bad: below this level a clip is bad, and two such are BOTH_BAD."""

    noise: float = 1.0
    taste: float = 0.6
    scale: float = 1.0
    bad: float = -np.inf

    def votes(self, rng, rater):
        """(a, b, outcome, predicted), [V] each, for a rater number per vote; every vote is on clips of its own."""
        a, b = paired(rng, rater.size)
        quality = rng.normal(scale=QUALITY, size=(2, rater.size))
        taste = self.taste * rng.normal(size=(rater.max() + 1, SYSTEMS))
        heard_a, heard_b = (ABILITY[x] + q + taste[rater, x] for x, q in ((a, quality[0]), (b, quality[1])))
        heard = heard_a - heard_b + rng.logistic(size=rater.size)
        outcome = np.where(np.abs(heard) < TIE_WIDTH, 0.5, heard > 0)
        outcome[np.maximum(heard_a, heard_b) < self.bad] = BOTH_BAD
        return a, b, outcome, self._credit(rng, a, b, *quality)

    def unvoted(self, rng, n):
        """(a, b, predicted), [n] each, on clips of their own, from the same system pairs as the votes."""
        a, b = paired(rng, n)
        return a, b, self._credit(rng, a, b, *rng.normal(scale=QUALITY, size=(2, n)))

    def prompts(self, rng, n):
        """(a, b, predicted, prompt): all pairs of n prompts with one clip of each system; pairs share clips."""
        first, second = np.triu_indices(SYSTEMS, 1)
        reward = self._reward(rng, np.arange(SYSTEMS), rng.normal(scale=QUALITY, size=(n, SYSTEMS)))
        credit = expit(self.scale * (reward[:, first] - reward[:, second]))
        return np.tile(first, n), np.tile(second, n), credit.ravel(), np.repeat(np.arange(n), first.size)

    def _credit(self, rng, a, b, quality_a, quality_b):
        return expit(self.scale * (self._reward(rng, a, quality_a) - self._reward(rng, b, quality_b)))

    def _reward(self, rng, system, quality):
        noise = rng.normal(size=quality.shape)
        if self.noise == USELESS:
            return noise
        return ABILITY[system] + BIAS[system] + quality + self.noise * noise


def paired(rng, size):
    return PAIRS[rng.choice(len(PAIRS), size=size, p=NEAR / NEAR.sum())].T


def arena_of_accuracy(accuracy, taste=0.0, n=200_000):
    """The Arena whose reward has this accuracy on decided votes, and is as sure as it is right."""
    everyone = np.arange(n) if taste else np.zeros(n, dtype=int)

    def at(noise, scale=0.01):  # so low that no credit is rounded to 0 or 1
        return Arena(noise, taste, scale).votes(np.random.default_rng(1), everyone)

    def excess(noise):
        _, _, outcome, credit = at(noise)
        decided = outcome != 0.5
        return ((credit > 0.5) == outcome)[decided].mean() - accuracy

    noise = brentq(excess, 0.0, 60.0, xtol=0.01)
    _, _, outcome, credit = at(noise)
    margin = 100 * logit(credit)
    scale = brentq(lambda s: ((outcome - expit(s * margin)) * margin).mean(), 1e-3, 10)
    return Arena(noise, taste, scale)


def within_pair_correlation(arena, n=500_000):
    """rho: of votes and predictions about their means within ordered system pairs."""
    a, b, outcome, credit = arena.votes(np.random.default_rng(2), np.arange(n) if arena.taste else np.zeros(n, int))
    pair = a * SYSTEMS + b
    count = np.maximum(np.bincount(pair, minlength=SYSTEMS**2), 1)
    y, f = (x - (np.bincount(pair, x, SYSTEMS**2) / count)[pair] for x in (outcome, credit))
    return float((y * f).mean() / np.sqrt((y * y).mean() * (f * f).mean()))
