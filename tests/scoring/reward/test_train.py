"""Training: RankNet's loss, no prompt on two sides, a planted preference learnt, one head per seed."""

import json

import numpy as np
import pytest
import torch

from scoring.reward.loss import LapsingRankNet, ranknet_loss
from scoring.reward.train import SIDES, train
from tests.casts.linear_votes import planted
from tests.casts.planted import planted as planted_preference

QUICK = {"hidden": (64, 32), "learning_rate": 3e-3, "max_epochs": 40}


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


def test_the_loss_with_lapses_is_that_of_the_mixture_and_a_vote_against_a_clear_pair_pulls_little():
    loss = LapsingRankNet()
    rate = loss.rate
    margin = torch.tensor([-9.0, -0.5, 0.0, 2.0], requires_grad=True)
    target = torch.tensor([1.0, 0.0, 0.5, 1.0])
    weight = torch.tensor([1.0, 2.0, 0.5, 1.0])
    p = rate / 2 + (1 - rate) * torch.sigmoid(margin)
    by_hand = -(weight * (target * p.log() + (1 - target) * (1 - p).log())).mean()
    torch.testing.assert_close(loss(margin, target, weight), by_hand)
    loss(margin, target).backward()
    assert abs(margin.grad[0]) < 0.01 / 4  # RankNet's is 1 / 4
    assert loss.logit_rate.grad.item() != 0


@pytest.mark.slow
def test_a_planted_preference_is_learnt_on_prompts_never_seen(trained):
    test = trained.metrics["test"]
    assert test["n"] == trained.split["pairs"]["test"]
    assert test["n_decided"] < test["n"]
    assert test["accuracy"] > 0.75  # the planted reward itself gets about 0.85
    assert test["log_loss"] < 0.55
    assert test["ece"] < 0.12


@pytest.mark.slow
def test_coin_flips_are_not_learnt():
    features, a, b, _, prompt = planted()
    flips = np.random.default_rng(1).integers(2, size=a.size)
    test = train(features, a, b, flips, prompt, **QUICK).metrics["test"]
    assert abs(test["accuracy"] - 0.5) < 0.12
    assert test["log_loss"] > 0.67


def test_no_prompt_is_on_two_sides_and_none_is_lost():
    features, a, b, target, prompt = planted()
    for seed in range(5):
        split = train(features, a, b, target, prompt, seeds=(seed,), hidden=(4,), max_epochs=1).split
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
    one, two = (train(*data, seeds=(s,), hidden=(4,), max_epochs=1).split["prompts"]["test"] for s in (0, 1))
    assert one != two


@pytest.mark.slow
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
    other = train(*planted(), seeds=(1,), **QUICK)
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


def test_a_pair_that_would_be_a_batch_of_its_own_joins_the_batch_before_it():
    settings = {"hidden": (8,), "max_epochs": 2}
    n = train(*planted(votes=300), **settings).split["pairs"]["train"]
    whole, joined, two_left = (
        train(*planted(votes=300), **settings, batch_size=size).history for size in (n, n - 1, n - 2)
    )
    assert joined == whole
    assert two_left != whole
    assert train(*planted(votes=300), **settings, batch_size=1).history != whole


@pytest.mark.slow
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


# ---- a planted preference ----


def test_a_planted_preference_is_learnt_to_within_two_points_of_what_can_be_known_and_calibrated():
    data = planted_preference(n_pairs=6000, width=128)
    result = train(  # a small head, as it is width that takes long; tests/bench/training.py has the published one
        data.features, data.a, data.b, data.target, data.prompt,
        fractions=(0.5, 0.1, 0.4), hidden=(128, 64), learning_rate=1e-3, max_epochs=8, patience=4,
    )  # fmt: skip
    expected, best = data.bayes(np.isin(data.prompt, result.split["prompts"]["test"]))
    assert expected == pytest.approx(0.75, abs=0.01)
    assert result.metrics["test"]["accuracy"] > max(expected, best["accuracy"]) - 0.02
    assert result.metrics["test"]["ece"] < 0.05
    assert result.metrics["test"]["calibrated"]["ece"] < 0.05


@pytest.mark.slow
def test_of_labels_flipped_whatever_the_margin_the_rate_is_learnt_and_the_preference_better():
    data = planted_preference(n_pairs=6000, width=128, flips=True, seed=1)
    quick = {"fractions": (0.5, 0.1, 0.4), "hidden": (128, 64), "learning_rate": 1e-3, "max_epochs": 8, "patience": 4}
    votes = data.features, data.a, data.b, data.target, data.prompt
    plain, lapsing = (train(*votes, **quick, lapses=lapses) for lapses in (False, True))
    test = np.isin(data.prompt, plain.split["prompts"]["test"])

    def right(head):  # of the preference itself, not of the labels
        with torch.no_grad():
            rewards = head(torch.from_numpy(data.features)).numpy()
        return np.mean(((rewards[data.a] > rewards[data.b]) == (data.probability > 0.5))[test])

    assert right(lapsing.head) > right(plain.head) + 0.01
    for found in (plain.metrics["test"], lapsing.metrics["test"]):
        assert found["calibrated"]["rate"] == pytest.approx(0.5, abs=0.1)
        assert found["calibrated"]["ece"] < 0.05 < found["ece"]


@pytest.mark.slow
def test_the_rate_that_the_loss_learns_stands_beside_every_epoch_and_comes_near_the_planted_one():
    """With enough votes for the head not to know them by heart: lapses that it knows, it does not count."""
    data = planted_preference(n_pairs=12_000, width=32, latent=4, flips=True, seed=1)
    votes = data.features, data.a, data.b, data.target, data.prompt
    quick = {"hidden": (64, 32), "dropout": 0.2, "learning_rate": 2e-3, "batch_size": 64, "patience": 14}
    rates = [entry["rate"] for entry in train(*votes, **quick, lapses=True, max_epochs=14).history]
    assert rates[0] < 0.2
    assert rates[-1] == pytest.approx(0.5, abs=0.06)
    assert "rate" not in train(*votes, **quick, max_epochs=1).history[0]


def test_with_lapses_a_head_that_is_never_wrong_on_the_validation_side_beats_those_that_are():
    features, a, b, _, prompt = planted(votes=300, ties=0)
    clear = np.abs(features[a, 0] - features[b, 0]) > 0.3
    a, b, prompt = a[clear], b[clear], prompt[clear]
    target = (features[a, 0] > features[b, 0]).astype(float)
    found = train(features[:, :10], a, b, target, prompt, lapses=True, **QUICK)
    losses = {entry["epoch"]: entry["validation_loss"] for entry in found.history}
    never_wrong = [entry["epoch"] for entry in found.history if entry["validation_accuracy"] == 1.0]
    assert never_wrong and len(never_wrong) < len(found.history)
    assert {losses[epoch] for epoch in never_wrong} == {0.0}
    assert found.best_epoch == never_wrong[0]


# ---- seeds, ablations, sources, weights ----


def test_of_several_seeds_the_one_of_least_validation_loss_is_kept_and_the_spread_recorded():
    data = planted(votes=400)
    seen = []
    result = train(*data, seeds=(3, 4, 5), hidden=(32,), learning_rate=3e-3, max_epochs=6, progress=seen.append)
    least = {seed: min(e["validation_loss"] for e in result.history if e["seed"] == seed) for seed in (3, 4, 5)}
    assert result.seed == min(least, key=least.get)
    assert seen == result.history
    assert [run["seed"] for run in result.seeds] == [3, 4, 5]
    assert [run["epochs"] for run in result.seeds] == [6, 6, 6]
    accuracies = [run["metrics"]["test"]["accuracy"] for run in result.seeds]
    assert result.over_seeds["test"]["accuracy"] == {
        "mean": pytest.approx(np.mean(accuracies)),
        "sd": pytest.approx(np.std(accuracies, ddof=1)),
    }
    alone = train(*data, seeds=(3,), hidden=(32,), learning_rate=3e-3, max_epochs=6)
    assert alone.history == [entry for entry in result.history if entry["seed"] == 3]
    assert alone.over_seeds["test"]["accuracy"]["sd"] is None


def test_an_ablation_reads_only_the_columns_of_its_blocks():
    features, a, b, target, prompt = planted(ties=0)
    blocks = {"telling": 4, "noise": 36}
    quick = {"hidden": (32,), "learning_rate": 3e-3, "max_epochs": 15}
    telling, noise = (
        train(features, a, b, target, prompt, blocks=blocks, use=[name], **quick) for name in ("telling", "noise")
    )
    assert (telling.head.input_width, noise.head.input_width) == (4, 36)
    assert telling.split["pairs"] == noise.split["pairs"]
    assert telling.metrics["test"]["accuracy"] > 0.75
    assert abs(noise.metrics["test"]["accuracy"] - 0.5) < 0.1
    again = train(features[:, :4], a, b, target, prompt, **quick)
    assert again.history == telling.history


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"blocks": {"x": 39}, "use": ["x"]}, "do not add up to the 40 columns"),
        ({"blocks": {"x": 40}, "use": ["y"]}, "the blocks to use are y; name some of: x"),
        ({"blocks": {"x": 40}, "use": []}, "are none"),
        ({"seeds": ()}, "one or more"),
        ({"seeds": (1, 1)}, "different numbers"),
        ({"rater": np.zeros(3)}, r"rater must be \[N\]"),
        ({"split": "rater"}, "needs each rater"),
    ],
)
def test_what_cannot_be_trained_as_asked_is_said(asked, says):
    with pytest.raises(ValueError, match=says):
        train(*planted(), **asked, max_epochs=1)


def test_a_source_left_out_is_tested_on_and_never_trained_on():
    features, a, b, target, prompt = planted()
    source = np.where(prompt < 10, "radio", "stage")
    quick = {"hidden": (16,), "learning_rate": 3e-3, "max_epochs": 5}
    result = train(features, a, b, target, prompt, source=source, leave_out="radio", **quick)
    assert result.split["left_out"] == "radio"
    assert result.metrics["test"]["n"] == (source == "radio").sum()
    assert result.metrics["test"]["by_source"].keys() == {"radio"}
    assert result.metrics["validation"]["by_source"].keys() == {"stage"}
    lies = np.where(source == "radio", 1 - target, target)
    same = train(features, a, b, lies, prompt, source=source, leave_out="radio", **quick)
    assert same.history == result.history
    assert same.metrics["test"]["accuracy"] == pytest.approx(1 - result.metrics["test"]["accuracy"])


def test_held_out_votes_are_reported_by_source_and_by_system_with_their_counts():
    features, a, b, target, prompt = planted()
    systems = np.array(["alder", "birch", "cedar"])[a % 3], np.array(["alder", "birch", "cedar"])[b % 3]
    result = train(features, a, b, target, prompt, systems=systems, hidden=(8,), max_epochs=2)
    by_system = result.metrics["test"]["by_system"]
    test = np.isin(prompt, result.split["prompts"]["test"])
    for system in ("alder", "birch", "cedar"):
        theirs = test & ((systems[0] == system) | (systems[1] == system))
        assert by_system[system]["n"] == theirs.sum()
    assert len(result.metrics["test"]["reliability"]) == 10


# ---- bad input ----


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
