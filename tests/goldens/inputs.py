"""What the goldens are of: a few clips and prompts, the same under any version of NumPy."""

import numpy as np

TEXTS = [
    "calm piano",
    "a",
    "Driving rock at 140 bpm, distorted guitars; no vocals.",
    "piano " * 60,  # more than 77 tokens
    "café – 音楽",
]


def music(n, seed, rate=48_000):
    """n samples of a chord that beats and fades, with noise, a click and near-silence."""
    random = np.random.RandomState(seed)
    t = np.arange(n) / rate
    x = sum(
        a * np.sin(2 * np.pi * f * t) for a, f in zip((0.4, 0.2, 0.1), 110.0 * random.uniform(1, 8, 3), strict=True)
    )
    x = x * (0.6 + 0.4 * np.sin(2 * np.pi * random.uniform(0.5, 4) * t)) + 0.02 * random.standard_normal(n)
    x[n // 2 : n // 2 + n // 8] *= 1e-3
    x[n // 3] = 1.0
    return x.astype(np.float32)


def waveforms():
    """By name: shorter than 10 s, exactly 10 s, beyond full scale, silent."""
    return {
        "3 s": music(144_000, 1),
        "7.1 s": music(340_800, 2),
        "10 s": music(480_000, 3),
        "0.02 s": music(1000, 4),
        "10 s, too loud": 4 * music(480_000, 5),
        "silence": np.zeros(48_000, np.float32),
    }
