"""What a margin means: as much as held-out votes have shown, and no more."""

import math
from dataclasses import asdict

import numpy as np
import pytest
from scipy.special import expit

from scoring.metrics import lapses, preference
from scoring.models import RewardModel
from scoring.registry.calibration import probability, sigmoid
from tests.casts.score import MEASURED, Researcher, measured_and_calibrated

URL = "/api/models/live/calibration/"


@pytest.fixture
def rosa(db):
    return Researcher()


def live(measured):
    RewardModel.objects.create(name="jury", encoders=[], weights="w", sha256="s", status="live", metrics=measured)


def without(*names):
    return {"test": {name: value for name, value in MEASURED["test"].items() if name not in names}}


def test_a_margin_over_the_temperature_is_the_log_odds():
    assert probability(2.0, 2.0) == pytest.approx(1 / (1 + math.exp(-1)), abs=1e-6)
    assert probability(-2.0, 2.0) + probability(2.0, 2.0) == pytest.approx(1)
    assert probability(0.0, 0.5) == 0.5


def test_no_margin_is_too_large():
    assert (sigmoid(1e6), sigmoid(-1e6)) == (1.0, 0.0)


def test_without_temperature_or_margin_there_is_no_probability():
    assert probability(1.0, None) is probability(None, 1.0) is None


def test_with_lapses_no_margin_is_all_but_certain_and_the_temperature_is_theirs():
    found = {"rate": 0.4, "temperature": 0.5}
    assert probability(1.0, 3.0, found) == pytest.approx(0.2 + 0.6 / (1 + math.exp(-2)), abs=1e-6)
    assert probability(1e6, 3.0, found) == pytest.approx(0.8)
    assert probability(1e6, None, found) == pytest.approx(0.8)
    assert probability(None, 3.0, found) is None


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_lapses_that_held_out_votes_show_are_believed_and_none_that_they_do_not(rosa, rate):
    live(measured_and_calibrated(rate))
    body = rosa.get(URL).json()
    assert body["lapses"] == ({"rate": 0.4, "temperature": 0.5} if rate else None)
    assert (body["ece"], body["calibrated_ece"]) == (0.04, 0.02)
    (one,) = [example for example in body["examples"] if example["margin"] == 1.0]
    assert one["probability"] == probability(1.0, 0.5, body["lapses"])


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_one_calibration_is_stated_which_was_fitted_on_one_side_and_measured_on_the_other(rosa, rate):
    live(measured_and_calibrated(rate))
    body = rosa.get(URL).json()
    assert body["fitted_on"] == {"votes": "validation", "n": 150}
    assert body["measured_on"] == {"votes": "test", "n_decided": 200}
    assert body["temperature"]["n"] == 150


def test_a_model_from_before_calibration_on_the_validation_side_says_that_its_own_was_fitted_on_the_test_side(rosa):
    live({"validation": {"temperature": {"value": 9.0, "low": 8.0, "high": 10.0, "n": 150}}, **MEASURED})
    body = rosa.get(URL).json()
    assert (body["temperature"]["value"], body["calibrated_ece"]) == (2.0, None)
    assert body["fitted_on"] == {"votes": "test", "n": 200}


def test_the_live_models_calibration_has_its_interval_its_counts_and_the_plain_sigmoid(rosa):
    live(MEASURED)
    body = rosa.get(URL).json()
    assert body["temperature"] == {"value": 2.0, "low": 1.5, "high": 2.6, "n": 200}
    assert body["reason"] is None
    assert [one["n"] for one in body["bins"]] == [100, 100]
    assert body["measured_on"]["n_decided"] == 200
    (one,) = [example for example in body["examples"] if example["margin"] == 1.0]
    assert one["probability"] == pytest.approx(0.622459, abs=1e-6)
    assert one["sigmoid"] == pytest.approx(0.731059, abs=1e-6)


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        ({}, "jury was not measured on held-out votes"),
        (without("temperature", "reliability"), "before temperatures were fitted"),
        ({"test": {**MEASURED["test"], "temperature": None}}, "No temperature fits the 200 decided"),
    ],
)
def test_a_model_without_a_temperature_says_why_and_gives_no_probability(rosa, measured, reason):
    live(measured)
    body = rosa.get(URL).json()
    assert body["temperature"] is None
    assert reason in body["reason"]
    assert {example["probability"] for example in body["examples"]} == {None}
    assert all(example["sigmoid"] > 0.5 for example in body["examples"])


def test_calibration_is_for_researchers_and_of_a_live_model(rosa, client):
    assert rosa.get(URL).status_code == 404
    live(MEASURED)
    assert client.get(URL).status_code == 401
    assert Researcher("eve", group=None).get(URL).status_code == 403


def test_what_training_measures_is_what_calibration_reads(rosa):
    """Two sides of 800 votes whose log-odds are the margin over 1.7: a model that is overconfident by so much."""
    rng = np.random.default_rng(0)
    margin = rng.normal(0, 2, (2, 800))
    target = (rng.random((2, 800)) < expit(margin / 1.7)).astype(float)
    fitted = lapses.calibrate(margin[0], target[0])
    sides = {side: preference.report(margin[row], target[row]) for row, side in enumerate(("validation", "test"))}
    sides["test"]["calibrated"] = {**asdict(fitted), "ece": 0.02, "log_loss": 0.6}
    live(sides)
    body = rosa.get(URL).json()
    assert body["lapses"] is None and body["temperature"]["value"] == fitted.temperature
    assert body["temperature"]["low"] < 1.7 < body["temperature"]["high"]
    assert (body["temperature"]["n"], body["measured_on"]["n_decided"]) == (800, 800)
    assert sum(one["n"] for one in body["bins"]) == 800
    assert all(example["probability"] < example["sigmoid"] for example in body["examples"])
