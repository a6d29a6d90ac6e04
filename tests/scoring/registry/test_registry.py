"""The live model: every act is written down, the way back is known, and what cannot score does not go live unseen."""

import threading

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection

from arena.refusals import Conflict
from scoring.models import Decision, RewardModel
from scoring.registry import live as registry
from tests.casts.reward_models import make_model

Act = Decision.Act


def acts():
    """What was done, oldest first: (act, model, replaced, by)."""
    return [
        (one.act, one.model.name, one.replaced and one.replaced.name, one.by) for one in reversed(registry.history())
    ]


@pytest.fixture
def models(db):
    return [make_model(name, seed) for seed, name in enumerate(("first", "second", "third"))]


def test_the_model_before_retires_and_the_act_is_written_down_with_its_reasons(models):
    first, second, _ = models
    registry.activate(first, "ada")
    decision = registry.activate(second, "the gate", Act.PROMOTED, {"reasons": ["It is better."]})
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("retired", "live")
    assert second.activated_at == decision.created_at
    assert decision.reasons == {"reasons": ["It is better."]}
    assert acts() == [(Act.ACTIVATED, "first", None, "ada"), (Act.PROMOTED, "second", "first", "the gate")]


def test_making_the_live_model_live_again_changes_nothing_and_says_so(models, capsys):
    registry.activate(models[0], "ada")
    assert registry.activate(models[0], "ada") is None
    call_command("activate_model", "first")
    assert "live already: nothing to do" in capsys.readouterr().out
    assert len(acts()) == 1


def test_rolling_back_twice_goes_two_models_back_and_not_forth_again(models):
    for model in models:
        registry.activate(model, "ada")
    assert registry.roll_back("ada").model.name == "second"
    assert registry.roll_back("ada").model.name == "first"
    assert RewardModel.live().name == "first"
    with pytest.raises(Conflict, match="first replaced no other model"):
        registry.roll_back("ada")
    assert acts()[3:] == [
        (Act.ROLLED_BACK, "second", "third", "ada"),
        (Act.ROLLED_BACK, "first", "second", "ada"),
    ]


def test_after_a_roll_back_a_new_model_can_be_rolled_back_to_the_same_place(models):
    first, second, third = models
    for model in (first, second):
        registry.activate(model, "ada")
    registry.roll_back("ada")
    registry.activate(third, "ada")
    assert registry.roll_back("ada").model == first


def test_a_candidate_that_was_kept_out_is_no_place_to_roll_back_to(models):
    first, second, third = models
    registry.activate(first, "ada")
    registry.keep(second, first, "the gate", {"reasons": ["It is no better."]})
    registry.activate(third, "ada")
    assert registry.roll_back("ada").model == first


def test_a_model_that_was_live_before_acts_were_written_down_can_be_gone_back_to(models):
    RewardModel.objects.filter(name="first").update(status="live")
    registry.activate(models[1], "ada")
    assert registry.roll_back("ada").model == models[0]


def test_with_no_model_live_there_is_nothing_to_roll_back(db):
    with pytest.raises(CommandError, match="No reward model is live"):
        call_command("rollback_model")


def test_one_command_rolls_back_and_names_both(models, capsys):
    call_command("activate_model", "first")
    call_command("activate_model", "second")
    call_command("rollback_model")
    assert capsys.readouterr().out.splitlines() == [
        "first is live.",
        "second is live; first retires.",
        "first is live again; second retires.",
    ]


def test_a_model_whose_weights_are_gone_does_not_go_live(models):
    registry.activate(models[0], "ada")
    default_storage.delete(models[1].weights.name)
    with pytest.raises(Conflict, match=r"second cannot go live here.*weights/\w+\.safetensors, is not in the storage"):
        registry.activate(models[1], "ada")
    assert RewardModel.live() == models[0]
    assert len(acts()) == 1


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ({"key": "spectral", "revision": "0", "dimension": 451}, "revision '0' is wanted"),
        ({"key": "clap-music", "revision": "1-0a1b2c3d", "dimension": 512}, "fetch_weights clap-music"),
        ({"key": "cochlea", "revision": "1", "dimension": 64}, "Unknown encoder 'cochlea'"),
    ],
)
def test_a_model_of_an_encoder_that_is_not_here_goes_live_only_when_forced_and_the_act_keeps_why(
    models, block, reason, monkeypatch, tmp_path
):
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path))
    RewardModel.objects.filter(name="second").update(encoders=[block])
    with pytest.raises(CommandError, match=reason):
        call_command("activate_model", "second")
    assert not RewardModel.live()
    call_command("activate_model", "second", force=True)
    assert RewardModel.live().name == "second"
    [problem] = Decision.objects.get().reasons["forced_over"]
    assert reason in problem


def test_a_roll_back_checks_the_model_too(models):
    for model in models[:2]:
        registry.activate(model, "ada")
    default_storage.delete(models[0].weights.name)
    with pytest.raises(CommandError, match="first cannot go live here"):
        call_command("rollback_model")
    assert RewardModel.live().name == "second"
    call_command("rollback_model", force=True)
    assert RewardModel.live().name == "first"


def test_an_act_meant_to_replace_another_model_than_the_live_one_is_refused(models):
    first, second, third = models
    registry.activate(first, "ada", over=None)
    registry.activate(second, "ada", over=first)
    with pytest.raises(registry.LiveChanged, match="The live model is second, no longer first"):
        registry.activate(third, "the gate", Act.PROMOTED, over=first)
    assert RewardModel.live() == second


def test_an_act_is_never_changed_or_taken_back(models):
    decision = registry.activate(models[0], "ada")
    decision.by = "eve"
    with pytest.raises(Exception, match="append-only"):
        decision.save()


@pytest.mark.django_db(transaction=True)
def test_two_people_at_once_make_two_acts_that_follow_each_other():
    models = [make_model(name, seed) for seed, name in enumerate(("first", "second", "third"))]
    registry.activate(models[0], "ada")
    together = threading.Barrier(2)

    def act(model, by):
        try:
            together.wait(10)
            registry.activate(model, by)
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=pair) for pair in ((models[1], "ada"), (models[2], "bob"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    one, two = acts()[1:]
    assert one[2] == "first"
    assert two[2] == one[1]
    assert RewardModel.live().name == two[1]
    assert RewardModel.objects.filter(status="retired").count() == 2
