"""Drum kits: each drum is made once per clip, then struck as often as the score says."""

import numpy as np

from scoring.demo.instruments import noise, ring

# Per kit, per drum: (recipe, level in dB). A drum that a kit lacks is replaced by its relative in STANDS_FOR.
KITS: dict[str, dict[str, tuple[str, float]]] = {
    "drums": {"kick": ("kick", 0), "snare": ("snare", -3), "hat": ("hat", -14), "crash": ("crash", -15)},
    "bright drums": {
        "kick": ("tight kick", 0),
        "snare": ("bright snare", -3),
        "hat": ("bright hat", -11),
        "open": ("open hat", -12),
        "crash": ("crash", -15),
    },
    "brushed drums": {
        "kick": ("soft kick", -2),
        "snare": ("brush", -7),
        "hat": ("brush tap", -15),
        "crash": ("swell", -20),
    },
    "electronic drums": {
        "kick": ("deep kick", -2.5),
        "clap": ("clap", -6),
        "snare": ("bright snare", -6),
        "hat": ("bright hat", -15),
        "open": ("open hat", -10),
        "crash": ("crash", -14),
    },
    "shaker and rim": {
        "kick": ("soft kick", -2),
        "rim": ("rim", -5),
        "shaker": ("shaker", -14),
        "crash": ("swell", -22),
    },
}
STANDS_FOR = {
    "rim": "snare",
    "clap": "snare",
    "snare": "rim",
    "shaker": "hat",
    "hat": "shaker",
    "open": "hat",
}
STANDS_FOR |= {"tom": "snare"}

# Membranes: (end pitch Hz, extra pitch at the stroke Hz, pitch fall 1/s, decay 1/s, click)
_MEMBRANES = {
    "kick": (52, 110, 38, 9, 0.25),
    "tight kick": (58, 130, 45, 13, 0.35),
    "soft kick": (50, 50, 30, 10, 0.04),
    "deep kick": (46, 180, 42, 8, 0.3),
    "tom": (95, 60, 12, 8, 0.1),
}
# Noises: (low Hz, high Hz, rise s, decay 1/s, seconds)
_NOISES = {
    "hat": (6500, 14000, 0.0005, 60, 0.12),
    "bright hat": (8000, 17000, 0.0003, 75, 0.1),
    "open hat": (6500, 16000, 0.0005, 14, 0.4),
    "crash": (3500, 15000, 0.002, 2.6, 1.8),
    "swell": (3000, 10000, 0.05, 3.0, 1.4),
    "brush": (900, 6500, 0.012, 16, 0.3),
    "brush tap": (2500, 8500, 0.004, 35, 0.15),
    "shaker": (5000, 11000, 0.015, 38, 0.15),
}


def strike(kit: str, drum: str, rate: int, rng: np.random.Generator) -> np.ndarray | None:
    """One full-velocity stroke of a kit's drum, float32 [n]; None where the kit has nothing like it."""
    drums = KITS[kit]
    recipe, level_db = drums.get(drum) or drums.get(STANDS_FOR.get(drum, "")) or (None, 0)
    if recipe is None:
        return None
    if drum == "tom" and "snare" in drums:
        recipe, level_db = "tom", 0
    sound = _make(recipe, rate, rng)
    return (10 ** (level_db / 20) / np.abs(sound).max() * sound).astype(np.float32)


def _make(recipe: str, rate: int, rng: np.random.Generator) -> np.ndarray:
    if recipe in _MEMBRANES:
        return _membrane(*_MEMBRANES[recipe], rate, rng)
    if recipe in _NOISES:
        return _burst(*_NOISES[recipe], rate, rng)
    n = int(0.3 * rate)
    if recipe == "rim":
        return ring([420, 1180, 1720, 2650], [70, 80, 110, 130], [0.4, 1, 0.7, 0.4], n, rate)
    if recipe == "clap":
        bursts = [
            np.roll(_burst(900, 5000, 0.001, 30 + 60 * (i < 2), 0.3, rate, rng), i * rate // 90) for i in range(3)
        ]
        return bursts[0] + bursts[1] + bursts[2]
    bright = recipe == "bright snare"
    shell = ring([186, 331], [24, 32], [1.0, 0.5], n, rate)
    wires = _burst(1600 if bright else 900, 11000 if bright else 7000, 0.0008, 20, 0.3, rate, rng)
    return shell[: len(wires)] + (0.8 if bright else 0.6) * wires


def _membrane(end, extra, fall, decay, click, rate, rng) -> np.ndarray:
    t = np.arange(int(0.45 * rate)) / rate
    turns = end * t + extra / fall * (1 - np.exp(-fall * t))  # the integral of end + extra exp(-fall t)
    body = np.sin(2 * np.pi * turns) * np.exp(-decay * t)
    tick = noise(len(t), rate, (1500, 6000), rng) * np.exp(-t * 300)
    return body * np.minimum(1, (t[-1] - t) / 0.02) + click * tick


def _burst(low, high, rise, decay, seconds, rate, rng) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    fade = np.minimum(1, t / rise) * np.minimum(1, (t[-1] - t) / 0.01)
    hiss = noise(len(t), rate, (low, min(high, 0.44 * rate)), rng)
    return hiss / np.abs(hiss).max() * np.exp(-decay * t) * fade
