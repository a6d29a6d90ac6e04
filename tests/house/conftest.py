"""Real answers about boards, by operationId, for tests of the API's description; see also api/conftest.py."""

import pytest

from annotations import ledger, ledger_heads
from annotations.models import Vote
from annotations.services import flag
from arena.limits import Marks
from arena.models import Clip, Prompt, Study
from arena.services import give_consent
from arena.serving import process_cache
from scoring.anchors.refit import refit_anchors
from scoring.boards import categories, explanations, prediction_powered, robustness_cards, standings
from scoring.boards.refit import refit_board
from scoring.jury.rewards import store_rewards
from scoring.metrics import certainty
from scoring.models import RewardModel
from scoring.stats import anchor_drift
from tests.casts.clips import make_clip, make_ready
from tests.casts.score import make_model
from tests.casts.votes import cast


@pytest.fixture
def board(study, monkeypatch):
    """Four editions: of one vote, grounded, with a covariate, and as most boards are; what stands beside the
    last one; and votes since."""
    monkeypatch.setattr(prediction_powered, "FEWEST_VOTES", 5)
    monkeypatch.setattr(anchor_drift, "FEWEST_PAIRS", 2)
    for number in range(12):
        prompt = Prompt.objects.create(text=f"song {number}", tags=["ballad"])
        for system in study.systems.all():
            make_clip(system, prompt)
    process_cache.forget()
    juror = RewardModel.objects.create(
        name="juror", encoders=[], weights="w", sha256="s", status="live", config={"split": {"prompts": {"train": []}}}
    )
    store_rewards(juror, {clip.pk: clip.pk % 7 / 5 for clip in Clip.objects.exclude(prompt__text="Driving rock")})
    cast(study, "A")
    robustness_cards.write_card(study, refit_board(study))
    for answers in (["A", "B", "TIE", "BOTH_BAD"], ["B", "A", "TIE", "BOTH_BAD"], "ABABA", "BBABA", "AABB", "ABBA"):
        cast(study, answers)
    refit_board(study, treatment="grounded")
    refit_board(study, treatment="half_tie", covariates=["slot"])
    for vote in Vote.objects.order_by("pk")[:3]:
        flag(vote, "too_fast", 1)
    ledger.extend()
    last = refit_board(study, covariates=[])
    refit_anchors(study, juror)
    robustness_cards.write_card(study, last)
    for edition in explanations.unexplained():
        explanations.explain(edition)
    categories.compute_categories(study)
    prediction_powered.compute(study, juror)
    cast(study, "BA")
    standings.move_on(study)
    study.systems.add(study.systems.model.objects.create(name="dogwood"))
    Study.objects.create(slug="staff", name="Staff", excerpt_s=10, boards_public=False)
    Study.objects.create(slug="young", name="Young", excerpt_s=10)
    return study


@pytest.fixture
def ask(client):
    """ask(path, {...}, {...}): the answers to these queries, and those to a slug that is none, to a study that there is
    not, and to one whose boards are for staff."""

    def ask(path, *queries, **needed):
        refused = ({"study": slug, **needed} for slug in ("not a slug", "nowhere", "staff"))
        return [client.get(path, query) for query in (*queries, *refused)]

    return ask


@pytest.fixture
def crowded(board):
    """A study of which one network is capped."""
    study = Study.objects.create(slug="crowded", name="Crowded", excerpt_s=10)
    study.systems.set(board.systems.exclude(name="dogwood"))
    make_ready(study)
    for place in ["hall"] * 4 + [f"home {number}" for number in range(5)]:
        marks = Marks(place, f"around {place}", f"{place} and fox")
        cast(study, "AB", give_consent(None, study, study.consent_version, came_by=marks))
    refit_board(study)
    return study


@pytest.fixture
def answers_to_leaderboard_retrieve(board, crowded, ask, client, monkeypatch):
    certain = ask(
        "/api/leaderboard/",
        {},
        {"edition": 2},
        {"edition": 3},
        {"category": "tag:ballad"},
        {"edition": 1},
        {"study": "young"},
        {"study": "crowded"},
        {"category": "tag:nosuch"},
        {"edition": 99},
    )
    monkeypatch.setattr(certainty, "RATERS", 99)
    return [*certain, client.get("/api/leaderboard/")]


@pytest.fixture
def answers_to_exclusions_retrieve(board, ask, monkeypatch):
    monkeypatch.setattr("scoring.boards.exclusions.PAGE", 2)
    ledger_heads.publish()
    return ask("/api/exclusions/", {}, {"before": 2}, {"study": "young"}, {"before": 0})


@pytest.fixture
def answers_to_editions_retrieve(board, ask, monkeypatch):
    monkeypatch.setattr("scoring.boards.changelog.PAGE", 3)
    return ask("/api/editions/", {}, {"before": 2}, {"study": "young"})


@pytest.fixture
def answers_to_editions_compare_retrieve(board, ask):
    ends = {"from": 1, "to": 4}
    return ask("/api/editions/compare/", ends, {"from": 3, "to": 4}, {"from": 4, "to": 1}, {"to": 4}, **ends)


@pytest.fixture
def answers_to_robustness_retrieve(board, ask, client, monkeypatch):
    certain = ask("/api/robustness/", {}, {"edition": 1}, {"edition": 2}, {"study": "young"})
    monkeypatch.setattr(certainty, "RATERS", 99)
    return [*certain, client.get("/api/robustness/")]


@pytest.fixture
def answers_to_anchors_retrieve(board, ask, client):
    answers = ask("/api/anchors/", {}, {"study": "young"})
    RewardModel.objects.update(status="retired")
    return [*answers, client.get("/api/anchors/")]


@pytest.fixture
def answers_to_leaderboard_prediction_powered_retrieve(board, ask):
    path = "/api/leaderboard/prediction-powered/"
    answers = ask(path, {}, {"edition": 1}, {"study": "young"})
    RewardModel.objects.update(status="retired")
    prediction_powered.compute(board, make_model("of unknown prompts"))
    return [*answers, *ask(path, {})]
