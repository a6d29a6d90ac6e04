"""import_model: a published head becomes a reward model that scores as it did where it was made."""

import hashlib
import json

import numpy as np
import pytest
import torch
from django.core.management import CommandError, call_command

from scoring.models import Decision, RewardModel
from scoring.reward import weights
from scoring.reward.encoders import get_encoder
from scoring.reward.head import RankNetHead, save_head
from scoring.reward.scorer import Scorer, encoder_metadata
from tests.casts.heads import Malicious, replaced, trained_looking, without
from tests.casts.tiny_networks import install_all

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Tiny clap-music and mert-330m, installed once for this file's tests."""
    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIGHTS_DIR", str(folder / "weights"))
        install_all(folder / "published")
        yield folder


@pytest.fixture
def nothing_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path / "weights"))


@pytest.fixture(scope="module")
def head():
    """A head whose batch norms have seen numbers the size of embeddings: it tells clips, and blocks, apart."""
    torch.manual_seed(0)
    head = RankNetHead(2048, (16, 8))
    for _ in range(100):
        head(torch.randn(32, 2048) * 0.1)
    return head.eval()


def scored(model, clips):
    return Scorer.load(model.weights.path).score(*clips)


@pytest.fixture(scope="module")
def clips():
    random = np.random.default_rng(3)
    waveforms = [random.normal(0, 0.1, n).astype(np.float32) for n in (24_000, 30_000)]
    return waveforms, [24_000, 24_000], ["a calm piano", ""]


def as_published(head, path):
    """TuneJury's training writes torch.save(model.state_dict())."""
    torch.save(head.state_dict(), path.with_suffix(".pt"))
    return path.with_suffix(".pt")


def nested_and_prefixed(head, path):
    state = {f"module.scorer.{name}": tensor for name, tensor in head.state_dict().items()}
    torch.save({"epoch": 12, "state_dict": state}, path.with_suffix(".pth"))
    return path.with_suffix(".pth")


def as_ours(head, path):
    encoders = [get_encoder(key) for key in ("clap-music", "mert-330m", "clap-music-text")]
    save_head(head, path.with_suffix(".safetensors"), encoder_metadata(encoders))
    return path.with_suffix(".safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("layout", [as_published, nested_and_prefixed, as_ours])
def test_a_head_scores_alike_whoever_saved_it(tiny, tmp_path, head, clips, layout, capsys):
    call_command("import_model", layout(head, tmp_path / "head"), encoders="clap-music,mert-330m")
    model = RewardModel.objects.get()
    blocks = ["clap-music", "mert-330m", "clap-music-text"]
    assert [block["key"] for block in model.encoders] == blocks
    said = capsys.readouterr().out
    assert f"clap-music 512 (1-{weights.installed('clap-music').fingerprint}), mert-330m 1024 (" in said
    assert "Imported, not measured here" in said

    audio, _, prompts = clips
    rows = Scorer(head, [get_encoder(key) for key in blocks]).embed(audio, [24_000] * 2, prompts)
    with torch.no_grad():
        expected, swapped = (head(torch.from_numpy(x)).numpy() for x in (rows, np.roll(rows, 512, axis=1)))
    assert np.all(rows[1, 1536:] == 0)
    assert np.ptp(expected) > 0.001 and np.abs(expected - swapped).min() > 0.001
    np.testing.assert_allclose(scored(model, clips), expected, atol=1e-5)


def test_an_imported_model_says_where_it_is_from_and_has_no_metrics(tiny, tmp_path, head, capsys):
    path = as_published(head, tmp_path / "head")
    call_command("import_model", path, encoders="clap-music,mert-330m")
    model = RewardModel.objects.get()
    assert (model.name, model.status, model.metrics, model.ledger_seq) == ("head", "candidate", {}, 0)
    assert model.config["imported"] == {
        "file": "head.pt",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "from": str(path),
        "licence": "not known; see who published it",
    }
    call_command("import_model", path, encoders="clap-music,mert-330m", activate=True)
    assert RewardModel.live().name == "head-2"
    assert Decision.objects.get().by == "manage.py import_model"
    assert "head-2 is live." in capsys.readouterr().out


def test_a_head_of_a_fetched_set_carries_its_licence_and_commit(nothing_installed, tmp_path, capsys):
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("tunejury.pt", "A1_clap_audio_only.pt"):
        torch.save(RankNetHead(451, (4,)).state_dict(), mine / name)
    call_command("fetch_weights", "tunejury", source=mine)
    here = weights.installed("tunejury").path
    call_command("import_model", here / "A1_clap_audio_only.pt", encoders="spectral")
    call_command("import_model", here / "tunejury.pt", encoders="spectral", name="published")
    first, second = (model.config["imported"] for model in RewardModel.objects.order_by("pk"))
    assert (first["weights"], first["licence"], first["from"]) == ("tunejury", "Apache-2.0", str(mine))
    assert second["licence"] == "CC-BY-NC-4.0"
    assert "Licence of the head: Apache-2.0" in capsys.readouterr().out


def test_without_encoders_the_sidecar_says_which(tiny, tmp_path):
    path = as_published(trained_looking(512, (8,)), tmp_path / "A1_clap_audio_only")
    path.with_suffix(".json").write_text(json.dumps({"input_dim": 512, "exclude": ["mert", "text"]}))
    call_command("import_model", path)
    assert [block["key"] for block in RewardModel.objects.get().encoders] == ["clap-music"]


def refused(path, says, encoders="spectral"):
    with pytest.raises(CommandError, match=rf"{path.name.replace('.', '[.]')}.*{says}"):
        call_command("import_model", path, encoders=encoders)
    assert not RewardModel.objects.exists()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (without("net.4.bias"), r"missing tensor net\.4\.bias"),
        (replaced("temperature", torch.ones(())), r"extra tensor temperature"),
        (replaced("net.4.weight", torch.ones(6, 9)), r"net\.4\.weight has shape \[6, 9\], expected \[6, 8\]"),
        (replaced("net.0.weight", Malicious()), "refused, .*code in a checkpoint is never run"),
    ],
)
def test_a_tensor_that_does_not_fit_and_code_are_refused_by_name(tmp_path, monkeypatch, spoil, says):
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    state = dict(trained_looking(451).state_dict())
    spoil(state)
    torch.save(state, tmp_path / "head.pt")
    refused(tmp_path / "head.pt", says)
    assert not (tmp_path / "sprung").exists()


def test_a_width_that_does_not_fit_names_both(tmp_path):
    path = as_published(trained_looking(2048), tmp_path / "head")
    refused(path, r"takes 2048 features, but the encoders give 451 \(spectral 451\)")


def test_a_head_of_another_revision_is_refused(tiny, tmp_path):
    blocks = [{"key": "clap-music", "revision": "1-00000000", "dimension": 512}]
    save_head(trained_looking(512), tmp_path / "head.safetensors", {"encoders": json.dumps(blocks)})
    refused(tmp_path / "head.safetensors", "but revision '1-00000000' is wanted", encoders="")


def test_a_file_that_is_not_there_and_a_name_that_is_taken_are_told(tmp_path):
    refused(tmp_path / "gone.pt", "there is no such file")
    path = as_published(trained_looking(451), tmp_path / "head")
    call_command("import_model", path, encoders="spectral", name="mine")
    with pytest.raises(CommandError, match="a reward model 'mine' already"):
        call_command("import_model", path, encoders="spectral", name="mine")


def test_a_name_that_is_too_long_is_told_before_the_file_is_read(tmp_path):
    with pytest.raises(CommandError, match=r"--name has 101 characters; .* 100 at most"):
        call_command("import_model", tmp_path / "gone.pt", name="n" * 101)


def test_a_model_that_may_not_go_live_is_stored_and_the_command_says_how_to_activate_it(tmp_path, monkeypatch):
    monkeypatch.setattr("scoring.registry.live.problems", lambda model: ["Its encoder has gone."])
    path = as_published(trained_looking(451), tmp_path / "head")
    with pytest.raises(CommandError, match=r"Its encoder has gone\. .*stored as a candidate: .*activate_model head`"):
        call_command("import_model", path, encoders="spectral", activate=True)
    assert RewardModel.objects.get(name="head").status == "candidate"


def test_missing_weights_say_how_to_fetch_them(nothing_installed, tmp_path, head):
    path = as_published(head, tmp_path / "head")
    with pytest.raises(CommandError, match=r"'clap-music' are not installed .*manage\.py fetch_weights clap-music"):
        call_command("import_model", path, encoders="clap-music,mert-330m")
    assert not RewardModel.objects.exists()


def test_a_model_whose_encoders_have_other_weights_now_does_not_score(tiny, tmp_path, monkeypatch):
    path = as_published(trained_looking(512, (8,)), tmp_path / "head")
    call_command("import_model", path, encoders="clap-music")
    model = RewardModel.objects.get()
    changed = tmp_path / "published"
    install = weights.installed("clap-music").path
    changed.mkdir()
    for file in install.iterdir():
        (changed / file.name).write_bytes(file.read_bytes())
    (changed / "merges.txt").write_text((changed / "merges.txt").read_text() + "x y\n")
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path / "weights"))
    new = weights.install("clap-music", changed).fingerprint
    with pytest.raises(ValueError, match=rf"'clap-music' is revision '1-{new}' here, but revision '1-\w+' is wanted"):
        Scorer.load(model.weights.path)
