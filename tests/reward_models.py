"""Small, real reward models for tests: a head over the encoder that needs no weights, stored as training stores it."""

import torch

from scoring.reward.encoders import get_encoder
from scoring.reward.head import RankNetHead
from scoring.training import store_model


def make_model(name, seed=0, hidden=(8,), sharpness=1.0, **fields):
    """A candidate with an untrained head over `spectral`; its margins are as many times as large as it is sharp."""
    encoder = get_encoder("spectral")
    torch.manual_seed(seed)
    head = RankNetHead(encoder.dimension, hidden)
    with torch.no_grad():
        head.net[-1].weight *= sharpness
    return store_model(head, [encoder], name, **fields)
