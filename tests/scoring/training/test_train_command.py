"""`train_reward`: its table, its refusals, and how it goes on where it was killed."""

from functools import partial

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from arena.models import Rater
from scoring.models import RewardModel
from scoring.reward import train as training_loop
from scoring.training import from_ledger
from scoring.training.candidates import train_candidate
from tests.casts.training import ENCODERS, exported, vote


@pytest.fixture
def home(settings, tmp_path):
    settings.ARENA_HOME = tmp_path / "home"


def test_the_command_ends_with_a_table_of_what_came_out(arena, quickly, home, capsys):
    call_command("train_reward", "--seeds", "0,1", "--name", "first", "--split", "rater", "--activate")
    out = capsys.readouterr().out
    model = RewardModel.objects.get()
    assert model.status == "live"
    for side in ("train", "validation", "test"):
        (line,) = [line for line in out.splitlines() if line.strip().startswith(side)]
        assert str(model.metrics[side]["n"]) in line
        assert (
            f"{model.metrics[side]['accuracy']:.3f} ({model.metrics['over_seeds'][side]['accuracy']['mean']:.3f} ±"
            in line
        )
    assert "mean ± standard deviation over 2 seeds" in out
    assert "split by rater" in out
    assert model.config["lapses"] is False


@pytest.mark.slow
def test_the_command_learns_the_rate_of_lapses_if_asked_and_says_what_calibration_came_out(
    arena, home, monkeypatch, capsys
):
    quick = partial(training_loop.train, hidden=(16,), learning_rate=3e-3, max_epochs=40, patience=40)
    monkeypatch.setattr(training_loop, "train", quick)
    vote(arena[0], list(Rater.objects.all()), 2100, seed=4, flipped=0.25)
    call_command("train_reward", "--lapses", "--study", "radio")
    model = RewardModel.objects.get()
    assert model.config["lapses"] is True
    calibrated = model.metrics["test"]["calibrated"]
    assert f"(lapses {calibrated['rate']:.1%}, temperature {calibrated['temperature']:.3f})" in capsys.readouterr().out
    assert model.history[-1]["rate"] == pytest.approx(0.5, abs=0.1)


def test_the_command_learns_what_listeners_hear(arena, home, monkeypatch):
    quick = partial(
        training_loop.train, hidden=(16,), learning_rate=3e-3, max_epochs=40, patience=10, fractions=(0.7, 0.15, 0.15)
    )
    monkeypatch.setattr(training_loop, "train", quick)
    vote(arena[0], list(Rater.objects.all()), 700, seed=4)
    call_command("train_reward", "--study", "radio")
    model = RewardModel.objects.get()
    data = from_ledger.training_set([arena[0]], model.ledger_seq, ENCODERS)
    test = np.isin(data.prompt, model.config["split"]["prompts"]["test"]) & (data.target != 0.5)
    taste = data.features[:, 0] / 4
    who_knows_the_truth = np.mean((taste[data.a] > taste[data.b])[test] == (data.target == 1)[test])
    assert model.metrics["test"]["n_decided"] == test.sum() > 50
    assert model.metrics["test"]["accuracy"] > who_knows_the_truth - 0.02


def test_the_command_trains_from_an_export(arena, quickly, home, tmp_path, capsys):
    file, clips = exported(tmp_path)
    call_command("train_reward", "--from-export", str(file), "--clips", str(clips))
    assert "votes left out: none" in capsys.readouterr().out
    live = train_candidate(arena)
    assert RewardModel.objects.exclude(pk=live.pk).get().history == live.history


@pytest.mark.slow
def test_the_command_goes_on_where_it_was_killed(arena, quickly, home, tmp_path, monkeypatch, capsys):
    with pytest.raises(CommandError, match="No training with these options was interrupted"):
        call_command("train_reward", "--resume")

    def killed(self, **figures):
        if figures["seed"] == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("tqdm.tqdm.set_postfix", killed)
        call_command("train_reward", "--seeds", "0,1")
    assert not RewardModel.objects.exists()
    with pytest.raises(CommandError, match="No training with these options"):
        call_command("train_reward", "--seeds", "0,2", "--resume")
    call_command("train_reward", "--seeds", "0,1", "--resume")
    resumed = RewardModel.objects.get()
    call_command("train_reward", "--seeds", "0,1", "--name", "whole")
    assert RewardModel.objects.get(name="whole").sha256 == resumed.sha256
    assert not list((tmp_path / "home" / "training").glob("*.pt"))


def test_of_two_trainings_with_the_same_options_at_once_the_second_is_refused_and_the_first_unharmed(
    arena, quickly, home, tmp_path, monkeypatch
):
    """They share a checkpoint, which the second would delete, or go on from, while the first still writes it."""

    def and_again(self, **figures):
        checkpoints = {path: path.read_bytes() for path in (tmp_path / "home" / "training").glob("*.pt")}
        for same in (["--seeds", "0,1"], ["--seeds", "0,1", "--resume"]):
            with pytest.raises(CommandError, match="Another process trains with these options"):
                call_command("train_reward", *same)
        assert {path: path.read_bytes() for path in checkpoints} == checkpoints
        met.append(figures["seed"])
        if len(met) == 5:
            raise KeyboardInterrupt

    met = []
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("tqdm.tqdm.set_postfix", and_again)
        call_command("train_reward", "--seeds", "0,1")
    assert len(met) == 5
    call_command("train_reward", "--seeds", "1,0")  # others have another
    call_command("train_reward", "--seeds", "0,1", "--resume")  # what was killed holds nothing
    assert RewardModel.objects.count() == 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("first", "a reward model 'first' already; choose another --name"),
        ("n" * 101, "--name has 101 characters; the name of a reward model has 100 at most"),
    ],
)
def test_a_name_that_no_model_can_have_is_told_before_the_training(arena, home, monkeypatch, name, says):
    RewardModel.objects.create(name="first", encoders=[])
    monkeypatch.setattr(
        "scoring.training.candidates.train_candidate", lambda *args, **options: pytest.fail("it trained")
    )
    with pytest.raises(CommandError, match=says):
        call_command("train_reward", "--name", name)


def test_a_candidate_that_may_not_go_live_is_stored_and_the_command_says_how_to_activate_it(
    arena, quickly, home, monkeypatch
):
    monkeypatch.setattr("scoring.registry.live.problems", lambda model: ["Its encoder has gone."])
    says = r"cannot go live here: Its encoder has gone\. .*stored as a candidate: .*activate_model 'my first'`"
    with pytest.raises(CommandError, match=says):
        call_command("train_reward", "--name", "my first", "--activate")
    assert RewardModel.objects.get(name="my first").status == "candidate"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--study", "opera"], "There is no study opera"),
        (["--leave-out", "opera"], "'opera' cannot be left out: the votes are of radio, stage"),
        (["--encoders", "ears"], "unknown encoder 'ears'"),
        (["--blocks", "ears"], "the blocks to use are ears"),
        (["--clips", "x"], "go with --from-export"),
        (["--from-export", "x"], "needs --clips"),
        (["--from-export", "x", "--clips", "y"], "There is no file x"),
        (["--from-export", "x", "--clips", "y", "--study", "radio"], "--study goes with the votes of this arena"),
    ],
)
def test_what_cannot_be_trained_is_said_in_a_sentence(arena, home, arguments, says):
    with pytest.raises(CommandError, match=says):
        call_command("train_reward", *arguments)
