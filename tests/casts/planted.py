"""Votes that follow a preference planted in features, so that what can be known of them can be computed."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from scoring.metrics import preference


@dataclass(frozen=True)
class Planted:
    """features: float32 [C, D]. a, b: int [N]; target: float [N]; prompt: int [N]; probability: float [N], the true one
    that a wins."""

    features: np.ndarray
    a: np.ndarray
    b: np.ndarray
    target: np.ndarray
    prompt: np.ndarray
    probability: np.ndarray

    def bayes(self, pairs):
        """What is known of these pairs by who knows the true probability: the expected accuracy, and its `summarise`
        on the very labels drawn."""
        p = self.probability[pairs]
        return float(np.maximum(p, 1 - p).mean()), preference.summarise(logit(p), self.target[pairs])


def planted(n_pairs, width, latent=16, wrong=0.25, seed=0, flips=False):
    """Features carry `latent` directions, as embeddings do, under noise of a sixteenth of their variance; the reward is
    linear in what the features themselves hold of these directions.

    The noise is the reward model's own: a label is drawn from sigmoid(reward(a) - reward(b)), the reward scaled so that
    `wrong` of the labels are expected to contradict it. With `flips` it is another: `wrong` of the labels contradict
    the reward whatever the margin. No difference of rewards says 75 % of a close pair and of a clear one: the plain
    sigmoid of one that is right on 73 % of such labels has a calibration error of 0.09 at least.
    """
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((latent, width), dtype=np.float32)
    direction = (np.linalg.pinv(mixing) @ rng.normal(size=latent)).astype(np.float32)
    features = np.empty((2 * n_pairs, width), dtype=np.float32)
    for rows in np.array_split(features, 16):  # so that it takes the memory of the features and hardly more
        rng.standard_normal(out=rows, dtype=np.float32)
        rows += rng.standard_normal((len(rows), latent), dtype=np.float32) @ mixing
    reward = features @ direction
    a, b = np.arange(0, 2 * n_pairs, 2), np.arange(1, 2 * n_pairs, 2)
    gap = (reward[a] - reward[b]).astype(float)
    scale = brentq(lambda scale: expit(-scale * np.abs(gap)).mean() - wrong, 1e-3, 1e3)
    probability = np.where(gap > 0, 1 - wrong, wrong) if flips else expit(scale * gap)
    target = (rng.random(n_pairs) < probability).astype(float)
    return Planted(features, a, b, target, np.arange(n_pairs) // 5, probability)
