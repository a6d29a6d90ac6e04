"""The token model as what alignment methods ask of a policy: logits to sample from, and log-probabilities to learn by.

Both are masked by the grammar in the same way, so that what is learned is what is sampled; `grammar=False` takes the
mask off both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from . import grammar
from .token_network import Cache, TokenNetwork
from .tokens import PAD, STOP, caption_tokens

LONGEST = 1400  # tokens of the longest tune: 64 bars of eight notes
FORBIDDEN = -1e9


@dataclass
class State:
    """B tunes being written: logits float [B, V] of the next token, and all that is needed to go on."""

    logits: Tensor
    cache: Cache
    is_real: Tensor
    grammar: grammar.State | None
    is_over: np.ndarray


class TokenPolicy:
    """One codebook. prompts: captions; tokens: int [B, T], from the style to STOP, then PAD."""

    def __init__(self, network: TokenNetwork, *, with_grammar: bool = True) -> None:
        self.network, self.with_grammar = network, with_grammar

    def begin(self, prompts: Sequence[str], seconds: Sequence[float]) -> State:
        """Before the first token of a tune for each prompt, of that length."""
        captions = [caption_tokens(prompt) for prompt in prompts]
        width = max(map(len, captions))
        padded = torch.tensor([[PAD] * (width - len(caption)) + caption for caption in captions])
        is_real = padded != PAD
        logits, cache = self.network(padded, is_real)
        state = grammar.begin(list(seconds)) if self.with_grammar else None
        return State(logits[:, -1], cache, is_real, state, np.zeros(len(captions), dtype=bool))

    def logits(self, state: State) -> Tensor:
        """float [B, V] of the next token; what the grammar forbids is at FORBIDDEN."""
        if state.grammar is None:
            return state.logits
        return state.logits.masked_fill(~torch.from_numpy(grammar.allowed(state.grammar)), FORBIDDEN)

    def advance(self, state: State, tokens: np.ndarray) -> State:
        """After one token for each, int [B]. Tunes that are over get PAD, whatever is given."""
        tokens = np.where(state.is_over, PAD, tokens)
        is_real = torch.cat([state.is_real, torch.from_numpy(~state.is_over)[:, None]], dim=1)
        logits, cache = self.network(torch.from_numpy(tokens)[:, None], is_real, state.cache)
        following = None if state.grammar is None else grammar.advance(state.grammar, tokens)
        return State(logits[:, -1], cache, is_real, following, state.is_over | (tokens == STOP))

    def fork(self, state: State, rows: np.ndarray) -> State:
        """The state of tunes that go on from those of `rows`, which may repeat; int [B']."""
        index = torch.from_numpy(rows)
        return State(
            state.logits[index], [(k[index], v[index]) for k, v in state.cache], state.is_real[index],
            None if state.grammar is None else state.grammar.rows(rows), state.is_over[rows],
        )  # fmt: skip

    def log_prob(self, prompts: Sequence[str], tokens: np.ndarray, seconds: Sequence[float]) -> tuple[Tensor, Tensor]:
        """(log-probabilities float [B, T], with gradient; bool [B, T], which places hold a token) of whole tunes."""
        captions = [caption_tokens(prompt) for prompt in prompts]
        width = max(map(len, captions))
        rows = [
            [PAD] * (width - len(caption)) + caption + row.tolist()
            for caption, row in zip(captions, tokens, strict=True)
        ]
        whole = torch.tensor(rows)
        logits, _ = self.network(whole, whole != PAD)
        logits = logits[:, width - 1 : -1]
        if self.with_grammar:
            logits = logits.masked_fill(~torch.from_numpy(grammar.masks(tokens, list(seconds))), FORBIDDEN)
        chosen = torch.from_numpy(tokens)
        is_token = chosen != PAD
        log_prob = logits.log_softmax(dim=-1).gather(2, chosen[..., None])[..., 0]
        return log_prob * is_token, is_token

    def heads(self) -> list[tuple[str, nn.Module]]:
        """Where steering methods hook in: the output of each block's attention."""
        names = [f"blocks.{n}.attention.out" for n in range(len(self.network.blocks))]
        return [(name, self.network.get_submodule(name)) for name in names]

    @torch.no_grad()
    def sample(
        self, prompts: Sequence[str], seeds: Sequence[int], seconds: Sequence[float], temperature: float = 1.0
    ) -> np.ndarray:
        """int [B, T]: a tune for each prompt. Each draws with a generator of its own seed."""
        draws = [np.random.default_rng(seed) for seed in seeds]
        state, written = self.begin(prompts, seconds), list[np.ndarray]()
        while not state.is_over.all() and len(written) < LONGEST:
            chance = (self.logits(state).double() / temperature).softmax(dim=-1).cumsum(dim=-1).numpy()
            at = np.array([rng.random() for rng in draws]) * chance[:, -1]
            token = np.minimum((chance <= at[:, None]).sum(axis=1), chance.shape[1] - 1)
            written.append(np.where(state.is_over, PAD, token))
            state = self.advance(state, token)
        return np.stack(written, axis=1)


def frozen(policy: TokenPolicy) -> TokenPolicy:
    """A copy that no training changes, to compare with."""
    network = TokenNetwork(policy.network.shape)
    network.load_state_dict(policy.network.state_dict())
    return TokenPolicy(network.requires_grad_(False).eval(), with_grammar=policy.with_grammar)
