"""From a manifest to clips that can be heard and have a reward."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.utils import timezone

from arena import services
from arena.models import Clip, Excerpt, Prompt, Study, System
from arena.serving.stock import Stock
from scoring.demo.synth import write_wav
from scoring.models import RewardModel
from tests.casts.listener import Listener
from tests.casts.manifests import RATE
from tests.casts.reward_models import make_live
from tests.casts.votes import cast


def test_clips_of_a_manifest_can_be_heard_at_once(manifest):
    call_command("import_clips", manifest("a.wav,alder,a song", "b.wav,birch,a song"))
    assert set(Clip.objects.values_list("status", flat=True)) == {"ready"}
    study = Study.objects.get()
    options = Stock.of(study).candidates(0)
    assert options[0].length_ms == 1700
    cut = Excerpt.objects.filter(status="ready")
    assert cut.count() == 2, "one of each clip; the rest of their pools is left to the workers"
    for excerpt in cut:
        assert excerpt.loudness_lufs == pytest.approx(-23, abs=0.5)
        assert excerpt.true_peak_dbtp <= -1
    assert len(set(cut.values_list("size", flat=True))) == 1


def test_importing_again_adds_nothing(manifest):
    path = manifest("a.wav,alder,a song", "b.wav,birch,a song")
    call_command("import_clips", path)
    call_command("import_clips", path)
    assert (Clip.objects.count(), Excerpt.objects.filter(status="ready").count(), Excerpt.objects.count()) == (2, 2, 6)


def test_a_bad_file_is_rejected_with_a_sentence_and_the_rest_goes_on(manifest, tmp_path):
    (tmp_path / "text.mp3").write_text("this is not music")
    (tmp_path / "empty.flac").write_bytes(b"")
    write_wav(tmp_path / "silent.wav", np.zeros((2, RATE * 2), "f4"), RATE)
    path = manifest(
        "a.wav,alder,a song", "text.mp3,birch,a song", "empty.flac,cedar,a song", "silent.wav,elm,a song",
        "missing.wav.gone,fir,a song", "a.wav,,a song", "b.wav,gorse,a song",
    )  # fmt: skip
    with pytest.raises(CommandError) as failed:
        call_command("import_clips", path)
    table = str(failed.value)
    assert "5 rows failed" in table
    for name in ("text.mp3", "empty.flac", "silent.wav", "missing.wav.gone"):
        assert name in table
    assert "there is no such file" in table
    assert "system is empty" in table
    assert Clip.objects.filter(status="ready").count() == 2
    for clip in Clip.objects.filter(status="rejected"):
        assert clip.reason.endswith(".")


def test_a_manifest_with_a_wrong_column_is_refused_whole(manifest):
    with pytest.raises(CommandError, match="unknown: promt"):
        call_command("import_clips", manifest("a.wav,alder,a song", header="path,system,promt"))
    assert not Clip.objects.exists()


def test_a_manifest_whose_files_are_all_refused_leaves_nothing_behind(manifest, tmp_path, client):
    (tmp_path / "text.mp3").write_text("this is not music")
    write_wav(tmp_path / "silent.wav", np.zeros((2, RATE * 2), "f4"), RATE)
    path = manifest("text.mp3,alder,a song", "silent.wav,birch,another", "missing.flac,cedar,a third")
    with pytest.raises(CommandError, match=r"Nothing was imported, and nothing of it stays. 3 rows failed"):
        call_command("import_clips", path, "--study", "new")
    assert list(Study.objects.values_list("slug", flat=True)) == ["open"]
    for model in (System, Prompt, Clip, Excerpt):
        assert not model.objects.exists()
    assert [stored.name for stored in (tmp_path / "media").rglob("*") if stored.is_file()] == []
    for page in ("/boards/new/", "/listen/new/", "/boards/open/", "/listen/open/"):
        assert client.get(page).status_code == 404


def test_a_study_that_an_import_made_is_open_once_something_came_in(manifest, tmp_path, capsys, client):
    (tmp_path / "text.mp3").write_text("this is not music")
    path = manifest("a.wav,alder,a song", "b.wav,birch,a song", "text.mp3,cedar,a song")
    with pytest.raises(CommandError, match="1 rows failed"):
        call_command("import_clips", path, "--study", "new")
    study = Study.objects.get(slug="new")
    assert study.is_open
    assert set(study.systems.values_list("name", flat=True)) == {"alder", "birch"}, "cedar has nothing to hear"
    assert client.get("/boards/new/").status_code == client.get("/listen/new/").status_code == 200
    assert "/boards/open/" not in client.get("/").content.decode(), "nothing was imported into it"


def test_an_import_into_a_closed_study_leaves_it_closed_and_says_how_to_open_it(manifest, capsys):
    Study.objects.update(is_open=False)
    call_command("import_clips", manifest("a.wav,alder,a song"))
    assert not Study.objects.get().is_open
    assert "To open it: set `is_open`" in capsys.readouterr().out


def test_what_was_there_before_stays_when_an_import_fails(manifest, tmp_path):
    call_command("import_clips", manifest("a.wav,alder,a song"))
    (tmp_path / "text.mp3").write_text("this is not music")
    with pytest.raises(CommandError, match="Nothing was imported"):
        call_command("import_clips", manifest("text.mp3,alder,a song"))
    assert Clip.objects.get().status == "ready"
    assert Study.objects.get().systems.get().name == "alder"


def test_a_refused_import_leaves_no_prompt_in_a_study_that_chose_its_own(manifest, tmp_path):
    call_command("import_clips", manifest("a.wav,alder,a song"))
    study = Study.objects.get()
    study.prompts.set(Prompt.objects.all())
    (tmp_path / "text.mp3").write_text("this is not music")
    with pytest.raises(CommandError, match="nothing of it stays"):
        call_command("import_clips", manifest("text.mp3,birch,another song"))
    assert study.prompts.get().text == Prompt.objects.get().text == "a song"
    assert System.objects.get().name == "alder"
    with pytest.raises(CommandError, match="1 rows failed"):
        call_command("import_clips", manifest("b.wav,alder,a third", "text.mp3,alder,a fourth"))
    assert {prompt.text for prompt in study.prompts.all()} == {"a song", "a third"}


def test_values_of_json_lines_that_are_no_text_fail_by_line_and_the_others_come_in(manifest):
    path = manifest("a.wav,alder,a song").with_suffix(".jsonl")
    rows = [
        {"path": "a.wav", "system": "alder", "prompt": "a song", "seed": 5, "licence": None},
        {"path": "a.wav", "system": ["alder"], "prompt": "a song"},
        {"path": "a.wav", "system": "alder", "prompt": None},
        {"path": "a.wav", "system": "alder", "prompt": "a song", "mood": "good"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(CommandError) as failed:
        call_command("import_clips", path)
    assert "2  a.wav  system is ['alder'], not text" in str(failed.value)
    assert "3  a.wav  prompt is empty" in str(failed.value)
    assert "4  a.wav  no column is called 'mood'" in str(failed.value)
    assert (Clip.objects.get().seed, Clip.objects.get().licence) == ("5", "")


def test_a_clip_of_a_name_in_another_unicode_form_is_of_the_same_system_and_prompt(manifest):
    rows = "a.wav,Caf\u00e9,Ballade de l'\u00e9t\u00e9", "b.wav,Cafe\u0301,Ballade de l'e\u0301te\u0301"
    call_command("import_clips", manifest(*rows))
    assert (System.objects.count(), Prompt.objects.count(), Clip.objects.count()) == (1, 1, 2)


def test_rows_that_are_no_text_fail_by_line_and_the_others_come_in(manifest):
    path = manifest("a.wav,alder,a song", "b.wav,birch,a song", "c.wav,cedar,a song")
    text = path.read_text().replace("birch,a song", "birch,nul \0 here").replace("cedar", "c\xe9dar")
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CommandError) as failed:
        call_command("import_clips", path)
    assert "3  b.wav  prompt holds a NUL character" in str(failed.value)
    assert "4  c.wav  system holds the byte 0xE9" in str(failed.value)
    assert Clip.objects.get().system.name == "alder"


def test_work_that_a_dead_worker_had_claimed_is_done_by_the_next(manifest, tmp_path):
    path = manifest("a.wav,alder,a song")
    clip, _ = services.register_clip(path.parent / "a.wav", system="alder", prompt="a song")
    assert Clip.objects.claim() == clip.pk
    assert Clip.objects.claim() is None
    Clip.objects.update(claimed_until=timezone.now())  # the claim has run out
    assert Clip.objects.claim() == clip.pk


def test_the_excerpts_name_nothing_and_ranges_are_answered(manifest, client):
    call_command("import_clips", manifest("a.wav,alder,a song", "b.wav,birch,a song"))
    listener = Listener().agree()
    battle = listener.battle()
    url = battle["clips"]["A"]["url"]
    whole = listener.get(url)
    assert whole.status_code == 200
    assert whole["Cache-Control"] == "private, no-store"
    assert not {"ETag", "Last-Modified", "Content-Disposition"} & set(whole.headers)
    for odd in ("bytes=5-2", "bytes=0-" + "9" * 5000, "lines=1-2"):
        assert listener.client.get(url, headers={"Range": odd}).status_code == 200
    part = listener.client.get(url, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part["Content-Range"]) == (206, f"bytes 100-199/{len(whole.content)}")
    assert part.content == whole.content[100:200]
    assert listener.client.get(url, headers={"Range": "bytes=-50"}).content == whole.content[-50:]
    assert listener.client.get(url, headers={"Range": f"bytes={len(whole.content)}-"}).status_code == 416
    assert client.get(url).status_code == 404
    for word in (b"alder", b"birch", b"ID3", b"Lavf"):
        assert word not in whole.content


# ---- the jury ----


@pytest.fixture
def model(manifest):
    """A live model with an untrained head over the spectral encoder, and four clips without rewards."""
    call_command("import_clips", manifest(*(f"{name}{n}.wav,{name},song {n}" for name in "ab" for n in (1, 2))))
    return make_model("first")


def make_model(name):
    from django.core.files.storage import default_storage

    from scoring.reward.encoders import get_encoder
    from scoring.reward.head import RankNetHead, save_head
    from scoring.reward.scorer import encoder_metadata

    encoder = get_encoder("spectral")
    path = default_storage.path(default_storage.save(f"weights/{name}.safetensors", ContentFile(b"")))
    sha256 = save_head(RankNetHead(encoder.dimension), path, encoder_metadata([encoder]))
    block = {"key": "spectral", "revision": encoder.revision, "dimension": encoder.dimension}
    model = RewardModel.objects.create(
        name=name, encoders=[block], weights=f"weights/{name}.safetensors", sha256=sha256
    )
    return make_live(model)


def test_a_clip_whose_original_is_gone_is_rejected_and_can_be_tried_again(manifest):
    path = manifest("a.wav,alder,a song")
    clip, _ = services.register_clip(path.parent / "a.wav", system="alder", prompt="a song")
    stored = clip.original.read()
    clip.original.storage.delete(clip.original.name)
    assert services.ingest_clip(clip.pk).reason == "The original is not in the storage."
    clip.original.storage.save(clip.original.name, ContentFile(stored))
    Clip.objects.all().try_again()
    assert services.ingest_clip(clip.pk).status == "ready"


def test_training_on_votes_gives_a_candidate_with_held_out_metrics(manifest):
    rows = [f"{name}{n}.wav,{name},song {n}" for name in ("loud", "soft") for n in range(4)]
    call_command("import_clips", manifest(*rows))
    from scoring.training.candidates import train_candidate

    study = Study.objects.get()
    for _ in range(6):
        cast(study, "ABAB")
    model = train_candidate([study], seeds=(1,))
    assert model.status == "candidate"
    assert model.metrics["test"]["n"] >= 1
    assert model.metrics["test"].keys() >= {"accuracy", "ece", "log_loss"}
    split = model.config["split"]["prompts"]
    assert not set(split["train"]) & set(split["test"])
    assert System.objects.count() == 2


def test_training_without_votes_says_so(manifest):
    with pytest.raises(CommandError, match="nothing to train on"):
        call_command("train_reward")


def test_an_unknown_model_is_named_with_those_there_are(model):
    with pytest.raises(CommandError, match="There are: first"):
        call_command("activate_model", "thrid")


def test_a_gpu_worker_that_hangs_ends_itself_to_be_restarted():
    hang = (
        "import django, time; django.setup()\n"
        "from scoring.tasks import watchdog\n"
        "with watchdog(60): pass\n"
        "with watchdog(0.2): time.sleep(100)\n"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "arena.settings"}
    ended = subprocess.run([sys.executable, "-c", hang], env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert "scoring has not ended" in ended.stderr
