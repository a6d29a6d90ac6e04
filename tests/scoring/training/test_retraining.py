"""The loop: votes, candidate, judge, promote or not, rescore, anchors; whoever comes next goes on where it stands."""

from datetime import timedelta

import numpy as np
import pytest
import torch
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotations import ledger
from annotations.models import Alarm
from arena.models import Clip, Study
from scoring import tasks
from scoring.boards.refit import refit_board
from scoring.jury.rewards import store_rewards
from scoring.jury.worker import score_pending
from scoring.models import AnchorFit, Decision, Embedding, Retraining, RetrainingRun, Reward, RewardModel
from scoring.registry import live as registry
from scoring.reward.encoders import get_encoder
from scoring.training import retraining, unseen
from tests.casts.reward_models import make_model
from tests.casts.simulated_arena import make_arena, switch_on, taste, train_quickly, vote
from tests.casts.votes import cast

Step = RetrainingRun.Step


@pytest.fixture
def arena(db, monkeypatch):
    train_quickly(monkeypatch)
    return make_arena()


def last_run():
    return RetrainingRun.objects.get()


def test_a_better_candidate_goes_through_every_step_and_is_live_at_the_end(arena):
    vote(arena, 300, taste())
    refit_board(arena)
    switch_on()
    tasks.retrain()
    run = last_run()
    assert (run.step, run.live_before.name, run.facts["votes"]) == (
        Step.JUDGE,
        "boaster",
        {"new": 300, "unseen": 300, "to_train": 180, "to_judge": 120},
    )
    assert run.train_seq == 180 and run.judge_seq == 300
    assert (run.candidate.status, run.candidate.ledger_seq) == ("candidate", 180)

    tasks.retrain()
    run = last_run()
    decision = Decision.objects.first()
    assert run.step == Step.RESCORE
    assert (decision.act, decision.model, decision.replaced, decision.by) == (
        "promoted", run.candidate, run.live_before, "the gate",
    )  # fmt: skip
    assert decision.reasons["n_decided"] == 120 and len(decision.reasons["reasons"]) == 3
    assert decision.reasons["candidate_accuracy"] > decision.reasons["live_accuracy"]
    assert RewardModel.live() == run.candidate

    tasks.retrain()
    run = last_run()
    assert (run.step, run.facts["rescore"]["left"]) == (Step.RESCORE, 40)
    score_pending()
    tasks.retrain()
    assert last_run().step == Step.ANCHORS
    tasks.retrain()
    run = last_run()
    assert (run.step, run.claimed_until) == (Step.DONE, None) and run.ended_at
    assert AnchorFit.objects.get().reward_model == run.candidate
    assert run.facts["anchors"]["pairs"] == {"open": 300}
    assert all(run.facts[step]["began_at"] <= run.facts[step]["ended_at"] for step in ("train", "judge", "anchors"))

    tasks.retrain()
    assert last_run() == run  # no new votes, no new run


def test_a_candidate_that_is_no_better_is_kept_out_with_the_reasons_and_nothing_is_rescored(arena):
    vote(arena, 250, taste())
    good = make_good_model(arena)
    registry.activate(good, "ada")
    coin = dict.fromkeys(taste(), 0.0)
    vote(arena, 200, coin, seed=1)
    switch_on()
    for _ in range(3):
        tasks.retrain()
    run = last_run()
    decision = Decision.objects.first()
    assert (decision.act, decision.model, decision.replaced) == ("kept", run.candidate, good)
    assert decision.reasons["promote"] is False and not decision.reasons["not_luck"]
    assert any("may be luck" in sentence for sentence in decision.reasons["reasons"])
    assert RewardModel.live() == good
    assert (run.step, run.facts["rescore"]) == (Step.DONE, {"skipped": "The live model stays as it was."})


def make_good_model(study):
    from scoring.training.candidates import train_candidate

    return train_candidate([study], name="good")


@pytest.mark.parametrize("chosen", [True, False])
def test_a_candidate_learns_lapses_where_the_live_model_did(arena, chosen):
    vote(arena, 120, taste())
    RewardModel.objects.filter(status="live").update(config={"lapses": chosen})
    switch_on()
    tasks.retrain()
    assert last_run().candidate.config["lapses"] is chosen


def test_clips_that_never_get_a_reward_are_waited_for_an_hour_and_named_in_number(arena, time_passes):
    rescore_step()
    tasks.retrain()
    time_passes(3500)
    tasks.retrain()
    assert (last_run().step, last_run().facts["rescore"]["left"]) == (Step.RESCORE, 40)
    time_passes(200)
    tasks.retrain()
    assert (last_run().step, last_run().facts["rescore"]["left"]) == (Step.ANCHORS, 40)


def test_a_clip_whose_embedding_is_damaged_is_not_waited_for(arena):
    damaged = np.full(get_encoder("spectral").dimension, np.nan, "<f4")
    Embedding.objects.filter(clip=Clip.objects.first()).update(vector=damaged.tobytes())
    rescore_step()
    tasks.retrain()
    assert last_run().facts["rescore"]["left"] == 40
    assert score_pending() == 39
    tasks.retrain()
    assert (last_run().step, last_run().facts["rescore"]["left"]) == (Step.ANCHORS, 0)


def test_rewards_under_another_model_are_not_those_that_are_waited_for(arena):
    score_pending()
    live = RewardModel.live()
    assert not retraining.unrewarded(live).exists()
    other = make_model("other", seed=1)
    assert retraining.unrewarded(other).count() == 40
    store_rewards(other, {Clip.objects.first().pk: 1.0})
    assert retraining.unrewarded(other).count() == 39


def rescore_step():
    RetrainingRun.objects.create(
        step=Step.RESCORE,
        live_before=RewardModel.live(),
        train_seq=0,
        judge_seq=0,
        config={},
        started_at=timezone.now(),
    )
    switch_on()


def test_the_loop_is_off_until_somebody_switches_it_on(arena):
    vote(arena, 120, taste())
    tasks.retrain()
    assert not RetrainingRun.objects.exists()
    switch_on(is_on=False)
    tasks.retrain()
    assert not RetrainingRun.objects.exists()


def test_too_few_new_votes_begin_no_run_and_ties_are_none(arena):
    switch_on(min_new_votes=50)
    vote(arena, 49, taste())
    tasks.retrain()
    assert not RetrainingRun.objects.exists()
    with pytest.raises(retraining.NotDue, match="There are 49 new votes; 50 decisive ones"):
        retraining.make_plan(Retraining.load())
    cast(arena, ["TIE"])
    with pytest.raises(retraining.NotDue, match="There are 49 new decisive votes that count; 50"):
        retraining.make_plan(Retraining.load())
    vote(arena, 1, taste())
    assert retraining.make_plan(Retraining.load()).n_new == 50


def test_without_votes_in_the_chosen_studies_or_a_live_model_no_run_begins_and_the_reason_is_said(arena):
    vote(arena, 30, taste())
    switch_on(encoders="spectral").studies.set([Study.objects.create(slug="empty", name="Empty")])
    with pytest.raises(CommandError, match="There are 0 new votes"):
        call_command("retrain")
    RewardModel.objects.update(status="retired")
    with pytest.raises(CommandError, match="No reward model is live"):
        call_command("retrain")


def test_a_worker_killed_in_a_step_leaves_it_to_the_next_when_its_claim_runs_out(arena, time_passes):
    vote(arena, 120, taste())
    switch_on()
    run = retraining.begin()
    assert retraining.Claim.take(run)  # and is killed
    tasks.retrain()
    assert last_run().step == Step.TRAIN and not last_run().candidate
    time_passes(retraining.LEASE.total_seconds() + 1)
    tasks.retrain()
    run = last_run()
    assert run.step == Step.JUDGE
    assert "taken_up_again_at" in run.facts["train"]


def test_a_worker_killed_after_training_does_not_make_the_next_train_again(arena, time_passes, monkeypatch):
    vote(arena, 120, taste())
    switch_on()
    run = retraining.begin()
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(retraining.Claim, "advance", interrupted)
        retraining.do_step(run)
    [candidate] = RewardModel.objects.filter(status="candidate")
    time_passes(retraining.LEASE.total_seconds() + 1)
    tasks.retrain()
    assert last_run().candidate == candidate
    assert RewardModel.objects.filter(status="candidate").count() == 1


def test_a_worker_killed_in_the_training_leaves_its_epochs_to_the_next(arena, time_passes, settings):
    vote(arena, 120, taste())
    switch_on()
    run, seen = retraining.begin(), []

    def killed_after_five(epoch):
        seen.append(epoch)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retraining.do_step(run, progress=killed_after_five)
    assert last_run().facts["train"]["epoch"] == 1
    assert (settings.MEDIA_ROOT / "training" / f"run-{run.pk}" / "training").exists()
    time_passes(retraining.LEASE.total_seconds() + 1)
    again = []
    retraining.do_step(last_run(), progress=again.append)
    assert again[:5] == seen
    assert last_run().candidate.history == again
    assert not (settings.MEDIA_ROOT / "training" / f"run-{run.pk}").exists()


def test_a_training_whose_epochs_an_upgrade_made_useless_starts_over_and_rings_nowhere(arena, time_passes, caplog):
    vote(arena, 120, taste())
    run = retraining.begin(anyway=True)

    def killed(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retraining.do_step(run, progress=killed)
    left = retraining._checkpoints(run) / "training"
    saved = torch.load(left, weights_only=True)
    torch.save({**saved, "fingerprint": "of the release before"}, left)
    time_passes(retraining.LEASE.total_seconds() + 1)
    assert retraining.do_step(last_run())
    assert (last_run().step, Alarm.objects.count()) == (Step.JUDGE, 0)
    assert [entry["epoch"] for entry in last_run().candidate.history][:2] == [1, 2]
    assert (
        "trains from the start" in caplog.text and "of a training on other votes, features or settings" in caplog.text
    )


def test_a_worker_killed_in_a_judgement_has_decided_nothing(arena, time_passes, monkeypatch):
    vote(arena, 300, taste())
    switch_on()
    tasks.retrain()
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(retraining.Claim, "advance", interrupted)
        tasks.retrain()
    assert Decision.objects.count() == 1 and RewardModel.live().name == "boaster"
    time_passes(retraining.LEASE.total_seconds() + 1)
    tasks.retrain()
    assert [one.act for one in Decision.objects.all()] == ["promoted", "activated"]


def interrupted(*arguments, **options):
    raise KeyboardInterrupt


def test_two_workers_do_not_do_the_same_step(arena):
    vote(arena, 120, taste())
    switch_on()
    run = retraining.begin()
    assert retraining.begin() == run
    seen_by_another = RetrainingRun.objects.get()
    first = retraining.Claim.take(run)
    assert retraining.Claim.take(seen_by_another) is None
    first.advance(Step.JUDGE)
    assert retraining.Claim.take(seen_by_another) is None  # it still thinks of the step before


def test_a_claim_that_was_let_go_of_is_not_renewed(arena):
    """Its thread may be about to when the step is done: the next step would wait until that claim runs out."""
    vote(arena, 120, taste())
    claim = retraining.Claim.take(retraining.begin(anyway=True))
    claim.advance(Step.JUDGE)
    with pytest.raises(retraining.ClaimLost):
        claim._write(claimed_until=timezone.now() + retraining.LEASE)
    assert last_run().claimed_until is None


def test_what_a_worker_brings_that_was_taken_for_dead_does_not_count(arena, time_passes):
    vote(arena, 120, taste())
    run = retraining.begin(anyway=True)
    slow = retraining.Claim.take(run)
    time_passes(retraining.LEASE.total_seconds() + 1)
    quick = retraining.Claim.take(RetrainingRun.objects.get())
    with pytest.raises(retraining.ClaimLost):
        slow.advance(Step.DONE)
    slow.fail("too late")
    assert not Alarm.objects.exists()
    assert last_run().step == Step.TRAIN
    quick.advance(Step.JUDGE)


def test_a_step_that_breaks_ends_the_run_with_the_reason_and_rings(arena):
    vote(arena, 120, taste())
    switch_on(encoders="cochlea")
    tasks.retrain()
    run = last_run()
    assert (run.step, bool(run.ended_at)) == (Step.FAILED, True)
    assert "unknown encoder 'cochlea'" in run.error and "failed_at" in run.facts["train"]
    alarm = Alarm.objects.get()
    assert (alarm.study, alarm.screen) == (arena, "retraining")
    assert "failed to train a candidate" in alarm.message
    tasks.retrain()
    assert last_run() == run  # it does not fail again every few seconds
    vote(arena, 100, taste(), seed=2)
    tasks.retrain()
    assert RetrainingRun.objects.count() == 2


def test_the_gate_leaves_promotion_to_a_person_where_the_settings_say_so(arena):
    vote(arena, 300, taste())
    switch_on(promotes=False)
    tasks.retrain()
    tasks.retrain()
    decision = Decision.objects.first()
    assert decision.act == "kept" and decision.reasons["promote"] is True
    assert decision.reasons["reasons"][-1] == "The settings leave it to a person to make it live."
    assert RewardModel.live().name == "boaster"


def test_a_live_model_that_changes_during_the_judgement_makes_it_judge_again(arena, monkeypatch):
    vote(arena, 300, taste())
    switch_on()
    tasks.retrain()
    judge = unseen.judge

    def meanwhile(*arguments):
        found = judge(*arguments)
        registry.activate(make_model("meanwhile", sharpness=200), "ada")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(unseen, "judge", meanwhile)
        tasks.retrain()
    assert last_run().step == Step.JUDGE and RewardModel.live().name == "meanwhile"
    tasks.retrain()
    assert Decision.objects.first().replaced.name == "meanwhile"


def test_a_candidate_that_a_person_made_live_is_not_judged(arena):
    vote(arena, 120, taste())
    switch_on()
    tasks.retrain()
    registry.activate(last_run().candidate, "ada")
    tasks.retrain()
    assert last_run().step == Step.RESCORE
    assert Decision.objects.first().by == "ada"


def test_the_command_does_a_whole_run_now_and_prints_each_step(arena, capsys):
    vote(arena, 300, taste())
    refit_board(arena)
    call_command("retrain")
    said = capsys.readouterr().out
    for words in ("unseen 300", "train a candidate:", "p = ", "rescore the clips:", "is done", "is live"):
        assert words in said, said
    assert Reward.objects.filter(reward_model=RewardModel.live()).count() == 40
    with pytest.raises(CommandError, match="new votes; 2 decisive ones"):
        RewardModel.objects.filter(status="live").update(ledger_seq=ledger.head())
        call_command("retrain")


def test_a_claim_is_renewed_while_its_step_runs(arena, monkeypatch):
    vote(arena, 30, taste())
    run = retraining.begin(anyway=True)
    claim = retraining.Claim.take(run)
    renewed = []
    monkeypatch.setattr(retraining, "LEASE", timedelta(seconds=0.04))
    monkeypatch.setattr(claim, "_write", lambda **fields: renewed.append(fields["claimed_until"]))
    with claim.kept_alive():
        while len(renewed) < 3:
            pass
    assert renewed == sorted(renewed)
