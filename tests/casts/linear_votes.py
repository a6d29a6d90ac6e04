"""Votes that follow a linear reward, as arrays that the training takes."""

import numpy as np


def planted(n_prompts=40, per_prompt=6, votes=1500, width=40, ties=0.1, seed=0):
    """Votes that follow a linear reward of 3 nats' spread over random features."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_prompts * per_prompt, width)).astype(np.float32)
    reward = features[:, :4] @ np.array([2.0, -1.5, 1.0, 1.0])
    prompt = rng.integers(n_prompts, size=votes)
    first = rng.integers(per_prompt, size=votes)
    second = (first + rng.integers(1, per_prompt, size=votes)) % per_prompt
    a, b = prompt * per_prompt + first, prompt * per_prompt + second
    probability = 1 / (1 + np.exp(reward[b] - reward[a]))
    target = (rng.random(votes) < probability).astype(float)
    target[rng.random(votes) < ties] = 0.5
    return features, a, b, target, prompt
