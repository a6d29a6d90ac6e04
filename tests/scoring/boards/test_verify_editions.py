"""Everything published can be computed again, and the command names what is not what it was."""

import io

import numpy as np
import pytest
from django.apps import apps
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.utils import timezone

from annotations import ledger
from annotations.models import Vote, VoteDetails
from annotations.services import withdraw_rater
from arena.models import Battle, Clip, Participation, Prompt
from arena.services import give_consent
from scoring import inputs
from scoring.anchors import refit as anchors
from scoring.boards import categories, explanations, prediction_powered, refit, robustness_cards
from scoring.boards.refit import refit_board
from scoring.jury.rewards import store_rewards
from scoring.models import (
    AnchorBias,
    AnchorFit,
    CategoryBoards,
    Edition,
    EditionChange,
    PredictionPowered,
    Rating,
    Release,
    Reward,
    RewardModel,
    RobustnessCard,
)
from scoring.releases.numbered import release
from scoring.stats.rebuilding import CannotBeRebuilt
from scoring.verification.kinds import KINDS
from tests.casts.clips import make_clip


@pytest.fixture
def published(study, monkeypatch):
    """Two editions of `open`, and beside them one row at least of every kind."""
    monkeypatch.setattr(prediction_powered, "FEWEST_VOTES", 5)
    Prompt.objects.filter(text="Driving rock").update(tags=["rock"])
    for text in ("Slow blues", "Fast jazz", "A waltz", "A march", "A polka", "A fugue", "A hymn"):
        prompt = Prompt.objects.create(text=text)
        for system in study.systems.all():
            make_clip(system, prompt)
    model = RewardModel.objects.create(
        name="jury", encoders=[], weights="w", sha256="s", status="live",
        config={"split": {"by": "prompt", "prompts": {"train": []}}},
    )  # fmt: skip
    rng = np.random.default_rng(0)
    store_rewards(model, {pk: rng.normal() for pk in Clip.objects.order_by("pk").values_list("pk", flat=True)})
    vote(study, "ABABAAB", at=0)
    vote(study, ["B", "TIE", "B", "A"], at=7)
    refit_board(study)
    categories.compute_categories(study)
    vote(study, "ABAB", at=11)
    refit_board(study)
    explanations.explain(explanations.unexplained().get())
    anchors.refit_anchors(study, model)
    robustness_cards.write_card(study)
    prediction_powered.compute(study, model)
    release("votes")
    release("pairs", "csv")
    assert PredictionPowered.objects.get().result["not_offered"] is None
    assert AnchorFit.objects.get().n_pairs == 14
    return study


def vote(study, preferences, at):
    """Votes of a new rater on the study's clip pairs in a fixed order, from the one numbered `at` on."""
    rater, now = give_consent(None, study, 1), timezone.now()
    clips = Clip.objects.order_by("prompt_id", "system__name")
    pairs = [(a, b) for a in clips for b in clips if a.prompt_id == b.prompt_id and a.system.name < b.system.name]
    for preference, (a, b) in zip(preferences, pairs[at:], strict=False):
        battle = Battle.objects.create(
            study=study, kind="imported", rater=rater, prompt_id=a.prompt_id, system_a_id=a.system_id, clip_a=a,
            system_b_id=b.system_id, clip_b=b, served_at=now, closed_at=now, close_reason="voted",
        )  # fmt: skip
        cast = Vote.objects.create(battle=battle, rater=rater, preference=preference, received_at=now)
        VoteDetails.objects.create(vote=cast, language="de")
    ledger.catch_up()
    return rater


def change(model, rows=None, **columns):
    """Change rows of an append-only table, as the owner of the database might."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {model._meta.db_table} DISABLE TRIGGER USER")
    (model.objects.all() if rows is None else rows).update(**columns)
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {model._meta.db_table} ENABLE TRIGGER USER")


def verified(*arguments, **options):
    """What the command prints; CommandError where it ends with status 1."""
    out = io.StringIO()
    call_command("verify_editions", *arguments, stdout=out, **options)
    return out.getvalue()


def refused(*arguments, **options):
    """The message with which the command ends with status 1, and what it printed before."""
    out = io.StringIO()
    with pytest.raises(CommandError) as error:
        call_command("verify_editions", *arguments, stdout=out, **options)
    assert error.value.returncode == 1
    return str(error.value), out.getvalue()


def counts(printed):
    """{kind: [rows, same, different, not rebuilt, failed]} of the table at the end."""
    lines = printed[printed.index("  kind") :].splitlines()[1:]
    return {line.split()[0]: [int(number) for number in line.split()[1:]] for line in lines}


# ---- the command ----


def test_what_was_published_is_what_computing_it_again_gives(published):
    assert counts(verified()) == {
        "boards": [2, 2, 0, 0, 0],
        "changes": [1, 1, 0, 0, 0],
        "cards": [1, 1, 0, 0, 0],
        "categories": [1, 1, 0, 0, 0],
        "prediction-powered": [1, 1, 0, 0, 0],
        "anchors": [1, 1, 0, 0, 0],
        "releases": [2, 2, 0, 0, 0],
    }


def test_it_still_is_after_more_votes_a_withdrawal_and_more_rewards(published):
    leaver = Vote.objects.order_by("pk").first().rater
    vote(published, "AB", at=15)
    withdraw_rater(leaver)
    ledger.catch_up()
    late = make_clip(published.systems.first(), Prompt.objects.create(text="Late"))
    store_rewards(RewardModel.live(), {late.pk: 3.0})
    refit_board(published)
    anchors.refit_anchors(published, RewardModel.live())
    of_kind = counts(verified())
    assert of_kind.pop("categories") == [1, 0, 0, 1, 0]  # the withdrawal erased the languages of seven votes
    assert sum(numbers[0] for numbers in of_kind.values()) == 10
    assert all(numbers[0] == numbers[1] for numbers in of_kind.values())


def in_result(model, key, value):
    row = model.objects.first()
    return {"result": {**row.result, key: value}}


PLANTED = {
    "boards": (Edition, lambda: in_result(Edition, "g_eff", 99.5), "result.g_eff: stored 99.5, rebuilt "),
    "changes": (EditionChange, lambda: in_result(EditionChange, "to", 7), "result.to: stored 7, rebuilt 2"),
    "cards": (
        RobustnessCard,
        lambda: in_result(RobustnessCard, "n_votes", 999),
        "result.n_votes: stored 999, rebuilt ",
    ),
    "categories": (
        CategoryBoards,
        lambda: in_result(CategoryBoards, "systems", ["alder"]),
        'result.systems[1]: stored (absent), rebuilt "birch"',
    ),
    "prediction-powered": (
        PredictionPowered,
        lambda: in_result(PredictionPowered, "n_votes", 3),
        "result.n_votes: stored 3, rebuilt ",
    ),
    "anchors": (AnchorFit, lambda: {"n_unscored": 5}, "n_unscored: stored 5, rebuilt 0"),
    "releases": (Release, lambda: {"n_rows": 3}, "n_rows: stored 3, rebuilt "),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_changed_row_of_any_kind_is_found_and_named(published, kind):
    model, columns, difference = PLANTED[kind]
    row = model.objects.first()
    change(model, rows=model.objects.filter(pk=row.pk), **columns())
    message, printed = refused()
    assert f"{kind}, {row} (id {row.pk}): different\n    {difference}" in message
    of_kind = counts(printed)
    assert of_kind[kind][2] == 1
    others = {name: numbers for name, numbers in of_kind.items() if name not in (kind, "changes")}
    assert all(numbers[0] == numbers[1] for numbers in others.values())  # a change follows from its two editions


COPIES = {
    Rating: ({"wins": 77}, "boards", "copies: ratings.birch.wins: stored 77, rebuilt "),
    AnchorBias: ({"bias": F("bias") + 1e-5}, "anchors", "biases.alder.bias: stored "),
    CategoryBoards: ({"summary": []}, "categories", "copies: summary[0]: stored (absent), rebuilt "),
}


@pytest.mark.parametrize("model", COPIES)
def test_a_changed_copy_is_found(published, model):
    columns, kind, difference = COPIES[model]
    change(model, rows=model.objects.filter(pk=model.objects.order_by("pk").first().pk), **columns)
    message, _ = refused(kind=[kind])
    assert message.startswith("1 of ") and difference in message


def test_a_changed_reward_is_found_in_all_that_rests_on_it(published):
    change(Reward, value=F("value") + F("clip_id") % 3)
    _, printed = refused()
    different = {kind for kind, numbers in counts(printed).items() if numbers[2]}
    assert different == {"anchors", "cards", "prediction-powered", "releases"}


def test_a_changed_vote_is_found_in_the_edition_and_in_the_line_of_the_release(published):
    first = Vote.objects.order_by("pk").first()
    assert first.preference == "A"
    change(Vote, rows=Vote.objects.filter(pk=first.pk), preference="B")
    message, _ = refused(kind=["boards", "releases"])
    assert "input_hash: stored " in message
    assert 'line 1.preference: stored "A", rebuilt "B"' in message


def test_a_file_of_a_release_that_was_changed_or_lost_is_found(published):
    first, second = Release.objects.order_by("number")
    default_storage.delete(first.file.name)
    with open(second.file.path, "ab") as file:
        file.write(b"more\n")
    message, _ = refused(kind=["releases"])
    assert f'copies: file: stored "absent", rebuilt "{first.sha256}"' in message
    assert message.count("copies: file: stored ") == 2


def test_a_row_that_breaks_does_not_stop_the_others(published):
    change(Edition, rows=Edition.objects.filter(number=1), config={"treatment": "half_tie"})
    message, printed = refused()
    assert "boards, open edition 1" in message and "failed\n    KeyError: 'excluded_flags'" in message
    assert counts(printed)["boards"] == [2, 1, 0, 0, 1]
    assert counts(printed)["releases"] == [2, 2, 0, 0, 0]


def test_a_query_that_fails_does_not_stop_the_others(published, monkeypatch):
    rebuilt = refit.rebuilt

    def query_of_nothing(edition):
        return Edition.objects.raw("SELECT nothing")[0] if edition.number == 1 else rebuilt(edition)

    monkeypatch.setattr(refit, "rebuilt", query_of_nothing)
    message, printed = refused(kind=["boards"])
    assert 'ProgrammingError: column "nothing" does not exist' in message
    assert counts(printed)["boards"] == [2, 1, 0, 0, 1]


# ---- what cannot be computed again ----


def test_an_edition_of_an_unknown_method_is_no_difference_unless_strict(published):
    change(Edition, rows=Edition.objects.filter(number=2), method_version=99, result={})
    printed = verified()
    assert "its method, bradley-terry 99, is not in this code" in printed
    # what stands beside that edition depends on its method
    assert {kind: numbers[3] for kind, numbers in counts(printed).items() if numbers[3]} == {
        "boards": 1, "changes": 1, "cards": 1, "prediction-powered": 1,
    }  # fmt: skip
    message, _ = refused(strict=True)
    assert message.startswith("4 of 9 rows")


@pytest.mark.parametrize("model", [EditionChange, RobustnessCard, CategoryBoards, PredictionPowered, Release])
def test_a_row_of_an_unknown_method_is_no_difference(published, model):
    change(model, method_version=99)
    printed = verified()
    assert "99, is not in this code" in printed
    assert sum(numbers[3] for numbers in counts(printed).values()) == model.objects.count()


def test_a_release_of_an_unknown_method_whose_file_was_changed_is_a_difference(published):
    change(Release, method_version=99)
    default_storage.delete(Release.objects.first().file.name)
    message, printed = refused()
    assert 'copies: file: stored "absent"' in message and "is not in this code" in message
    assert counts(printed)["releases"] == [2, 0, 1, 1, 0]


@pytest.fixture
def of_groups(published):
    """Edition 2 with its categories; one listener is a musician."""
    Participation.objects.filter(pk=Participation.objects.first().pk).update(group="musician")
    categories.compute_categories(published)
    return published


def test_after_a_withdrawal_the_boards_of_listeners_cannot_be_computed_again_and_the_rest_is_the_same(of_groups):
    withdraw_rater(Participation.objects.get(group="musician").rater)
    printed = verified(kind=["categories"])
    assert "the boards by language cannot be computed again: 7 votes were withdrawn since" in printed
    assert "the boards by group cannot be computed again: 7 votes were withdrawn since" in printed
    assert counts(printed)["categories"] == [2, 0, 0, 2, 0]
    row = CategoryBoards.objects.get(edition__number=2)
    change(CategoryBoards, rows=CategoryBoards.objects.filter(pk=row.pk), result={**row.result, "overall": None})
    message, _ = refused(kind=["categories"])
    assert "result.overall: stored null" in message


def test_a_group_named_later_cannot_be_told_from_a_changed_one_but_a_language_can(of_groups):
    Participation.objects.filter(group="").update(group="listener")
    assert "the boards by group cannot be computed again: a listener named their group since" in verified()
    VoteDetails.objects.filter(pk=VoteDetails.objects.first().pk).update(language="fr")
    message, _ = refused(kind=["categories"])
    assert "result.members.language: stored " in message


# ---- anchors ----


def old_fit(**config):
    """The fit as it was written before fits noted their last reward."""
    fit = AnchorFit.objects.get()
    without = {name: value for name, value in fit.config.items() if name not in ("last_reward", "method_version")}
    change(AnchorFit, config={**without, **config})
    return AnchorFit.objects.get()


def test_a_fit_is_computed_again_from_the_rewards_of_its_time(published):
    fit = AnchorFit.objects.get()
    assert fit.config["last_reward"] == inputs.last_reward()
    late = make_clip(published.systems.first(), Prompt.objects.create(text="Late"))
    store_rewards(RewardModel.live(), {late.pk: 3.0})
    assert anchors.rebuild_fit(fit) == anchors.stored(fit)


def test_a_fit_of_a_model_that_had_scored_nothing_is_computed_again(published):
    model = RewardModel.objects.create(name="blank", encoders=[], weights="w", sha256="s")
    fit = anchors.refit_anchors(published, model)
    store_rewards(model, {clip.pk: 1.0 for clip in Clip.objects.all()})
    assert fit.n_pairs == 0
    assert anchors.rebuild_fit(fit) == anchors.stored(fit)


def test_an_old_fit_is_computed_again_from_the_first_rewards_of_its_model(published):
    late = make_clip(published.systems.first(), Prompt.objects.create(text="Late"))
    store_rewards(RewardModel.live(), {late.pk: 3.0})
    fit = old_fit()
    assert anchors.rebuild_fit(fit) == anchors.stored(fit)
    change(AnchorBias, bias=F("bias") + 0.1)
    assert "biases.alder.bias" in refused(kind=["anchors"])[0]


def test_an_old_fit_that_had_more_rewards_than_it_noted_cannot_be_computed_again(published):
    fit = old_fit(n_rewards=2)
    with pytest.raises(CannotBeRebuilt, match=r"The first 2 give 1 pairs, not 14: more rewards came"):
        anchors.rebuild_fit(fit)
    assert "did not record which rewards" in verified()


def test_a_fit_from_before_intervals_or_of_another_method_cannot_be_computed_again(published):
    fit = AnchorFit.objects.get()
    change(AnchorFit, config={"l2": 1.0})
    assert "from before fits had intervals" in verified()
    change(AnchorFit, config={**fit.config, "method_version": 99})
    assert "its method, anchor fit 99, is not in this code" in verified()


# ---- which rows ----


def test_one_study_one_kind_or_one_row_is_chosen(published):
    assert counts(verified("open"))["releases"][0] == 0  # they are of all studies
    assert counts(verified(kind=["boards", "cards"])).keys() == {"boards", "cards"}
    assert counts(verified("open", kind=["boards"], number=2)) == {"boards": [1, 1, 0, 0, 0]}
    assert counts(verified(kind=["releases"], number=1)) == {"releases": [1, 1, 0, 0, 0]}
    fit = AnchorFit.objects.get()
    assert counts(verified(kind=["anchors"], number=fit.pk)) == {"anchors": [1, 1, 0, 0, 0]}


def test_a_choice_that_names_nothing_is_refused(published):
    assert "say with --kind" in refused(number=1)[0]
    assert "no number 9 among the boards, cards in open" in refused("open", kind=["boards", "cards"], number=9)[0]
    assert "no study nowhere" in refused("nowhere")[0]


def test_without_anything_published_there_is_nothing_to_be_wrong(study):
    assert all(numbers == [0] * 5 for numbers in counts(verified()).values())


def test_every_table_of_results_has_a_kind():
    with_result = {
        model for model in apps.get_models() if {"result", "method_version"} <= {f.name for f in model._meta.fields}
    }
    assert Edition in with_result
    assert with_result <= {kind.model for kind in KINDS.values()}
