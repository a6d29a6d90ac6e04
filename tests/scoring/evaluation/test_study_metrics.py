"""`manage.py metrics`: what it says of systems, and of votes that follow a metric or do not."""

import json
from io import StringIO

import numpy as np
import pytest
from django.core.files import File
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command

from arena import audio
from arena.models import Clip, Prompt, Study, System
from scoring.boards.refit import refit_board
from scoring.evaluation import study_metrics
from scoring.metrics import frechet
from scoring.models import Embedding, Reward, RewardModel
from tests.casts.jury import music, written
from tests.casts.simulated_arena import make_arena, taste, vote


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    monkeypatch.setattr(study_metrics, "ROUNDS", 20)


@pytest.fixture
def arena(db):
    """Four systems, ten clips each, embedded; 400 votes that follow a taste, which the live model's rewards are."""
    study = make_arena()
    live = RewardModel.live()
    Reward.objects.bulk_create(
        Reward(clip_id=clip, reward_model=live, protocol=Reward.PROMPT_TEXT, value=value)
        for clip, value in taste().items()
    )
    vote(study, 400, taste())
    refit_board(study)
    return study


def metrics(*args, tmp_path):
    out = StringIO()
    call_command("metrics", *args, json_file=tmp_path / "metrics.json", stdout=out)
    return json.loads((tmp_path / "metrics.json").read_text()), out.getvalue()


def test_each_system_gets_its_distances_diversity_and_reward_with_intervals(arena, tmp_path):
    found, text = metrics("open", tmp_path=tmp_path)

    names = [metric["name"] for metric in found["metrics"]]
    assert names == [
        "FAD spectral", "KAD spectral", "MAUVE divergence spectral", "MPCD spectral", "Vendi score spectral",
        "reward boaster",
    ]  # fmt: skip
    for metric in found["metrics"]:
        assert metric["systems"].keys() == {f"system {n}" for n in range(4)}
        for value in metric["systems"].values():
            assert value["low"] < value["value"] < value["high"] and value["n"] == 10
    assert "distances are to the other systems" in text and "system 3" in text


def test_the_distance_is_that_of_the_stored_embeddings(arena, tmp_path):
    found, _ = metrics("open", "--reference", "system 0", tmp_path=tmp_path)

    def vectors(system):
        rows = Embedding.objects.filter(clip__system__name=system).order_by("clip_id")
        return frechet.gaussian(np.array([row.array for row in rows], dtype=float))

    fad = found["metrics"][0]["systems"]
    assert fad.keys() == {"system 1", "system 2", "system 3"}
    assert fad["system 2"]["value"] == pytest.approx(frechet.distance(vectors("system 2"), vectors("system 0")))


def test_the_metric_that_listeners_follow_agrees_with_them_and_others_do_not(arena, tmp_path):
    found, text = metrics("open", tmp_path=tmp_path)

    reward, kad = found["agreement"]["reward boaster"], found["agreement"]["KAD spectral"]
    assert reward["accuracy"]["low"] > 0.85 and reward["n_pairs"] == 400 and reward["by_system"] == 1
    assert kad["accuracy"]["value"] < reward["accuracy"]["low"]
    assert "Agreement with the votes of edition 1" in text


def test_without_votes_there_are_metrics_but_no_agreement(db, tmp_path):
    make_arena()
    found, text = metrics("open", tmp_path=tmp_path)

    assert found["edition"] is None and found["agreement"] == {}
    assert "no edition yet" in text


def test_a_system_with_too_few_clips_is_left_out_with_the_reason(arena, tmp_path):
    late = System.objects.create(name="late")
    arena.systems.add(late)
    first = Clip.objects.first()
    clip = Clip.objects.create(
        system=late, prompt=first.prompt, sha256="late", status="ready", duration_ms=1000, loudness_lufs=-14.0
    )
    row = Embedding.objects.get(clip=first)
    Embedding.objects.create(clip=clip, encoder=row.encoder, revision=row.revision, vector=row.vector)
    found, _ = metrics("open", tmp_path=tmp_path)

    fad, mauve = found["metrics"][0], found["metrics"][2]
    assert "needs 2 or more" in fad["left_out"]["late"]
    assert "needs 10 or more" in mauve["left_out"]["late"]
    assert fad["systems"].keys() == {f"system {n}" for n in range(4)}


def test_every_clip_is_decoded_once_however_many_encoders_hear_it(networks, db, tmp_path, monkeypatch):
    study = Study.objects.create(slug="new", name="New", excerpt_s=10)
    make_clips_with_files(study, tmp_path, systems=2, prompts=3)
    decoded = []
    decode = audio.decode_once
    monkeypatch.setattr(audio, "decode_once", lambda path: decoded.append(path) or decode(path))

    encoders = ["--encoder", "spectral", "--encoder", "clap-music", "--encoder", "clap-music-text"]
    found, _ = metrics("new", *encoders, tmp_path=tmp_path)

    assert len(decoded) == 6
    names = [metric["name"] for metric in found["metrics"]]
    assert {"FAD spectral", "FAD clap-music", "text-audio cosine clap-music"} <= set(names)
    assert "FAD clap-music-text" not in names


def make_clips_with_files(study, folder, systems, prompts):
    for s in range(systems):
        system = System.objects.create(name=f"new {s}")
        study.systems.add(system)
        for p in range(prompts):
            path = written(folder / f"{s}-{p}.wav", music(5 * s + p, seconds=1.5))
            prompt, _ = Prompt.objects.get_or_create(text=f"new song {p}")
            with path.open("rb") as file:
                original = default_storage.save(f"originals/{path.name}", File(file))
            Clip.objects.create(
                system=system, prompt=prompt, sha256=path.name, original=original, status="ready",
                duration_ms=1500, loudness_lufs=-14.0,
            )  # fmt: skip


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nowhere"], "nowhere"),
        (["open", "--reference", "oak"], "oak has no ready clip in open. Systems with clips: system 0"),
        (["open", "--encoder", "ears"], "invalid choice"),
    ],
)
def test_what_cannot_be_measured_is_said_in_words(arena, args, words):
    with pytest.raises(CommandError, match=words):
        call_command("metrics", *args)
