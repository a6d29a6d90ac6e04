"""Train the token model: next-token cross-entropy on captioned tunes, in one loop that can be stopped and resumed."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from . import corpus
from .token_network import Shape, TokenNetwork
from .tokens import N_TOKENS, PAD, caption_tokens, encode

N_EXAMPLES, BATCH, STEPS = 12_000, 32, 3000
STORE_EVERY_S = 60
POOL = 8  # batches among which tunes of alike length are chosen
LEARNING_RATE, WARM_UP, WEIGHT_DECAY = 2e-3, 100, 0.05


def train(
    examples: Sequence[corpus.Example],
    steps: int = STEPS,
    seed: int = 0,
    checkpoint: Path | None = None,
    progress: Callable[[int, float], object] = lambda step, loss: None,
) -> TokenNetwork:
    """The trained network. checkpoint: a file to resume from and to store to, every STORE_EVERY_S and at the end."""
    torch.manual_seed(seed)
    network = TokenNetwork(Shape(N_TOKENS))
    decayed = [p for p in network.parameters() if p.dim() == 2]
    plain = [p for p in network.parameters() if p.dim() < 2]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}],
        lr=LEARNING_RATE, betas=(0.9, 0.95),
    )  # fmt: skip
    captions, tunes = zip(*((caption_tokens(e.caption), encode(e.tune)) for e in examples), strict=True)
    lengths, start = np.array([len(tune) for tune in tunes]), 0
    if checkpoint and checkpoint.exists():
        stored = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(stored["network"])
        optimiser.load_state_dict(stored["optimiser"])
        start = stored["step"]
    stored_at = time.monotonic()
    for step in range(start, steps):
        chosen = _batch(lengths, np.random.default_rng([seed, step]))
        loss = next_token_loss(network, [captions[i] for i in chosen], [tunes[i] for i in chosen])
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * min(1, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        progress(step, loss.item())
        if checkpoint and (time.monotonic() - stored_at > STORE_EVERY_S or step == steps - 1):
            store(checkpoint, network, optimiser, step + 1)
            stored_at = time.monotonic()
    return network.eval()


def _batch(lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Tunes of about one length, so that little is computed on padding: neighbours by length around a random one."""
    pool = rng.integers(len(lengths), size=POOL * BATCH)
    pool = pool[np.argsort(lengths[pool], kind="stable")]
    first = BATCH * rng.integers(POOL)
    return pool[first : first + BATCH]


def next_token_loss(network: TokenNetwork, captions: Sequence[list[int]], tunes: Sequence[list[int]]) -> torch.Tensor:
    """Mean cross-entropy, in nats, of the tunes' tokens given their captions."""
    whole = [caption + tune for caption, tune in zip(captions, tunes, strict=True)]
    width = max(map(len, whole))
    tokens = torch.tensor([row + [PAD] * (width - len(row)) for row in whole])
    logits, _ = network(tokens, tokens != PAD)
    target = tokens.clone()
    for row, caption in enumerate(captions):
        target[row, : len(caption)] = PAD
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD)


def store(path: Path, network: TokenNetwork, optimiser: torch.optim.Optimizer, step: int) -> None:
    """Written whole beside its place and then moved there, so that a stop leaves the one before."""
    unfinished = path.with_suffix(".part")
    torch.save({"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step}, unfinished)
    unfinished.replace(path)
