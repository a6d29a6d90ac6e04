"""Which votes judge a candidate against the live model: those that neither has seen and both can hear."""

import numpy as np
import pytest

from annotations.models import Vote
from scoring.models import Embedding
from scoring.training import unseen
from tests.casts.reward_models import make_model
from tests.casts.score import measured_and_calibrated
from tests.casts.simulated_arena import make_arena, taste, vote


@pytest.fixture
def arena(db):
    return make_arena()


def test_votes_that_either_model_has_seen_do_not_judge(arena):
    vote(arena, 90, taste())
    one, other = make_model("one", ledger_seq=40), make_model("other", ledger_seq=60)
    verdict, _ = unseen.judge(one, other, [arena], 90)
    assert verdict.n == 30
    assert unseen.judge(one, other, [arena], 70)[0].n == 10
    assert unseen.judge(make_model("imported"), make_model("another"), [arena], 90)[0].n == 90


def test_a_model_whose_votes_show_lapses_is_judged_with_them_and_not_as_a_boaster(arena, monkeypatch):
    """Three votes in ten are tossed. Who knows the taste is right about the others, and knows of the tosses."""
    clear = {clip: 5 * liked for clip, liked in taste().items()}
    vote(arena, 420, clear)
    vote(arena, 180, dict.fromkeys(clear, 0.0), seed=1)
    noise = np.random.default_rng(2).normal(scale=15, size=len(clear))
    guess = {clip: 0.04 * (liked + wrong) for (clip, liked), wrong in zip(clear.items(), noise, strict=True)}
    knows, guesses = make_model("knows"), make_model("guesses")
    monkeypatch.setattr(unseen, "_rewards", lambda model, clips: clear if model == knows else guess)
    at_its_word, _ = unseen.judge(knows, guesses, [arena], 600)
    knows.metrics = measured_and_calibrated(0.3)
    knows.metrics["test"]["calibrated"]["temperature"] = 1.0
    read, _ = unseen.judge(knows, guesses, [arena], 600)
    assert (at_its_word.calibrated, read.calibrated, read.promote) == (False, True, True)
    assert read.candidate_ece < 0.1 < at_its_word.candidate_ece
    for name in ("candidate_accuracy", "p_value", "n_only_candidate", "n_only_live", "live_ece"):
        assert getattr(read, name) == getattr(at_its_word, name)
    other_way_round, _ = unseen.judge(guesses, knows, [arena], 600)
    assert (other_way_round.live_ece, other_way_round.promote) == (read.candidate_ece, False)


def test_votes_on_clips_that_one_model_cannot_hear_are_left_out_and_counted(arena):
    vote(arena, 60, taste())
    clip = Vote.objects.first().battle.clip_a
    of_clip = sum(clip.pk in (a, b) for a, b in Vote.objects.values_list("battle__clip_a", "battle__clip_b"))
    Embedding.objects.filter(clip=clip).update(vector=None, error="silent")
    verdict, n_unembedded = unseen.judge(make_model("one"), make_model("other"), [arena], 60)
    assert (verdict.n, n_unembedded) == (60 - of_clip, of_clip) and of_clip
