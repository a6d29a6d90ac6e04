"""From waveform tensor to reward with gradients: to find the sound that a reward model prefers, or to steer a generator
by it (Novack et al. 2024, arXiv 2401.12179).
"""

from collections.abc import Sequence
from functools import cache
from math import gcd
from typing import Any

import torch
from scipy.signal import firwin
from torch import Tensor
from torch.nn import functional

from scoring.reward.encoders import Encoder
from scoring.reward.encoders.waveforms import MAX_CHANNELS
from scoring.reward.scorer import Scorer

MAX_TAPS = 1 << 22  # in a resampler's table: 44,100 to 48,000 Hz has 27,000, 44,101 to 48,000 Hz has 2e9


def reward(scorer: Scorer, waveform: Tensor, sample_rate: int, prompts: Sequence[str]) -> Tensor:
    """Rewards [B] of waveforms [B, n] or [B, channels, n] at `sample_rate` Hz, made for prompts[i].

    The value is Scorer.score's to 1e-4; gradients flow to the waveform, and to nothing else: the head is frozen like
    the encoders, and what comes from a prompt is constant. Rounding to 16 bits, where an encoder does it, counts as
    the identity. Computed on the head's device, in its float type. Raises ValueError for shapes that do not fit, and
    NotDifferentiable naming the encoder that has no gradient.
    """
    mono = _mono(waveform)
    if len(prompts) != len(mono):
        raise ValueError(f"{len(mono)} waveforms and {len(prompts)} prompts: give one prompt per waveform")
    for encoder in scorer.encoders:
        if encoder.kind == "audio" and not encoder.differentiable:
            raise NotDifferentiable(f"encoder {encoder.key!r} has no gradient: {_instead(scorer.encoders)}")
    like = next(scorer.head.parameters())
    at_rate: dict[int, Tensor] = {}
    blocks = []
    for encoder in scorer.encoders:
        if encoder.kind == "text":
            block = torch.from_numpy(encoder.embed(prompts))
        else:
            rate = encoder.sample_rate
            if rate not in at_rate:
                at_rate[rate] = resample(mono, sample_rate, rate)
            differentiable: Any = encoder  # has `forward`, as was seen above
            block = differentiable.forward(at_rate[rate])
        blocks.append(block.to(like.device, like.dtype))
    frozen = {name: tensor.detach() for name, tensor in scorer.head.state_dict().items()}
    return torch.func.functional_call(scorer.head, frozen, torch.cat(blocks, dim=1))


class NotDifferentiable(ValueError):
    """The model hears clips through an encoder that has no gradient."""


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Floats [..., n] at from_rate Hz -> [..., ceil(n * to_rate / from_rate)], equal to waveforms.resample to 1e-5.

    The same windowed-sinc filter, as a strided convolution with one output channel per phase. Raises ValueError for
    rates of so small a common divisor that the table of phases would be huge.
    """
    if from_rate <= 0 or to_rate <= 0:
        raise ValueError(f"sample rates must be positive, not {from_rate} and {to_rate} Hz")
    if from_rate == to_rate:
        return waveform
    divisor = gcd(from_rate, to_rate)
    up, down = to_rate // divisor, from_rate // divisor
    if up * (2 * 10 * max(up, down) // up + down) > MAX_TAPS:
        raise ValueError(f"{from_rate} Hz to {to_rate} Hz is a ratio of {up} to {down}: bring it to a usual rate first")
    phases, before = _phases(up, down)
    n = waveform.shape[-1]
    n_out = -(-n * up // down)
    rounds = -(-n_out // up)  # each gives `up` samples and moves on by `down`
    after = max(0, (rounds - 1) * down + phases.shape[-1] - before - n)
    padded = functional.pad(waveform.reshape(-1, 1, n), (before, after))
    out = functional.conv1d(padded, phases.to(waveform.device, waveform.dtype), stride=down)
    return out[..., :rounds].transpose(1, 2).reshape(*waveform.shape[:-1], -1)[..., :n_out]


@cache
def _phases(up: int, down: int) -> tuple[Tensor, int]:
    """Filters [up, 1, taps] of scipy.signal.resample_poly's default, and how far before the first sample they reach.

    Sample k of the output is sum over i of x[i] h[k * down + half - i * up], h of 2 * half + 1 taps; for k = q * up + r
    and i = q * down + m, what multiplies x does not depend on q.
    """
    half = 10 * max(up, down)
    h = torch.from_numpy(firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", 5.0)) * up)
    before = half // up
    taps = before + ((up - 1) * down + half) // up + 1
    at = torch.arange(up)[:, None] * down + half - (torch.arange(taps) - before) * up
    inside = (at >= 0) & (at <= 2 * half)
    return torch.where(inside, h[at.clamp(0, 2 * half)], 0.0)[:, None], before


def _mono(waveform: Tensor) -> Tensor:
    if not waveform.is_floating_point():
        raise ValueError(f"a waveform is of floating point, full scale +-1, not {waveform.dtype}")
    if waveform.ndim == 3 and 1 <= waveform.shape[1] <= MAX_CHANNELS:
        return waveform.mean(dim=1)
    if waveform.ndim != 2:
        shape = list(waveform.shape)
        raise ValueError(f"waveforms are [B, n] or [B, channels, n] with 1 to {MAX_CHANNELS} channels, not {shape}")
    return waveform


def _instead(encoders: Sequence[Encoder]) -> str:
    able = [encoder.key for encoder in encoders if encoder.kind == "audio" and encoder.differentiable]
    return f"of this model's, {', '.join(able) or 'none'} has one"
