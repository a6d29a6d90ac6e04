"""The network of the token model: a small decoder-only transformer with rotary positions, RMS norms and SwiGLU.

The form of Llama (Touvron et al. 2023, arXiv 2302.13971), written out so that alignment methods can reach every part.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Cache = list[tuple[Tensor, Tensor]]  # for each block: keys and values so far, [B, heads, T, width of a head]


@dataclass(frozen=True)
class Shape:
    """What a checkpoint stores beside the weights."""

    n_tokens: int
    width: int = 128
    blocks: int = 6
    heads: int = 4
    hidden: int = 352

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Attention(nn.Module):
    """Causal self-attention. `out` is where steering methods listen: its input is the output of all heads."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, turn: Tensor, visible: Tensor, past: tuple[Tensor, Tensor] | None) -> Any:
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k = _turned(q, turn), _turned(k, turn)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        heard = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        return self.out(heard.transpose(1, 2).reshape(batch, length, width)), (k, v)


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.before_attention, self.attention = nn.RMSNorm(shape.width), Attention(shape)
        self.before_mlp = nn.RMSNorm(shape.width)
        self.gate = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor, turn: Tensor, visible: Tensor, past: tuple[Tensor, Tensor] | None) -> Any:
        attended, cache = self.attention(self.before_attention(x), turn, visible, past)
        x = x + attended
        inner = self.before_mlp(x)
        return x + self.down(F.silu(self.gate(inner)) * self.up(inner)), cache


class TokenNetwork(nn.Module):
    """Tokens to the logits of the next ones."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.n_tokens, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.blocks))
        self.norm = nn.RMSNorm(shape.width)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens: Tensor, is_real: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """(logits [B, T, n_tokens], the cache with these tokens) of int tokens [B, T].

        is_real: bool [B, T so far + T], False for padding, on whichever side: positions are relative, so where a
        sequence begins makes no difference. cache: of the tokens so far.
        """
        start = is_real.shape[1] - tokens.shape[1]
        turn = _turn(start, tokens.shape[1], self.shape.width // self.shape.heads, tokens.device)
        row, column = torch.arange(start, is_real.shape[1])[:, None], torch.arange(is_real.shape[1])
        causal = (column <= row).to(tokens.device)
        itself = (column == row).to(tokens.device)  # so that padding sees something, and gives no NaN
        visible = (causal & is_real[:, None, :] | itself)[:, None]
        x, new = self.embedding(tokens), []
        for place, block in enumerate(self.blocks):
            x, past = block(x, turn, visible, None if cache is None else cache[place])
            new.append(past)
        return F.linear(self.norm(x), self.embedding.weight), new


def _turn(start: int, length: int, width: int, device: torch.device) -> Tensor:
    """[2, T, width / 2]: cosines and sines of the angles by which positions turn (Su et al. 2021, arXiv 2104.09864)."""
    speed = 10_000.0 ** (-torch.arange(0, width, 2, device=device) / width)
    angle = torch.arange(start, start + length, device=device)[:, None] * speed
    return torch.stack([angle.cos(), angle.sin()])


def _turned(x: Tensor, turn: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    cos, sin = turn
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
