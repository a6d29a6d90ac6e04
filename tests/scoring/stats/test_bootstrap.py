"""Resampled raters as a check of the sandwich."""

import numpy as np
import pytest

from scoring.stats.bradley_terry import Fit, NoFiniteEstimate, bootstrap, fit, fit_davidson
from tests.casts.simulated_votes import simulate


def test_the_bootstrap_by_rater_agrees_with_the_sandwich():
    a, b, outcome, _ = simulate(n=4, size=900)
    rater = np.arange(900) % 60
    sandwich = fit(a, b, outcome, 4, cluster=rater, l2=0.05)
    resampled = bootstrap(a, b, outcome, 4, cluster=rater, l2=0.05, n_draws=800)
    assert resampled.stderr == pytest.approx(sandwich.stderr, rel=0.12)
    assert np.array(resampled.interval()) == pytest.approx(np.array(sandwich.interval()), abs=0.07)


def test_raters_and_not_votes_are_resampled():
    """Everybody's votes three times over: the raters know no more, and single votes would say otherwise."""
    a, b, outcome, _ = simulate(n=4, size=300)
    rater = np.arange(300) % 60
    thrice = {"a": np.tile(a, 3), "b": np.tile(b, 3), "outcome": np.tile(outcome, 3), "n_systems": 4, "l2": 0.05}
    by_rater = bootstrap(**thrice, cluster=np.tile(rater, 3), n_draws=200).stderr
    by_vote = bootstrap(**thrice, n_draws=200).stderr
    assert by_vote.mean() < 0.7 * by_rater.mean()


def test_it_is_a_fit_with_the_estimate_of_the_whole():
    a, b, outcome, rater = simulate(n=4, size=300)
    whole, resampled = fit(a, b, outcome, 4, cluster=rater), bootstrap(a, b, outcome, 4, cluster=rater, n_draws=50)
    assert isinstance(resampled, Fit)
    assert resampled.theta == pytest.approx(whole.theta)
    assert (resampled.n_votes, resampled.g_eff, resampled.groups) == (300, whole.g_eff, whole.groups)
    low, high = resampled.interval(0.5)
    assert ((resampled.draws > low) & (resampled.draws < high)).mean(axis=0) == pytest.approx(0.5, abs=0.03)
    assert resampled.draws.sum(axis=1) == pytest.approx(np.zeros(50), abs=1e-9)


def test_the_same_seed_draws_the_same_and_another_does_not():
    a, b, outcome, rater = simulate(n=4, size=300)
    one, again, other = (
        bootstrap(a, b, outcome, 4, cluster=rater, n_draws=5, seed=seed, l2=0.1).draws for seed in (1, 1, 2)
    )
    assert (one == again).all()
    assert (one != other).any()


def test_any_of_the_models_can_be_resampled_with_weights():
    a, b, outcome, rater = simulate(n=4, size=600)
    weight = np.random.default_rng(0).uniform(0.5, 1.5, 600)
    resampled = bootstrap(a, b, outcome, 4, cluster=rater, weight=weight, n_draws=200, estimator=fit_davidson, l2=0.05)
    sandwich = fit_davidson(a, b, outcome, 4, cluster=rater, weight=weight, l2=0.05)
    assert resampled.theta == pytest.approx(sandwich.theta)
    assert resampled.stderr == pytest.approx(sandwich.stderr, rel=0.25)


def test_a_pinned_rating_stays_at_zero_in_every_draw():
    a, b, outcome, rater = simulate(n=4, size=300)
    resampled = bootstrap(a, b, outcome, 4, cluster=rater, n_draws=20, pin=1, l2=0.05)
    assert not resampled.draws[:, 1].any()
    assert resampled.stderr[1] == 0


def test_without_a_ridge_a_resample_without_an_estimate_is_told():
    with pytest.raises(NoFiniteEstimate):
        bootstrap([0, 1, 0], [1, 0, 1], [1, 1, 1], 2, n_draws=50)


def test_one_draw_shows_no_spread():
    with pytest.raises(ValueError, match="n_draws"):
        bootstrap([0, 1], [1, 0], [1, 1], 2, n_draws=1)
