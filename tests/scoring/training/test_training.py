"""What a candidate has seen is recorded, and what it can be asked for."""

import hashlib
import json

import pytest
from django.utils import timezone

from annotations import ledger
from annotations.models import Reliability
from arena.models import Clip, Rater
from arena.refusals import Conflict
from scoring.models import Embedding
from scoring.reward.encoders import get_encoder
from scoring.reward.training_checkpoint import BadTrainingCheckpoint
from scoring.training import from_ledger
from scoring.training.candidates import train_candidate, train_on_export
from tests.casts.training import ENCODERS, SYSTEMS, Titles, embed, exported, vote


def test_a_candidate_says_which_votes_it_has_seen(arena, quickly):
    model = train_candidate(arena, seeds=[4, 5], name="first")
    assert model.ledger_seq == ledger.head() == 240
    config = model.config
    assert config["studies"] == ["radio", "stage"]
    assert config["blocks"] == ["spectral"]
    assert config["left_out"] is None
    assert config["excluded"] == {}
    assert config["split"]["by"] == "prompt"
    assert sum(config["split"]["pairs"].values()) == 240
    assert [run["seed"] for run in config["seeds"]] == [4, 5]
    assert {entry["seed"] for entry in model.history} == {4, 5}
    assert model.metrics["test"]["by_source"].keys() == {"radio", "stage"}
    assert model.metrics["test"]["by_system"].keys() == {f"system {n}" for n in range(SYSTEMS)}
    assert model.metrics["over_seeds"]["test"]["accuracy"]["sd"] is not None


@pytest.mark.parametrize("split", ["rater", "system", "time"])
def test_a_candidate_may_be_split_otherwise(arena, quickly, split):
    assert train_candidate(arena, split=split).config["split"]["by"] == split


def test_a_candidate_sees_no_vote_after_its_place_in_the_ledger(arena, quickly):
    model = train_candidate(arena, up_to_seq=150)
    assert model.ledger_seq == 150
    assert sum(model.config["split"]["pairs"].values()) == 150


def test_a_study_left_out_tests_the_candidate(arena, quickly):
    model = train_candidate(arena, split="time", leave_out="stage")
    assert model.config["left_out"] == "stage"
    assert model.metrics["test"]["by_source"].keys() == {"stage"}
    assert model.metrics["test"]["n"] == 120
    assert model.metrics["train"]["n"] + model.metrics["validation"]["n"] == 120


def test_an_ablated_candidate_reads_some_blocks_of_the_votes_that_all_of_them_could_read(arena, quickly, monkeypatch):
    clips = Clip.objects.order_by("pk")
    embed(clips[:60], "other", "1", width=4, seed=3)
    for clip in clips[60:]:
        Embedding.objects.create(clip=clip, encoder="other", revision="1", error="too long")
    other = Titles()
    other.key, other.dimension, other.kind = "other", 4, "audio"
    known = {"other": other, "spectral": get_encoder("spectral")}
    monkeypatch.setattr("scoring.training.candidates.get_encoder", lambda key: known[key])
    monkeypatch.setattr("scoring.jury.embedding.get_encoder", lambda key, revision: known[key])
    model = train_candidate(arena, encoder_keys=["spectral", "other"], blocks=["other"])
    assert [block["key"] for block in model.encoders] == ["other"]
    assert model.config["encoders"] == ["spectral", "other"]
    assert model.config["n_unembedded"] == model.config["excluded"]["not_embedded"] > 0
    with pytest.raises(ValueError, match="the blocks to use are clap; name some of: spectral, other"):
        train_candidate(arena, encoder_keys=["spectral", "other"], blocks=["clap"])


def test_votes_weigh_as_much_as_their_raters_are_reliable(arena, quickly):
    with pytest.raises(Conflict, match="No study has estimates"):
        train_candidate(arena, weight_by_reliability=True)
    raters = list(Rater.objects.order_by("pk"))
    for skill, rater in zip((0.9, 0.1), raters, strict=False):
        row = Reliability.objects.create(
            rater=rater, study=arena[0], ledger_seq=240, version=1, skill=skill, stderr=0.1, n_votes=20,
            created_at=timezone.now(),
        )  # fmt: skip
    data = from_ledger.training_set(arena, 240, ENCODERS, {"radio": row.pk})
    for rater, weight in ((raters[0], 0.9), (raters[1], 0.1), (raters[2], 0.5)):
        assert (data.weight[(data.rater == str(rater.pk)) & (data.source == "radio")] == weight).all()
    assert (data.weight[data.source == "stage"] == 1).all()
    model = train_candidate(arena, weight_by_reliability=True)
    assert model.config["reliability"] == {"radio": row.pk}
    assert model.history != train_candidate(arena).history


def test_an_export_of_this_arena_counts_as_seen_and_one_of_another_arena_does_not(arena, quickly, tmp_path):
    file, clips = exported(tmp_path, "votes", "--study", "radio")
    model = train_on_export(file, clips)
    assert model.ledger_seq == 120
    assert model.config["studies"] == ["radio"]
    assert model.config["export"] == {
        "file": "votes.jsonl",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "keep_flagged": False,
    }
    rows = [json.loads(text) for text in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({**row, "battle": f"theirs-{row['seq']}"}) + "\n" for row in rows))
    assert train_on_export(file, clips).ledger_seq == 0


def test_votes_that_come_while_a_training_is_interrupted_do_not_change_what_it_sees(arena, quickly, tmp_path):
    whole = train_candidate(arena, seeds=(0, 1))

    def killed(entry):
        if (entry["seed"], entry["epoch"]) == (1, 2):
            raise KeyboardInterrupt

    checkpoint = tmp_path / "c"
    with pytest.raises(KeyboardInterrupt):
        train_candidate(arena, seeds=(0, 1), checkpoint=checkpoint, progress=killed)
    vote(arena[0], list(Rater.objects.all()), 30, seed=9)
    resumed = train_candidate(arena, seeds=(0, 1), checkpoint=checkpoint)
    assert (resumed.ledger_seq, resumed.history, resumed.metrics) == (240, whole.history, whole.metrics)
    assert resumed.sha256 == whole.sha256


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"up_to_seq": 150}, "up_to_seq 240, not 150"),
        ({"weight_by_reliability": True}, "weight_by_reliability False, not True"),
    ],
)
def test_a_training_that_goes_on_is_not_asked_for_other_votes_or_weights(arena, quickly, tmp_path, asked, says):
    checkpoint = tmp_path / "c"
    train_candidate(arena, checkpoint=checkpoint)
    with pytest.raises(BadTrainingCheckpoint, match=f"{checkpoint}: of a training with {says}"):
        train_candidate(arena, checkpoint=checkpoint, **asked)
    assert train_candidate(arena, checkpoint=checkpoint, up_to_seq=240).ledger_seq == 240
