"""Small, real reward models for tests: a head over the encoder that needs no weights, stored as training stores it."""

import torch

from scoring.reward.encoders import get_encoder
from scoring.reward.head import RankNetHead
from scoring.training import store_model


def make_model(name, seed=0, hidden=(8,), **fields):
    """A candidate with an untrained head over `spectral`."""
    encoder = get_encoder("spectral")
    torch.manual_seed(seed)
    return store_model(RankNetHead(encoder.dimension, hidden), [encoder], name, **fields)
