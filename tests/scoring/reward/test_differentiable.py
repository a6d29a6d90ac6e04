"""From waveform tensor to reward: the scorer's value, and the gradient that differences of it have."""

import numpy as np
import pytest
import torch

from scoring.reward import differentiable
from scoring.reward.differentiable import NotDifferentiable, reward
from scoring.reward.encoders import clap_network, get_encoder, waveforms
from scoring.reward.head import RankNetHead
from scoring.reward.scorer import Scorer
from tests.casts.tiny_networks import install_all
from tests.goldens.inputs import music

PROMPTS = ["calm piano", ""]


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIGHTS_DIR", str(folder / "weights"))
        install_all(folder / "published")
        yield


def scorer_of(*keys):
    """A scorer of these encoders under a head whose rewards move with every block."""
    encoders = [get_encoder(key) for key in keys]
    torch.manual_seed(3)
    head = RankNetHead(sum(encoder.dimension for encoder in encoders), (32, 16))
    with torch.no_grad():
        for layer in head.net:
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.normal_(layer.weight, std=2 / layer.in_features**0.5)
    return Scorer(head, encoders)


@pytest.fixture(scope="module")
def scorer():
    return scorer_of("clap-music", "mert-330m", "clap-music-text")


@pytest.mark.parametrize("channels", [1, 2])
def test_the_value_is_the_scorers(scorer, channels):
    rate = 44_100
    clips = [np.stack([music(rate, 10 * clip + c, rate) for c in range(channels)]) for clip in range(2)]
    if channels == 1:
        clips = [clip[0] for clip in clips]
    of_scorer = scorer.score(clips, [rate, rate], PROMPTS)
    assert np.ptp(of_scorer) > 1e-2
    ours = reward(scorer, torch.from_numpy(np.stack(clips)), rate, PROMPTS)
    np.testing.assert_allclose(ours.detach(), of_scorer, atol=1e-4)


def test_gradients_flow_to_the_waveform_and_to_nothing_else(scorer):
    waveform = torch.from_numpy(music(48_000, 1)).repeat(2, 1).requires_grad_()
    reward(scorer, waveform, 48_000, PROMPTS).sum().backward()
    assert torch.isfinite(waveform.grad).all()
    assert (waveform.grad.abs().amax(dim=1) > 0).all()
    assert all(parameter.grad is None for parameter in scorer.head.parameters())
    networks = [encoder.network() for encoder in scorer.encoders]
    assert all(parameter.grad is None for network in networks for parameter in network.parameters())


@pytest.mark.parametrize("key", ["clap-music", "mert-330m"])
def test_the_gradient_is_that_of_finite_differences(key, monkeypatch):
    """In double precision, at another rate than the encoder's, and without rounding to 16 bits, which has no slope."""
    monkeypatch.setattr(clap_network, "quantised", lambda samples: samples)
    scorer = scorer_of(key)
    scorer.head.double()
    encoder = scorer.encoders[0]
    network = encoder.network()
    try:
        network.double()
        x = torch.from_numpy(music(16_000, 4, 32_000)).double()[None]
        waveform = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(reward(scorer, waveform, 32_000, [""]).sum(), waveform)
        random = torch.Generator().manual_seed(0)
        for _ in range(3):
            direction = torch.randn(x.shape, generator=random, dtype=torch.float64)
            step = 1e-9  # the reward bends so much that 1e-7 is 1e-3 off
            with torch.no_grad():
                above, below = (reward(scorer, x + sign * step * direction, 32_000, [""]) for sign in (1, -1))
            slope = float((above - below) / (2 * step))
            assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-5)
            assert abs(slope) > 1e-3
    finally:
        network.float()


def test_a_small_step_along_the_gradient_raises_the_reward_of_the_scorer_itself(scorer):
    """Rounding to 16 bits included: straight through it, the gradient still points up."""
    x = torch.from_numpy(music(48_000, 1))[None]
    waveform = x.clone().requires_grad_()
    reward(scorer, waveform, 48_000, [""]).sum().backward()
    step = 0.003 * waveform.grad / waveform.grad.square().mean().sqrt()
    before, after = (scorer.score([y[0].numpy()], [48_000], [""])[0] for y in (x, (x + step).clamp(-1, 1)))
    assert after > before


def test_an_encoder_without_a_gradient_is_refused_by_name():
    with pytest.raises(NotDifferentiable, match=r"encoder 'spectral' has no gradient: .* mert-330m has one"):
        reward(scorer_of("mert-330m", "spectral"), torch.zeros(1, 48_000), 48_000, [""])


def test_what_comes_from_a_prompt_alone_has_no_gradient():
    waveform = torch.from_numpy(music(48_000, 1))[None].requires_grad_()
    assert not reward(scorer_of("clap-music-text"), waveform, 48_000, ["calm piano"]).requires_grad


@pytest.mark.parametrize(
    ("waveform", "prompts", "says"),
    [
        (torch.zeros(48_000), [""], r"\[B, n\] or \[B, channels, n\].*not \[48000\]"),
        (torch.zeros(1, 9, 100), [""], r"1 to 8 channels, not \[1, 9, 100\]"),
        (torch.zeros(2, 100), [""], "2 waveforms and 1 prompts"),
        (torch.zeros(1, 100, dtype=torch.int16), [""], "not torch.int16"),
    ],
)
def test_what_does_not_fit_is_refused(scorer, waveform, prompts, says):
    with pytest.raises(ValueError, match=says):
        reward(scorer, waveform, 48_000, prompts)


@pytest.mark.parametrize(
    ("from_rate", "to_rate"),
    [
        (44_100, 48_000),
        (44_100, 24_000),
        (48_000, 24_000),
        (24_000, 48_000),
        (22_050, 48_000),
        (8000, 24_000),
        (48_000, 48_000),
    ],
)
@pytest.mark.parametrize("n", [1, 7, 1000, 44_101])
def test_it_resamples_as_the_encoders_input_is_resampled(from_rate, to_rate, n):
    x = np.stack([music(max(n, 9), seed, from_rate)[:n] for seed in (0, 1)])
    ours = differentiable.resample(torch.from_numpy(x), from_rate, to_rate)
    np.testing.assert_allclose(ours, [waveforms.resample(row, from_rate, to_rate) for row in x], atol=1e-5)


def test_rates_that_cannot_be_resampled_are_refused():
    with pytest.raises(ValueError, match="44101 Hz to 48000 Hz is a ratio of 48000 to 44101"):
        differentiable.resample(torch.zeros(10), 44_101, 48_000)
    with pytest.raises(ValueError, match="positive"):
        differentiable.resample(torch.zeros(10), 0, 48_000)
