"""The bias of each system, found again where it was planted, with the sign that subtracts it."""

import numpy as np
import pytest
from scipy.optimize import minimize

from scoring.stats.anchors import Anchors, fit_anchors
from scoring.stats.bradley_terry import NoFiniteEstimate

PLANTED = {"drum": 0.9, "flute": -0.6, "harp": 0.0, "organ": -0.3}


def anchor_pairs(size=6000, seed=0):
    """Scores that carry the planted bias, on clips whose quality is spread much wider."""
    rng = np.random.default_rng(seed)
    systems, bias = np.array(list(PLANTED)), np.array(list(PLANTED.values()))
    a = rng.integers(4, size=size)
    b = (a + rng.integers(1, 4, size=size)) % 4
    quality_a, quality_b = rng.normal(size=(2, size)) * 1.5
    a_wins = rng.random(size) < 1 / (1 + np.exp(quality_b - quality_a))
    return quality_a + bias[a], quality_b + bias[b], systems[a].tolist(), systems[b].tolist(), a_wins


def test_planted_biases_are_found_within_their_errors():
    anchors = fit_anchors(*anchor_pairs())
    errors = {system: (anchors.bias[system] - PLANTED[system]) / anchors.stderr[system] for system in PLANTED}
    assert max(map(abs, errors.values())) < 3, errors
    assert sum(anchors.bias.values()) == pytest.approx(0, abs=1e-9)
    assert max(anchors.stderr.values()) < 0.08


def test_a_system_whose_scores_are_too_high_has_a_positive_bias_that_is_subtracted():
    anchors = fit_anchors([2.0] * 8, [0.0] * 8, ["loud"] * 8, ["plain"] * 8, [1, 0] * 4, l2=1e-6)
    assert anchors.bias["loud"] == pytest.approx(1, abs=1e-4)
    assert anchors.correct(2.0, "loud") == pytest.approx(1, abs=1e-4)
    assert anchors.correct(0.0, "plain") == pytest.approx(1, abs=1e-4)
    assert anchors.probability(2.0, 0.0, "loud", "plain") == pytest.approx(0.5, abs=1e-4)
    assert anchors.probability(0.0, 2.0, "plain", "loud") == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("anchor_system", [None, "harp"])
def test_the_penalty_is_l2_times_the_squared_biases(anchor_system):
    score_a, score_b, system_a, system_b, a_wins = anchor_pairs(80)
    systems, l2 = list(PLANTED), 3.0
    a, b = [systems.index(s) for s in system_a], [systems.index(s) for s in system_b]
    free = [i for i, system in enumerate(systems) if system != anchor_system]

    def objective(x):
        bias = np.zeros(4)
        bias[free] = x
        z = (score_a - bias[a]) - (score_b - bias[b])
        return np.logaddexp(0, np.where(a_wins, -z, z)).sum() + l2 * bias @ bias

    expected = minimize(objective, np.zeros(len(free)), tol=1e-10).x
    anchors = fit_anchors(score_a, score_b, system_a, system_b, a_wins, l2=l2, anchor_system=anchor_system)
    assert [anchors.bias[systems[i]] for i in free] == pytest.approx(expected, abs=1e-5)


def test_the_anchor_system_has_bias_zero_and_no_error():
    anchors = fit_anchors(*anchor_pairs(), anchor_system="drum")
    assert (anchors.bias["drum"], anchors.stderr["drum"]) == (0, 0)
    assert anchors.interval()["drum"] == (0, 0)
    relative = PLANTED["flute"] - PLANTED["drum"]
    assert abs(anchors.bias["flute"] - relative) < 3 * anchors.stderr["flute"]


def test_a_system_no_pair_has_seen_has_bias_zero():
    anchors = fit_anchors(*anchor_pairs(200))
    assert anchors.correct(1.25, "theremin") == 1.25
    assert anchors.probability(1.0, 1.0, "theremin", "kazoo") == 0.5


def test_without_bias_the_probability_is_that_of_the_scores():
    anchors = Anchors(bias={}, stderr={}, n_pairs={})
    assert anchors.probability(1.0, 0.0, "x", "y") == pytest.approx(1 / (1 + np.exp(-1)))


def test_probabilities_are_calibrated_on_other_pairs():
    anchors = fit_anchors(*anchor_pairs(seed=1))
    pairs = anchor_pairs(seed=2)
    p = np.array([anchors.probability(*row) for row in zip(*pairs[:4], strict=True)])
    for low in np.arange(0, 1, 0.2):
        bin_ = (p >= low) & (p < low + 0.2)
        assert p[bin_].mean() == pytest.approx(pairs[4][bin_].mean(), abs=0.05)


def test_intervals_contain_the_bias_and_come_from_the_fit():
    anchors = fit_anchors(*anchor_pairs(400))
    wide, narrow = anchors.interval(0.99), anchors.interval(0.5)
    for system, bias in anchors.bias.items():
        assert wide[system][0] < narrow[system][0] < bias < narrow[system][1] < wide[system][1]
        assert sum(wide[system]) / 2 == pytest.approx(bias)


def test_pairs_are_counted_for_both_systems_and_not_at_weight_zero():
    anchors = fit_anchors([0, 0, 0], [0, 0, 0], ["x", "y", "x"], ["y", "z", "z"], [1, 0, 1], weight=[1, 1, 0])
    assert anchors.n_pairs == {"x": 1, "y": 2, "z": 1}


def test_raters_and_weights_reach_the_fit():
    pairs = anchor_pairs(300)
    twice = [[*column, *column] for column in pairs]
    once = fit_anchors(*pairs, cluster=range(300), weight=[2] * 300)
    again = fit_anchors(*twice, cluster=[*range(300), *range(300)])
    assert again.bias == pytest.approx(once.bias)
    assert again.stderr == pytest.approx(once.stderr)


def test_without_a_ridge_the_systems_that_cannot_be_placed_are_named():
    with pytest.raises(NoFiniteEstimate, match=r"\{drum\}, \{harp\}"):
        fit_anchors([0, 0], [0, 0], ["drum", "drum"], ["harp", "harp"], [1, 1], l2=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score_a": [np.nan, 0]}, r"score_a\[0\] is nan"),
        ({"score_b": [0, -np.inf]}, r"score_b\[1\] is -inf"),
        ({"a_wins": [1, 0.5]}, r"a_wins\[1\] is 0.5, not 0 or 1: leave ties out"),
        ({"anchor_system": "kazoo"}, "'kazoo' is in no anchor pair"),
        ({"system_b": ["x", "z"]}, "'x' with itself"),
        ({"system_b": ["y"]}, "lengths"),
    ],
)
def test_input_that_cannot_be_meant_is_refused_by_name(change, message):
    systems = {"system_a": ["x", "y"], "system_b": ["y", "z"]}
    pairs = {"score_a": [0, 1], "score_b": [1, 0], "a_wins": [1, 0], **systems}
    with pytest.raises(ValueError, match=message):
        fit_anchors(**(pairs | change))


def test_no_anchor_pairs_is_an_error_and_a_score_that_is_not_finite_is_never_corrected():
    with pytest.raises(ValueError, match="no votes"):
        fit_anchors([], [], [], [], [])
    with pytest.raises(ValueError, match="not a finite number"):
        Anchors({}, {}, {}).correct(float("nan"), "x")
