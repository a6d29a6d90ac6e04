"""Ratings of votes and rewards beside an edition: whose word counts, what is written, and that it can be rebuilt."""

from datetime import timedelta

import numpy as np
import pytest
from django.core.management import call_command
from django.utils import timezone

from arena.models import Clip
from scoring import tasks
from scoring.boards import prediction_powered
from scoring.boards.refit import refit_board
from scoring.jury.rewards import store_rewards
from scoring.models import RewardModel
from scoring.stats import board_method
from tests.casts import simulated_arena

pytestmark = pytest.mark.django_db


@pytest.fixture
def arena(db, monkeypatch):
    """150 votes on the 360 clip pairs of 4 systems and 60 prompts."""
    monkeypatch.setattr(simulated_arena, "PROMPTS", 60)
    study = simulated_arena.make_arena()
    simulated_arena.vote(study, 150, simulated_arena.taste())
    refit_board(study)
    return study


def make_model(prompts=None, good=True, **config):
    """A live model whose rewards are what listeners like, or noise; prompts: {side: ids} of its training."""
    RewardModel.objects.update(status="retired")
    if prompts is not None:
        config["split"] = {"by": "prompt", "prompts": prompts}
    model = RewardModel.objects.create(
        name=f"jury {RewardModel.objects.count()}", encoders=[], weights="w", sha256="s", status="live", config=config
    )
    liking, rng = simulated_arena.taste(), np.random.default_rng(1)
    store_rewards(model, {pk: liking[pk] if good else rng.normal() for pk in liking})
    return model


def prompts_of(study):
    return sorted(set(Clip.objects.values_list("prompt_id", flat=True)))


def test_a_good_model_narrows_the_intervals_and_the_votes_alone_are_as_on_the_board(arena):
    row = prediction_powered.compute(arena, make_model(prompts={"train": [], "validation": [], "test": []}))
    result, board = row.result, arena.editions.get().result
    assert result["not_offered"] is None
    assert result["n_votes"] == board["n_votes"] == 150
    assert result["n_predicted"] <= 150
    assert 210 <= result["n_unvoted"] < 360
    assert result["correlation"] > 0.3
    assert result["width_ratio"] < 0.99
    of_board = {rating["system"]: rating for group in board["groups"] for rating in group}
    for rating in result["groups"][0]:
        same = of_board[rating["system"]]
        for name in ("rating", "low", "high"):
            assert rating[f"votes_{name}"] == pytest.approx(same[name], abs=1e-5)
        assert rating["low"] < rating["rating"] < rating["high"]


def test_a_useless_model_changes_next_to_nothing(arena):
    result = prediction_powered.compute(arena, make_model({"train": []}, good=False)).result
    assert result["power"] < 0.5
    assert 0.95 < result["width_ratio"] < 1.02


def test_rebuilding_gives_the_same_json_whatever_came_later(arena):
    model = make_model({"train": []})
    late = Clip.objects.order_by("pk").last()
    row = prediction_powered.compute(arena, model)
    simulated_arena.vote(arena, 20, simulated_arena.taste(), seed=1)
    other = Clip.objects.create(
        system=late.system, prompt=late.prompt, sha256="later", original="x.wav", status="ready", duration_ms=12_000,
        loudness_lufs=-14.0,
    )  # fmt: skip
    store_rewards(model, {other.pk: 9.0})
    assert prediction_powered.rebuild(row) == board_method.canonical_json(row.result)


def test_a_row_never_changes(arena):
    row = prediction_powered.compute(arena, make_model({"train": []}))
    row.method_version = 9
    with pytest.raises(Exception, match="append-only"):
        row.save()


def test_the_model_speaks_only_of_prompts_that_neither_trained_nor_stopped_it(arena):
    everything = prediction_powered.compute(arena, make_model({"train": []})).result
    prompts = prompts_of(arena)
    model = make_model({"train": prompts[:20], "validation": prompts[20:25], "test": prompts[25:]})
    held_out = prediction_powered.compute(arena, model).result
    assert held_out["n_votes"] == 150  # the other votes count as they do on the board
    assert held_out["n_predicted"] < 0.75 * everything["n_predicted"]
    assert held_out["n_unvoted_prompts"] <= 35
    assert held_out["width_ratio"] > everything["width_ratio"]
    all_seen = make_model({"train": prompts[:50], "validation": prompts[50:]})
    assert prediction_powered.compute(arena, all_seen).result == {
        "not_offered": "few_votes",
        "n_predicted": 0,
        "n_unvoted": 0,
    }


@pytest.mark.parametrize("config", [{}, {"imported": {"file": "head.pt"}}, {"split": {"by": "rater"}}])
def test_a_model_whose_prompts_are_not_known_is_not_asked_unless_somebody_states_them(arena, config):
    model = make_model(**config)
    assert prediction_powered.compute(arena, model).result == {"not_offered": "prompts_unknown"}
    call_command("prediction_powered", "open", state_unseen=True)
    row = arena.editions.get().prediction_powered.first()
    assert row.config["unseen"] == "stated"
    assert row.result["not_offered"] is None
    model.refresh_from_db()
    assert model.config["unseen_prompts_stated_by"] == "manage.py"


def test_a_model_of_an_exports_prompts_is_not_asked(arena):
    model = make_model({"train": []}, export={"file": "votes.jsonl"})
    assert prediction_powered.compute(arena, model).result == {"not_offered": "prompts_unknown"}


def test_a_board_that_is_no_board_of_half_ties_has_none(arena):
    refit_board(arena, covariates=["slot"])
    assert prediction_powered.compute(arena, make_model({"train": []})).result == {"not_offered": "treatment"}


def test_the_sweep_writes_one_row_per_edition_and_again_when_clips_were_scored(arena):
    tasks.power_boards()  # the arena's own live model, whose prompts nobody knows
    model = make_model({"train": []})
    tasks.power_boards()
    tasks.power_boards()
    rows = arena.editions.get().prediction_powered
    assert rows.filter(reward_model=model).count() == 1
    clip = Clip.objects.first()
    other = Clip.objects.create(
        system=clip.system, prompt=clip.prompt, sha256="new", original="x.wav", status="ready", duration_ms=12_000,
        loudness_lufs=-14.0,
    )  # fmt: skip
    store_rewards(model, {other.pk: 0.0})
    assert not prediction_powered.is_due(arena, model)
    assert prediction_powered.is_due(arena, model, timezone.now() + timedelta(minutes=11))
    simulated_arena.vote(arena, 5, simulated_arena.taste(), seed=2)
    refit_board(arena)
    assert prediction_powered.is_due(arena, model)


def test_readers_see_it_beside_the_board_of_that_edition(arena, client):
    url = "/api/leaderboard/prediction-powered/"
    assert client.get(url).json() == {"study": "open", "edition": 1, "computed": None}
    model = make_model({"train": []})
    row = prediction_powered.compute(arena, model)
    answer = client.get(url, {"study": "open"}).json()
    assert answer["computed"]["groups"] == row.result["groups"]
    assert answer["computed"]["reward_model"] == model.name
    assert client.get(url, {"edition": 7}).status_code == 404
    page = client.get("/boards/open/").content.decode()
    assert "Votes and rewards together" in page
    assert f"{100 * row.result['width_ratio']:.0f} %" in page
    assert "Votes and rewards together" in client.get("/boards/open/?edition=1").content.decode()


def test_the_page_says_why_there_are_none(arena, client):
    prediction_powered.compute(arena, make_model())
    assert "it is not known which prompts" in client.get("/boards/open/").content.decode()
