"""One query says of which studies something is due: what asking study by study says, at every step of a board."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotations import alarms, ledger
from annotations.models import Vote
from annotations.services import withdraw_rater
from arena.models import Clip, ExcerptRequest, Prompt, Study, System
from arena.serving import excerpts_due
from scoring.anchors import refit as anchors
from scoring.boards import categories, prediction_powered, refit, robustness_cards, standings
from scoring.boards.figures import data as figures
from scoring.boards.refit import refit_board
from scoring.jury.rewards import store_rewards
from scoring.models import RewardModel, Standing
from scoring.screening import sweep as screening
from tests.casts.clips import make_clip, make_ready
from tests.casts.votes import cast

LATER = timedelta(hours=1)


def by_one_query(now):
    model = RewardModel.live()
    return {
        "boards": set(refit.due_studies(now)),
        "standings": set(standings.due_studies()),
        "categories": set(categories.due_studies()),
        "cards": set(robustness_cards.due_studies(now)),
        "figures": set(figures.due_studies(now)),
        "anchors": set(anchors.due_studies(model)) if model else set(),
        "powered": set(prediction_powered.due_studies(model, now)) if model else set(),
        "screening": set(screening.due_studies(now)),
    }


def study_by_study(now):
    model = RewardModel.live()

    def where(is_due):
        return {study.pk for study in Study.objects.all() if is_due(study)}

    return {
        "boards": where(lambda study: refit.board_is_due(study, now)),
        "standings": {row.study_id for row in Standing.objects.all() if standings.is_behind(row)},
        "categories": where(categories.categories_are_due),
        "cards": where(lambda study: robustness_cards.card_is_due(study, now)),
        "figures": where(lambda study: figures.figures_are_due(study, now)),
        "anchors": where(lambda study: anchors.anchors_are_due(study, model)) if model else set(),
        "powered": where(lambda study: prediction_powered.is_due(study, model, now)) if model else set(),
        "screening": where(lambda study: screening.screening_is_due(study, now)),
    }


def test_at_every_step_of_two_boards_the_same_studies_are_due(study, monkeypatch):
    monkeypatch.setattr(figures, "_drawn", lambda *_: {})
    other = Study.objects.create(slug="other", name="Other", excerpt_s=10)
    other.systems.set(study.systems.all())
    make_ready(other)
    model = RewardModel.objects.create(name="jury", encoders=[], weights="w", sha256="s", status="live")
    clips = list(Clip.objects.order_by("pk"))
    steps = [
        lambda: None,
        lambda: cast(study, "ABABAB"),
        lambda: refit_board(study),
        lambda: categories.compute_categories(study),
        lambda: robustness_cards.write_card(study),
        lambda: store_rewards(model, {clip.pk: clip.pk % 5 / 10 for clip in clips[:-1]}),
        lambda: anchors.refit_anchors(study, model),
        lambda: figures.draw_figures(study),
        lambda: prediction_powered.compute(study, model),
        lambda: screening.screen_study(study),
        lambda: cast(other, "AB"),
        lambda: refit_board(other),
        lambda: store_rewards(model, {clips[-1].pk: 1.0}),
        lambda: Study.objects.filter(pk=study.pk).update(exclude_flagged=False),
        lambda: refit_board(Study.objects.get(pk=study.pk)),
        lambda: Study.objects.filter(pk=study.pk).update(weight_by_reliability=True),
        lambda: screening.screen_study(study, timezone.now() + LATER),
        lambda: refit_board(Study.objects.get(pk=study.pk)),
        lambda: cast(study, "AB"),
        lambda: cast(other, ["BOTH_BAD"]),
        lambda: withdraw_rater(Vote.objects.filter(battle__study=other).earliest("pk").rater),
        lambda: ledger.catch_up(),
        lambda: refit_board(other, timezone.now() + LATER, only_if_due=True),
        lambda: Study.objects.filter(pk=other.pk).update(exclude_flagged=False),
        lambda: cast(other, "A"),
        lambda: refit_board(other, timezone.now() + LATER, only_if_due=True),
    ]
    for number, step in enumerate(steps):
        step()
        for now in (timezone.now(), timezone.now() + LATER):
            assert by_one_query(now) == study_by_study(now), f"after step {number}"


def test_the_number_of_queries_does_not_depend_on_the_number_of_studies(study):
    RewardModel.objects.create(name="jury", encoders=[], weights="w", sha256="s", status="live")
    counts = []
    for n in (1, 5):
        for number in range(n):
            other = Study.objects.create(slug=f"study-{n}-{number}", name="Study", excerpt_s=10)
            other.systems.set(study.systems.all())
            make_ready(other)
            cast(other, "AB")
            refit_board(other)
        with CaptureQueriesContext(connection) as queries:
            by_one_query(timezone.now())
            excerpts_due.due_studies()
            alarms.studies_with_news()
        counts.append(len(queries))
    assert counts[0] == counts[1]


# ---- excerpts ----


@pytest.fixture
def requested(study):
    assert excerpts_due.due_studies() == [study.pk]
    excerpts_due.request(study)
    assert excerpts_due.due_studies() == []
    return study


CHANGES = {
    "a clip was measured": lambda study: make_clip(study.systems.first(), Prompt.objects.first()),
    "another system": lambda study: study.systems.add(new_system()),
    "a system is retired": lambda study: System.objects.filter(name="alder").update(retired_at=timezone.now()),
    "prompts": lambda study: study.prompts.add(Prompt.objects.first()),
    "a shorter length": lambda study: Study.objects.update(excerpt_s=5),
    "another codec": lambda study: Study.objects.update(codec="wav"),
    "golds": lambda study: Study.objects.update(golds=1),
    "a rejected excerpt": lambda study: Clip.objects.first().excerpts.update(status="rejected", reason="silence"),
}


def new_system():
    system = System.objects.create(name="dogwood")
    make_clip(system, Prompt.objects.first())
    return system


@pytest.mark.parametrize("change", CHANGES)
def test_excerpts_are_requested_again_when_something_has_changed(requested, change):
    CHANGES[change](requested)
    assert excerpts_due.due_studies() == [requested.pk]
    excerpts_due.request(Study.objects.get(pk=requested.pk))
    assert excerpts_due.due_studies() == []


def test_excerpts_of_a_closed_study_are_not_requested(study):
    Study.objects.update(is_open=False)
    assert excerpts_due.due_studies() == [] and not ExcerptRequest.objects.exists()
