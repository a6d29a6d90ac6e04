"""The token model as a policy: sampling, its cache, log-probabilities with their mask, training that can be resumed."""

import numpy as np
import pytest
import torch

from scoring.generators import corpus, grammar, train_tokens
from scoring.generators.token_network import Shape, TokenNetwork
from scoring.generators.token_policy import TokenPolicy, frozen
from scoring.generators.tokens import N_TOKENS, PAD, InvalidTune, caption_tokens, decode, encode

PROMPTS = ["dark waltz at 120 bpm with flute", "rock", ""]
SECONDS = [9.0, 10.0, 9.0]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = TokenNetwork(Shape(N_TOKENS, width=16, blocks=2, heads=2, hidden=24))
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 2:
                parameter.mul_(8)  # so that it has opinions
    return network.eval()


@pytest.fixture
def policy(network):
    return TokenPolicy(network)


def test_what_is_sampled_under_the_grammar_is_a_tune_of_that_length(policy):
    rows = policy.sample(PROMPTS, [1, 2, 3], SECONDS)

    for row, seconds in zip(rows, SECONDS, strict=True):
        tune = decode(row.tolist())
        assert tune.bars == grammar.bars_that_fit(seconds, tune.bpm, grammar.STYLE_OF[tune.style])


def test_without_the_grammar_an_untrained_network_writes_no_tune(network):
    row = TokenPolicy(network, with_grammar=False).sample(["rock"], [1], [9.0])[0]

    with pytest.raises(InvalidTune):
        decode(row.tolist())


def test_the_same_seed_writes_the_same_tune_and_another_seed_another(policy):
    once, again = (policy.sample(PROMPTS, [1, 2, 3], SECONDS) for _ in range(2))
    other = policy.sample(PROMPTS, [4, 5, 6], SECONDS)

    assert np.array_equal(once, again)
    assert once.shape != other.shape or (once != other).any()


def test_a_tune_does_not_depend_on_the_others_of_its_batch(policy):
    together = policy.sample(PROMPTS, [1, 2, 3], SECONDS)
    alone = policy.sample(PROMPTS[1:2], [2], SECONDS[1:2])[0]

    assert together[1][: len(alone)].tolist() == alone.tolist()
    assert (together[1][len(alone) :] == PAD).all()


@pytest.mark.parametrize("with_grammar", [True, False])
def test_log_probabilities_are_those_by_which_it_samples(network, with_grammar):
    """Token by token, with the cache, against the whole tunes at once."""
    policy = TokenPolicy(network, with_grammar=with_grammar)
    rows = TokenPolicy(network).sample(PROMPTS, [1, 2, 3], SECONDS)

    whole, is_token = policy.log_prob(PROMPTS, rows, SECONDS)

    state, steps = policy.begin(PROMPTS, SECONDS), []
    for token in rows.T:
        steps.append(policy.logits(state).log_softmax(-1)[torch.arange(3), torch.from_numpy(token)])
        state = policy.advance(state, token)
    expected = torch.stack(steps, dim=1) * torch.from_numpy(rows != PAD)
    assert torch.allclose(whole, expected, atol=1e-4)
    assert torch.equal(is_token, torch.from_numpy(rows != PAD))


def test_masked_probabilities_sum_to_one_over_what_is_allowed(policy):
    state = policy.begin(PROMPTS, SECONDS)
    chance = policy.logits(state).softmax(-1)

    assert chance.sum(-1).tolist() == pytest.approx([1, 1, 1])
    assert (chance[~torch.from_numpy(grammar.allowed(state.grammar))] == 0).all()


def test_a_forked_state_goes_on_as_the_row_it_came_from(policy):
    rows = policy.sample(PROMPTS, [1, 2, 3], SECONDS)
    state = policy.begin(PROMPTS, SECONDS)
    for token in rows.T[:5]:
        state = policy.advance(state, token)
    forked = policy.fork(state, np.array([1, 1]))
    following = policy.advance(forked, rows[[1, 1], 5])
    straight = policy.advance(state, rows[:, 5])

    assert torch.allclose(following.logits, straight.logits[[1, 1]], atol=1e-5)


def test_gradients_of_a_log_probability_reach_every_weight(network):
    policy = TokenPolicy(network)
    rows = policy.sample(PROMPTS, [1, 2, 3], SECONDS)
    network.zero_grad()
    policy.log_prob(PROMPTS, rows, SECONDS)[0].sum().backward()

    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())
    network.zero_grad()
    assert all(not parameter.requires_grad for parameter in frozen(policy).network.parameters())


def test_steering_finds_the_output_of_every_attention(policy, network):
    assert [name for name, _ in policy.heads()] == ["blocks.0.attention.out", "blocks.1.attention.out"]
    assert dict(policy.heads())["blocks.1.attention.out"] is network.get_submodule("blocks.1.attention.out")


def test_training_lowers_the_loss_and_a_stopped_one_resumes_to_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(train_tokens, "Shape", lambda n: Shape(n, width=16, blocks=1, heads=2, hidden=24))
    monkeypatch.setattr(train_tokens, "BATCH", 8)
    monkeypatch.setattr(train_tokens, "WARM_UP", 4)
    monkeypatch.setattr(train_tokens, "STORE_EVERY_S", 0)
    examples, losses = list(corpus.examples(30)), []
    whole = train_tokens.train(examples, steps=24, progress=lambda step, loss: losses.append(loss))

    class Killed(Exception):
        pass

    def stop(step, loss):
        if step == 10:
            raise Killed

    file = tmp_path / "model.pt"
    with pytest.raises(Killed):
        train_tokens.train(examples, steps=24, checkpoint=file, progress=stop)
    resumed = train_tokens.train(examples, steps=24, checkpoint=file)

    assert losses[-1] < losses[0] - 0.3
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_the_loss_counts_the_tunes_tokens_and_not_the_captions(network):
    example = next(corpus.examples(1))
    caption, tune = caption_tokens(example.caption), encode(example.tune)
    log_prob, _ = TokenPolicy(network, with_grammar=False).log_prob(
        [example.caption], np.array([tune]), [example.seconds]
    )

    assert train_tokens.next_token_loss(network, [caption], [tune]).item() == pytest.approx(
        -log_prob.mean().item(), rel=1e-4
    )
