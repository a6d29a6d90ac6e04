"""Small, real reward models for tests: a head over the encoder that needs no weights, stored as training stores it."""

import torch

from scoring.registry import live
from scoring.reward.encoders import get_encoder
from scoring.reward.head import RankNetHead
from scoring.training.candidates import store_model


def make_model(name, seed=0, hidden=(8,), sharpness=1.0, encoder_keys=("spectral",), **fields):
    """A candidate with an untrained head; its margins are as many times as large as it is sharp."""
    encoders = [get_encoder(key) for key in encoder_keys]
    torch.manual_seed(seed)
    head = RankNetHead(sum(encoder.dimension for encoder in encoders), hidden)
    with torch.no_grad():
        head.net[-1].weight *= sharpness
    return store_model(head, encoders, name, **fields)


def make_live(model):
    """The model, live from now on."""
    live.activate(model, by="a test")
    return model
