"""What a margin means: as much as held-out votes have shown, and no more."""

import math

import numpy as np
import pytest
from scipy.special import expit

from scoring.calibration import probability, sigmoid
from scoring.models import RewardModel
from scoring.reward import metrics

from .score_cast import MEASURED, Researcher

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
    lapses = {"rate": 0.4, "temperature": 0.5}
    assert probability(1.0, 3.0, lapses) == pytest.approx(0.2 + 0.6 / (1 + math.exp(-2)), abs=1e-6)
    assert probability(1e6, 3.0, lapses) == pytest.approx(0.8)
    assert probability(1e6, None, lapses) == pytest.approx(0.8)
    assert probability(None, 3.0, lapses) is None


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_lapses_that_held_out_votes_show_are_believed_and_none_that_they_do_not(rosa, rate):
    calibrated = {"rate": rate, "temperature": 0.5, "n": 150, "ece": 0.02, "log_loss": 0.55}
    live({"test": {**MEASURED["test"], "calibrated": calibrated}})
    body = rosa.get(URL).json()
    assert body["lapses"] == ({"rate": 0.4, "temperature": 0.5} if rate else None)
    assert (body["ece"], body["calibrated_ece"]) == (0.04, 0.02)
    (one,) = [example for example in body["examples"] if example["margin"] == 1.0]
    assert one["probability"] == probability(1.0, 2.0, body["lapses"])


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
    """800 votes whose log-odds are the margin over 1.7: a model that is overconfident by so much."""
    rng = np.random.default_rng(0)
    margin = rng.normal(0, 2, 800)
    live({"test": metrics.report(margin, (rng.random(800) < expit(margin / 1.7)).astype(float))})
    body = rosa.get(URL).json()
    assert body["temperature"]["low"] < 1.7 < body["temperature"]["high"]
    assert (body["temperature"]["n"], body["measured_on"]["n_decided"]) == (800, 800)
    assert sum(one["n"] for one in body["bins"]) == 800
    assert all(example["probability"] < example["sigmoid"] for example in body["examples"])
