"""Votes as arrays: what a training set has of each, and which votes it leaves out."""

import pytest

from annotations import ledger
from annotations.models import Vote
from annotations.services import flag
from arena.models import Battle, Clip
from scoring.jury import features
from scoring.jury.features import read_all_features
from scoring.models import Embedding
from scoring.training import from_ledger
from scoring.training.candidates import train_candidate
from tests.casts.training import DAMAGE, ENCODERS, embed


def test_a_training_set_has_who_voted_on_which_systems_in_which_study_and_when(arena):
    data = from_ledger.training_set(arena, ledger.head(), ENCODERS)
    votes = list(Vote.objects.select_related("battle__study", "entry").order_by("entry__seq"))
    assert len(data.target) == len(votes) == 240
    ids = sorted({pk for one in votes for pk in (one.battle.clip_a_id, one.battle.clip_b_id)})
    for i, one in enumerate(votes):
        battle = one.battle
        assert (data.source[i], data.time[i]) == (battle.study.slug, one.entry.seq)
        assert (data.system_a[i], data.system_b[i]) == (battle.system_a.name, battle.system_b.name)
        assert (ids[data.a[i]], ids[data.b[i]], data.prompt[i]) == (
            battle.clip_a_id,
            battle.clip_b_id,
            battle.prompt_id,
        )
        assert data.target[i] == {"A": 1, "B": 0, "TIE": 0.5}[one.preference]
        assert data.rater[i] == (str(one.rater_id) if one.rater_id else f"no rater {one.entry.seq}")
    for row, pk in enumerate(ids):
        assert (data.features[row] == Embedding.objects.get(clip=pk).array).all()
    assert (data.weight == 1).all()


def test_a_vote_on_a_clip_that_cannot_be_embedded_and_a_flagged_one_are_left_out_and_counted(arena):
    votes = Vote.objects.filter(battle__study=arena[0]).order_by("pk")
    gone = votes[0].battle.clip_a
    Embedding.objects.filter(clip=gone).update(vector=None, error="it is silence")
    rater = votes[1].rater
    for one in rater.votes.all():
        flag(one, "too_fast", 1)
    ledger.catch_up()
    data = from_ledger.training_set(arena, ledger.head(), ENCODERS)
    theirs = rater.votes.all()
    on_gone = Vote.objects.exclude(rater=rater).exclude(
        battle__in=Battle.objects.exclude(clip_a=gone).exclude(clip_b=gone)
    )
    assert data.excluded == {"not_embedded": on_gone.count(), "too_fast": theirs.count()}
    assert len(data.target) == 240 - on_gone.count() - theirs.count()
    assert str(rater.pk) not in data.rater


@pytest.mark.parametrize(("vector", "says"), DAMAGE)
def test_a_damaged_embedding_is_not_trained_on_but_becomes_the_reason_why_its_votes_are_left_out(
    arena, quickly, caplog, vector, says
):
    """Unchecked, one that is misshapen is an error of NumPy's that names no clip, and NaN is trained on."""
    damaged = Vote.objects.order_by("pk")[0].battle.clip_a
    theirs = Battle.objects.filter(clip_a=damaged).count() + Battle.objects.filter(clip_b=damaged).count()
    Embedding.objects.filter(clip=damaged).update(vector=vector.tobytes())
    model = train_candidate(arena)
    assert model.config["excluded"] == {"not_embedded": theirs}
    assert Embedding.objects.get(clip=damaged).error == f"The stored embedding was {says}."
    assert f"the embeddings of clips [{damaged.pk}] by spectral are {says}" in caplog.text


def test_features_are_read_in_chunks_of_which_any_may_lack_clips(arena, monkeypatch):
    ids = list(Clip.objects.order_by("-pk").values_list("pk", flat=True))
    Embedding.objects.filter(clip__in=ids[::5]).delete()
    at_once = read_all_features(ids, ENCODERS, pytest.fail)
    monkeypatch.setattr(features, "CHUNK", 7)
    found, rows = read_all_features(ids, ENCODERS, pytest.fail)
    assert found.tolist() == sorted(set(ids) - set(ids[::5]))
    assert (found == at_once[0]).all() and (rows == at_once[1]).all()


def test_several_blocks_stand_beside_each_other_in_the_order_asked_for(arena):
    first = Vote.objects.order_by("pk")[0].battle.clip_a
    embed(Clip.objects.exclude(pk=first.pk).order_by("pk"), "other", "7", width=3, seed=5)
    both = from_ledger.training_set(
        arena, ledger.head(), [{"key": "other", "revision": "7", "dimension": 3}, *ENCODERS]
    )
    ids, spectral = read_all_features(list(Clip.objects.values_list("pk", flat=True)), ENCODERS, pytest.fail)
    assert both.excluded["not_embedded"] > 0
    assert len(both.features) > 60
    for row in both.features:
        (clip,) = ids[(spectral == row[3:]).all(axis=1)]
        assert (row[:3] == Embedding.objects.get(encoder="other", clip=clip).array).all()
