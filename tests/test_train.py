"""Training: RankNet's loss, no prompt on two sides, a planted preference learnt, one head per seed."""

import json

import numpy as np
import pytest
import torch

from scoring.reward.train import SIDES, ranknet_loss, train

QUICK = {"hidden": (64, 32), "learning_rate": 3e-3, "max_epochs": 40}


def planted(n_prompts=40, per_prompt=6, votes=1500, width=40, ties=0.1, seed=0):
    """Votes that follow a linear reward of 3 nats' spread over random features."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_prompts * per_prompt, width)).astype(np.float32)
    reward = features[:, :4] @ np.array([2.0, -1.5, 1.0, 1.0])
    prompt = rng.integers(n_prompts, size=votes)
    first = rng.integers(per_prompt, size=votes)
    second = (first + rng.integers(1, per_prompt, size=votes)) % per_prompt
    a, b = prompt * per_prompt + first, prompt * per_prompt + second
    probability = 1 / (1 + np.exp(reward[b] - reward[a]))
    target = (rng.random(votes) < probability).astype(float)
    target[rng.random(votes) < ties] = 0.5
    return features, a, b, target, prompt


@pytest.fixture(scope="module")
def trained():
    return train(*planted(), **QUICK)


def test_the_loss_is_the_cross_entropy_of_the_margin_and_its_gradient_is_sigmoid_minus_target():
    margin = torch.tensor([-3.0, 0.0, 0.4, 2.0], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([1.0, 0.5, 0.5, 0.2], dtype=torch.float64)
    weight = torch.tensor([1.0, 2.0, 0.5, 1.0], dtype=torch.float64)
    loss = ranknet_loss(margin, target, weight)
    p = torch.sigmoid(margin)
    by_hand = -(weight * (target * p.log() + (1 - target) * (1 - p).log())).mean()
    torch.testing.assert_close(loss, by_hand)
    loss.backward()
    torch.testing.assert_close(margin.grad, (weight * (p - target) / 4).detach())


def test_a_tie_pulls_two_rewards_together():
    margin = torch.tensor([1.5], requires_grad=True)
    ranknet_loss(margin, torch.tensor([0.5])).backward()
    assert margin.grad.item() > 0


def test_a_planted_preference_is_learnt_on_prompts_never_seen(trained):
    test = trained.metrics["test"]
    assert test["n"] == trained.split["pairs"]["test"]
    assert test["n_decided"] < test["n"]
    assert test["accuracy"] > 0.75  # the planted reward itself gets about 0.85
    assert test["log_loss"] < 0.55
    assert test["ece"] < 0.12


def test_coin_flips_are_not_learnt():
    features, a, b, _, prompt = planted()
    flips = np.random.default_rng(1).integers(2, size=a.size)
    test = train(features, a, b, flips, prompt, **QUICK).metrics["test"]
    assert abs(test["accuracy"] - 0.5) < 0.12
    assert test["log_loss"] > 0.67


def test_no_prompt_is_on_two_sides_and_none_is_lost():
    features, a, b, target, prompt = planted()
    for seed in range(5):
        split = train(features, a, b, target, prompt, seed=seed, hidden=(4,), max_epochs=1).split
        sides = [set(split["prompts"][side]) for side in SIDES]
        assert sum(map(len, sides)) == len(set.union(*sides)) == len(set(prompt.tolist()))
        for side, prompts in zip(SIDES, sides, strict=True):
            assert split["pairs"][side] == np.isin(prompt, list(prompts)).sum() > 0


def test_three_prompts_are_enough_for_one_on_each_side():
    features, a, b, target, prompt = planted(n_prompts=3, votes=60)
    split = train(features, a, b, target, np.array(["x", "y", "z"])[prompt], hidden=(4,), max_epochs=1).split
    assert [len(split["prompts"][side]) for side in SIDES] == [1, 1, 1]


def test_another_seed_cuts_other_prompts_out():
    data = planted()
    one, two = (train(*data, seed=s, hidden=(4,), max_epochs=1).split["prompts"]["test"] for s in (0, 1))
    assert one != two


def test_the_same_seed_gives_the_same_head_whatever_ran_before_and_leaves_the_random_state_alone(trained):
    features = torch.from_numpy(planted()[0])
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again = train(*planted(), **QUICK)
    try:
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    with torch.no_grad():
        torch.testing.assert_close(again.head(features), trained.head(features), atol=1e-5, rtol=0)
    assert [e["validation_loss"] for e in again.history] == pytest.approx(
        [e["validation_loss"] for e in trained.history], abs=1e-5
    )
    other = train(*planted(), seed=1, **QUICK)
    with torch.no_grad():
        assert not torch.allclose(other.head(features), trained.head(features), atol=1e-2)


def test_the_head_returned_is_that_of_the_best_epoch_and_training_stops_after_patience():
    seen = []
    result = train(*planted(votes=300), hidden=(64,), learning_rate=1e-2, patience=5, progress=seen.append)
    losses = [entry["validation_loss"] for entry in result.history]
    assert seen == result.history
    assert [entry["epoch"] for entry in seen] == list(range(1, len(seen) + 1))
    assert len(losses) == result.best_epoch + 5
    assert losses[result.best_epoch - 1] < min(losses) + 1e-4
    assert result.metrics["validation"]["log_loss"] == pytest.approx(losses[result.best_epoch - 1], abs=1e-6)
    assert not result.head.training


def test_votes_of_weight_zero_teach_nothing():
    features, a, b, target, prompt = planted(ties=0)
    liar = np.arange(a.size) % 2 == 1
    lies = np.where(liar, 1 - target, target)
    fair = train(features, a, b, lies, prompt, weight=np.where(liar, 0.0, 1.0), **QUICK)
    fooled = train(features, a, b, lies, prompt, **QUICK)
    truth = target[np.isin(prompt, fair.split["prompts"]["test"])]
    rows = np.isin(prompt, fair.split["prompts"]["test"])

    def accuracy(head):
        with torch.no_grad():
            rewards = head(torch.from_numpy(features)).numpy()
        return np.mean((rewards[a[rows]] > rewards[b[rows]]) == truth)

    assert accuracy(fair.head) > 0.72
    assert accuracy(fair.head) > accuracy(fooled.head) + 0.1


def test_everything_but_the_head_is_json_and_only_ties_leave_none_not_nan():
    features, a, b, _, prompt = planted(votes=200)
    result = train(features, a, b, np.full(a.size, 0.5), prompt, hidden=(4,), max_epochs=2)
    assert result.metrics["test"]["accuracy"] is None
    assert result.history[0]["train_accuracy"] is None
    json.dumps([result.metrics, result.history, result.split], allow_nan=False)


def change(**parts):
    def apply(features, a, b, target, prompt):
        given = {"features": features, "pairs_a": a, "pairs_b": b, "target": target, "prompt": prompt}
        return given | {k: v(given) for k, v in parts.items()}

    return apply


def with_nan(given):
    features = given["features"].copy()
    features[17, 3] = np.nan
    return features


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (change(prompt=lambda g: g["prompt"] % 2), r"2 prompt\(s\).*at least 3"),
        (
            change(**{k: lambda g: np.zeros(0, int) for k in ("pairs_a", "pairs_b", "target", "prompt")}),
            "no pairs",
        ),
        (change(pairs_a=lambda g: g["pairs_a"] - 1000), "outside the 240 rows"),
        (change(pairs_b=lambda g: g["pairs_b"] * 1.0), "integer rows"),
        (change(target=lambda g: g["target"] + 1), "credit of a"),
        (change(target=lambda g: g["target"][:-1]), "same N"),
        (change(features=with_nan), "clip 17 "),
        (change(prompt=lambda g: np.arange(g["prompt"].size)), "a clip belongs to one prompt"),
        (change(weight=lambda g: -np.ones(g["target"].size)), "negative"),
        (change(weight=lambda g: np.zeros(g["target"].size)), "weight 0"),
        (change(fractions=lambda g: (0.9, 0.1, 0.0)), "three positive shares"),
    ],
)
def test_input_that_cannot_be_trained_on_is_refused_with_its_reason(spoil, says):
    with pytest.raises(ValueError, match=says):
        train(**spoil(*planted()), max_epochs=1)
