"""A reward model with all that training writes down: metrics, curves, configuration."""

import numpy as np

from scoring.metrics import preference
from tests.casts.reward_models import make_model

SYSTEMS = np.array(["alder", "birch", "cedar", "dogwood"])
TARGET = (np.random.default_rng(0).random(400) < 0.5).astype(float)
MARGIN = (TARGET - 0.5) * 2 + np.random.default_rng(1).normal(size=400)


def history(seeds=(0, 1), epochs=8):
    return [
        {
            "seed": seed, "epoch": epoch, "train_loss": 0.7 / epoch, "train_accuracy": 0.5 + epoch / 50,
            "validation_loss": 0.7 / epoch + 0.1 * (epoch > 5) + seed / 100, "validation_accuracy": 0.6,
        }
        for seed in seeds
        for epoch in range(1, epochs + 1)
    ]  # fmt: skip


def make_measured_model():
    """The candidate `whole+1`."""
    rng = np.random.default_rng(2)
    systems = SYSTEMS[rng.integers(2, size=400)], SYSTEMS[rng.integers(2, 4, size=400)]
    report = preference.report(MARGIN, TARGET, source=["open"] * 300 + ["imported"] * 100, systems=systems)
    return make_model(
        "whole+1",
        ledger_seq=7000,
        config={
            "recipe": "RankNet, arXiv 2606.17006",
            "studies": ["open"],
            "n_unembedded": 3,
            "split": {"by": "prompt", "seed": 0, "pairs": {"test": 400, "train": 5000, "validation": 600}},
        },
        metrics={"validation": report, "test": report},
        history=history(),
    )
