"""From votes to a candidate: live votes and exported ones are the same votes; what a candidate has seen is recorded."""

import hashlib
import json
from functools import partial

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.utils import timezone
from scipy.special import expit

from annotations import ledger
from annotations.models import Reliability, Vote
from annotations.services import flag, withdraw_rater
from arena.models import Battle, Clip, Prompt, Rater, Study, System
from arena.refusals import Conflict
from scoring import features, inputs, training_files
from scoring.features import read_all_features
from scoring.models import Embedding, RewardModel
from scoring.reward import train as training_loop
from scoring.reward.encoders import get_encoder
from scoring.training import train_candidate, train_on_export
from scoring.training_files import BadExport

from .audio_files import music, write_plain_wav
from .conftest import make_clip

ENCODERS = [{"key": "spectral", "revision": "1", "dimension": 451}]
SYSTEMS, PROMPTS = 6, 12


@pytest.fixture
def quickly(monkeypatch):
    """A small head and few epochs, so that a real training takes a second."""
    quick = partial(training_loop.train, hidden=(8,), learning_rate=3e-3, max_epochs=4)
    monkeypatch.setattr(training_loop, "train", quick)


@pytest.fixture
def arena(db):
    """Two studies on the same 72 embedded clips; the first direction of an embedding is what listeners hear."""
    studies = [Study.objects.create(slug=slug, name=slug, excerpt_s=10) for slug in ("radio", "stage")]
    systems = [System.objects.create(name=f"system {n}") for n in range(SYSTEMS)]
    for study in studies:
        study.systems.set(systems)
    for n in range(PROMPTS):
        prompt = Prompt.objects.create(text=f"song {n}")
        for system in systems:
            make_clip(system, prompt)
    for clip in Clip.objects.all():
        content = f"audio {clip.pk}".encode()
        clip.sha256 = hashlib.sha256(content).hexdigest()
        clip.original.save(f"originals/{clip.pk}.wav", ContentFile(content))
    embed(Clip.objects.order_by("pk"))
    raters = [Rater.objects.create() for _ in range(8)]
    vote(studies[0], raters[:5], 120, seed=1)
    vote(studies[1], raters[3:], 120, seed=2)
    return studies


def embed(clips, key="spectral", revision="1", width=451, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(len(clips), width)).astype("<f4")
    vectors[:, 0] *= 12
    Embedding.objects.bulk_create(
        Embedding(clip=clip, encoder=key, revision=revision, vector=vector.tobytes())
        for clip, vector in zip(clips, vectors, strict=True)
    )


def vote(study, raters, n, seed=0):
    """n votes, a tenth of them ties, by raters in turn; every ninth by nobody."""
    rng = np.random.default_rng(seed)
    taste = {row.clip_id: float(row.array[0]) / 4 for row in Embedding.objects.all()}
    clips = [list(prompt.clips.order_by("pk")) for prompt in Prompt.objects.order_by("pk")]
    now = timezone.now()
    battles, votes = [], []
    for i in range(n):
        a, b = rng.choice(clips[rng.integers(len(clips))], 2, replace=False)
        rater = None if i % 9 == 8 else raters[i % len(raters)]
        battle = Battle(
            study=study, kind="imported", rater=rater, prompt=a.prompt, system_a=a.system, system_b=b.system,
            clip_a=a, clip_b=b, served_at=now, closed_at=now, close_reason="voted",
        )  # fmt: skip
        preference = "A" if rng.random() < expit(taste[a.pk] - taste[b.pk]) else "B"
        battles.append(battle)
        votes.append(Vote(battle=battle, rater=rater, preference="TIE" if i % 10 == 9 else preference, received_at=now))
    Battle.objects.bulk_create(battles)
    Vote.objects.bulk_create(votes)
    ledger.catch_up()


def exported(tmp_path, content="votes", *arguments):
    file = tmp_path / f"{content}.jsonl"
    call_command("export", content, "--output", str(file), "--clips", str(tmp_path / "clips"), *arguments)
    return file, tmp_path / "clips"


def arrays(data):
    return {name: value for name, value in vars(data).items() if name != "excluded"}


# ---- the votes ----


def test_a_training_set_has_who_voted_on_which_systems_in_which_study_and_when(arena):
    data = inputs.training_set(arena, ledger.head(), ENCODERS)
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
    data = inputs.training_set(arena, ledger.head(), ENCODERS)
    theirs = rater.votes.all()
    on_gone = Vote.objects.exclude(rater=rater).exclude(
        battle__in=Battle.objects.exclude(clip_a=gone).exclude(clip_b=gone)
    )
    assert data.excluded == {"not_embedded": on_gone.count(), "too_fast": theirs.count()}
    assert len(data.target) == 240 - on_gone.count() - theirs.count()
    assert str(rater.pk) not in data.rater


DAMAGE = [  # a stored vector, and what is said of it
    (np.ones(7, "<f4"), "not of 1804 bytes"),
    (np.full(451, np.nan, "<f4"), "NaN or infinite in places"),
]


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
    both = inputs.training_set(arena, ledger.head(), [{"key": "other", "revision": "7", "dimension": 3}, *ENCODERS])
    ids, spectral = read_all_features(list(Clip.objects.values_list("pk", flat=True)), ENCODERS, pytest.fail)
    assert both.excluded["not_embedded"] > 0
    assert len(both.features) > 60
    for row in both.features:
        (clip,) = ids[(spectral == row[3:]).all(axis=1)]
        assert (row[:3] == Embedding.objects.get(encoder="other", clip=clip).array).all()


# ---- the export is the same votes ----


def test_an_export_gives_the_arrays_that_the_live_votes_give(arena, tmp_path):
    live = inputs.training_set(arena, ledger.head(), ENCODERS)
    file, clips = exported(tmp_path)
    from_file, _, failed = training_files.training_set(file, clips, [get_encoder("spectral")])
    assert failed == {}
    assert from_file.excluded == live.excluded
    for name, value in arrays(live).items():
        found = getattr(from_file, name)
        assert (found.dtype.kind, found.shape) == (value.dtype.kind, value.shape), name
        assert (found == value).all(), name


def test_exported_pairs_are_the_decided_votes_with_the_chosen_clip_first(arena, tmp_path):
    live = inputs.training_set(arena, ledger.head(), ENCODERS)
    file, clips = exported(tmp_path, "pairs")
    pairs, _, _ = training_files.training_set(file, clips, [get_encoder("spectral")])
    decided = live.target != 0.5
    a_won = live.target[decided] == 1
    assert (pairs.target == 1).all()
    assert (pairs.features[pairs.a] == live.features[np.where(a_won, live.a[decided], live.b[decided])]).all()
    assert (pairs.features[pairs.b] == live.features[np.where(a_won, live.b[decided], live.a[decided])]).all()
    assert (pairs.system_a == np.where(a_won, live.system_a[decided], live.system_b[decided])).all()
    assert (pairs.rater == live.rater[decided]).all()


def test_flagged_votes_of_an_export_are_left_out_unless_they_are_to_be_kept_or_were_cleared(arena, tmp_path):
    flagged, cleared, withdrawn = [rater.votes.all() for rater in Rater.objects.order_by("pk")[:3]]
    for one in (*flagged, *cleared):
        flag(one, "careless", 1)
    for one in cleared:
        flag(one, "cleared", 1)
    n_flagged, n_withdrawn = len(flagged), len(withdrawn)
    withdraw_rater(Rater.objects.order_by("pk")[2])
    ledger.catch_up()
    file, clips = exported(tmp_path)
    encoders = [get_encoder("spectral")]
    strict, _, _ = training_files.training_set(file, clips, encoders)
    lenient, _, _ = training_files.training_set(file, clips, encoders, keep_flagged=True)
    live = inputs.training_set(arena, ledger.head(), ENCODERS)
    assert len(strict.target) == len(live.target) == 240 - n_flagged - n_withdrawn
    assert (strict.time == live.time).all()
    assert strict.excluded == {"careless": n_flagged}
    assert len(lenient.target) == 240 - n_withdrawn


def test_clips_that_are_not_known_here_are_embedded_once_and_kept_beside_the_export(arena, tmp_path, monkeypatch):
    file, clips = exported(tmp_path)
    Embedding.objects.all().delete()
    names = sorted(clips.iterdir())
    for seed, name in enumerate(names[1:]):
        write_plain_wav(name, music(0.2, seed=seed), 48_000)
    spectral = get_encoder("spectral")
    done = []
    data, _, failed = training_files.training_set(file, clips, [spectral], progress=done.append)
    assert list(failed) == [names[0].name]  # "audio 1" is not audio
    assert sum(done) == len(names)
    assert data.excluded["not_embedded"] > 0
    assert data.features.shape == (len(names) - 1, spectral.dimension)
    assert (tmp_path / "votes.jsonl.spectral-1.npz").exists()

    heard = []
    monkeypatch.setattr(type(spectral), "embed", lambda self, batch: heard.append(batch))
    again, _, _ = training_files.training_set(file, clips, [spectral])
    assert heard == []
    assert (again.features == data.features).all()
    kept = tmp_path / "votes.jsonl.spectral-1.npz"
    for vectors in (np.ones((1, 7), "f4"), np.full((1, 451), np.nan, "f4")):
        np.savez(kept, sha256=np.array(["0" * 64]), vectors=vectors)
        with pytest.raises(BadExport, match=r"npz: not the embeddings of an export; delete it.*spectral"):
            training_files.training_set(file, clips, [spectral])
    kept.write_bytes(b"not an archive")
    with pytest.raises(BadExport, match="npz: not the embeddings of an export; delete it"):
        training_files.training_set(file, clips, [spectral])


@pytest.mark.parametrize(("vector", "says"), DAMAGE)
def test_a_clip_whose_embedding_here_is_damaged_is_embedded_from_the_file_of_the_export(arena, tmp_path, vector, says):
    file, clips = exported(tmp_path)
    damaged = Vote.objects.order_by("pk")[0].battle.clip_a
    Embedding.objects.filter(clip=damaged).update(vector=vector.tobytes())
    data, _, failed = training_files.training_set(file, clips, [get_encoder("spectral")])
    assert list(failed) == [f"{damaged.pk}.wav"]  # whose text is no audio
    assert data.excluded["not_embedded"] > 0
    assert np.isfinite(data.features).all()
    assert Embedding.objects.get(clip=damaged).error == f"The stored embedding was {says}."


class Titles:
    """A text encoder, as small as can be."""

    key, revision, kind, dimension, sample_rate, licence = "titles", "1", "text", 2, 0, "none"

    def embed(self, batch):
        return np.array([[len(text), sum(map(ord, text))] for text in batch], dtype=np.float32)


def test_a_text_encoder_reads_the_prompts_of_an_export(arena, tmp_path):
    file, clips = exported(tmp_path)
    data, read, _ = training_files.training_set(file, clips, [Titles(), get_encoder("spectral")])
    prompts = [read.clips[clip].prompt for clip in sorted(read.clips)]
    assert (data.features[:, :2] == Titles().embed(prompts)).all()


# ---- rows that do not fit ----


def spoilt(rows, line, **changes):
    rows = [dict(row) for row in rows]
    for name, value in changes.items():
        name, _, inner = name.partition("__")
        if inner:
            rows[line - 1][name] = {**rows[line - 1][name], inner: value}
        elif value is KeyError:
            del rows[line - 1][name]
        else:
            rows[line - 1][name] = value
    return rows


@pytest.mark.parametrize(
    ("content", "line", "changes", "says"),
    [
        ("votes", 3, {"preference": "C"}, "line 3: preference: it is 'C', not one of A, B, TIE, BOTH_BAD"),
        ("votes", 2, {"seq": "two"}, 'line 2: seq: it is "two", not a whole number'),
        ("votes", 4, {"seq": 1}, "line 4: seq: 1 is there twice"),
        ("votes", 5, {"clip_a": 99999}, "line 5: clip_a: there is no file 99999.* in"),
        ("votes", 5, {"clip_b": True}, "line 5: clip_b: it is true, not a whole number or null"),
        ("votes", 1, {"study": KeyError}, "line 1: study: it is missing; is this an export"),
        ("votes", 6, {"kind": "duel"}, "line 6: kind: it is 'duel', not one of"),
        ("votes", 7, {"flags": "late"}, 'line 7: flags: it is "late", not a list of texts'),
        ("votes", 7, {"rater": 12}, "line 7: rater: it is 12, not text or null"),
        ("pairs", 2, {"chosen": 5}, "line 2: chosen: it is 5, not an object"),
        ("pairs", 2, {"chosen__clip": None}, "line 2: chosen.clip: it is null, not a whole number"),
        ("pairs", 8, {"rejected__sha256": "0" * 64}, "line 8: rejected.clip: .*is not the clip of the export"),
    ],
)
def test_a_row_that_does_not_fit_is_said_with_its_line_and_field(arena, tmp_path, content, line, changes, says):
    file, clips = exported(tmp_path, content)
    rows = [json.loads(text) for text in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(row) + "\n" for row in spoilt(rows, line, **changes)))
    with pytest.raises(BadExport, match=says.replace("*.", "[*].").replace("99999.*", "99999[.][*]")):
        training_files.read_export(file, clips)


def test_many_mistakes_are_said_at_once_but_not_all_of_hundreds(arena, tmp_path):
    file, clips = exported(tmp_path)
    file.write_text("{not json\n[1]\n" + 50 * "{}\n")
    with pytest.raises(BadExport) as caught:
        training_files.read_export(file, clips)
    text = str(caught.value)
    assert "line 1: not JSON" in text
    assert "line 2: not a JSON object" in text
    assert "and 42 more" in text


def test_a_folder_of_clips_that_is_not_there_is_named(arena, tmp_path):
    file, _ = exported(tmp_path)
    with pytest.raises(BadExport, match=r"nowhere: there is no such folder of clips"):
        training_files.read_export(file, tmp_path / "nowhere")


# ---- what a candidate has seen ----


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
    monkeypatch.setattr("scoring.training.get_encoder", lambda key: known[key])
    monkeypatch.setattr("scoring.jury.get_encoder", lambda key, revision: known[key])
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
    data = inputs.training_set(arena, 240, ENCODERS, {"radio": row.pk})
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
    with pytest.raises(training_loop.BadTrainingCheckpoint, match=f"{checkpoint}: of a training with {says}"):
        train_candidate(arena, checkpoint=checkpoint, **asked)
    assert train_candidate(arena, checkpoint=checkpoint, up_to_seq=240).ledger_seq == 240


# ---- the command ----


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


def test_the_command_learns_the_rate_of_lapses_if_asked_and_says_what_calibration_came_out(
    arena, quickly, home, capsys
):
    vote(arena[0], list(Rater.objects.all()), 700, seed=4)
    call_command("train_reward", "--lapses", "--study", "radio")
    model = RewardModel.objects.get()
    assert model.config["lapses"] is True
    calibrated = model.metrics["test"]["calibrated"]
    assert f"(lapses {calibrated['rate']:.1%}, temperature {calibrated['temperature']:.3f})" in capsys.readouterr().out
    plain = train_candidate([arena[0]])
    assert plain.history != model.history


def test_the_command_learns_what_listeners_hear(arena, home, monkeypatch):
    quick = partial(
        training_loop.train, hidden=(16,), learning_rate=3e-3, max_epochs=40, patience=10, fractions=(0.7, 0.15, 0.15)
    )
    monkeypatch.setattr(training_loop, "train", quick)
    vote(arena[0], list(Rater.objects.all()), 700, seed=4)
    call_command("train_reward", "--study", "radio")
    model = RewardModel.objects.get()
    data = inputs.training_set([arena[0]], model.ledger_seq, ENCODERS)
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
    assert not list((tmp_path / "home" / "training").iterdir())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("first", "a reward model 'first' already; choose another --name"),
        ("n" * 101, "--name has 101 characters; the name of a reward model has 100 at most"),
    ],
)
def test_a_name_that_no_model_can_have_is_told_before_the_training(arena, home, monkeypatch, name, says):
    RewardModel.objects.create(name="first", encoders=[])
    monkeypatch.setattr("scoring.training.train_candidate", lambda *args, **options: pytest.fail("it trained"))
    with pytest.raises(CommandError, match=says):
        call_command("train_reward", "--name", name)


def test_a_candidate_that_may_not_go_live_is_stored_and_the_command_says_how_to_activate_it(
    arena, quickly, home, monkeypatch
):
    monkeypatch.setattr("scoring.registry.problems", lambda model: ["Its encoder has gone."])
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
