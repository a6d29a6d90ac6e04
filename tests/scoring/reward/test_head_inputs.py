"""Which blocks a head reads: what is written beside it, what it is told, and that both fit its width."""

import json

import pytest
import torch

from scoring.reward.checkpoints import BadCheckpoint
from scoring.reward.encoders import UnknownEncoder
from scoring.reward.head import RankNetHead, save_head
from scoring.reward.head_inputs import find_encoders, named_blocks


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path, monkeypatch):
    """Blocks are found by what encoders declare, without their weights."""
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path / "weights"))


@pytest.fixture
def published(tmp_path):
    """published(2048, exclude=[]): a head of that width, with the sidecar that TuneJury's training writes."""

    def write(width, **sidecar):
        path = tmp_path / "head.pt"
        torch.save(RankNetHead(width, (4,)).state_dict(), path)
        if sidecar:
            (tmp_path / "head.json").write_text(json.dumps({"input_dim": width, **sidecar}))
        return path

    return write


def keys(encoders):
    return [encoder.key for encoder in encoders]


def test_the_text_blocks_of_the_named_encoders_come_after_all_audio_blocks(published):
    full = ["clap-music", "mert-330m", "clap-music-text"]
    assert keys(find_encoders(published(2048), 2048, ["clap-music", "mert-330m"])) == full
    assert keys(find_encoders(published(1024), 1024, ["muq-mulan"])) == ["muq-mulan", "muq-mulan-text"]


def test_keys_whose_widths_add_up_are_taken_literally(published):
    for named in (
        ["clap-music", "mert-330m"],
        ["mert-330m", "clap-music-text"],
        ["clap-music-text", "mert-330m"],
    ):
        assert keys(find_encoders(published(1536), 1536, named)) == named


@pytest.mark.parametrize(
    ("exclude", "width", "blocks"),
    [
        ([], 2048, ["clap-music", "mert-330m", "clap-music-text"]),
        (["mert", "text"], 512, ["clap-music"]),
        (["clap_audio", "text"], 1024, ["mert-330m"]),
        (["text"], 1536, ["clap-music", "mert-330m"]),
        (["clap_audio"], 1536, ["mert-330m", "clap-music-text"]),
    ],
)
def test_tunejurys_sidecar_names_what_is_left_in_its_order(published, exclude, width, blocks):
    assert keys(find_encoders(published(width, exclude=exclude), width)) == blocks


def test_our_sidecar_names_blocks_in_their_order(tmp_path, published):
    path = published(963)
    blocks = [{"key": "clap-music", "dimension": 512}, {"key": "spectral", "revision": "1"}]
    (tmp_path / "head.json").write_text(json.dumps({"encoders": blocks}))
    assert named_blocks(path) == [("clap-music", None), ("spectral", "1")]
    assert keys(find_encoders(path, 963)) == ["clap-music", "spectral"]


def test_the_metadata_of_our_own_file_names_its_blocks(tmp_path):
    path = tmp_path / "head.safetensors"
    blocks = [{"key": "spectral", "revision": "1", "dimension": 451}]
    save_head(RankNetHead(451, (4,)), path, {"encoders": json.dumps(blocks)})
    assert keys(find_encoders(path, 451)) == ["spectral"]


def test_a_head_trained_on_another_revision_is_refused(tmp_path):
    path = tmp_path / "head.safetensors"
    blocks = [{"key": "spectral", "revision": "0", "dimension": 451}]
    save_head(RankNetHead(451, (4,)), path, {"encoders": json.dumps(blocks)})
    for named in ([], ["spectral"]):
        with pytest.raises(BadCheckpoint, match=r"head\.safetensors: .*revision '1' here, but revision '0' is wanted"):
            find_encoders(path, 451, named)


@pytest.mark.parametrize(
    ("named", "says"),
    [
        (["spectral"], r"head\.pt: its head takes 999 features, but the encoders give 451 \(spectral 451\)$"),
        (
            ["clap-music", "mert-330m"],
            r"takes 999 features, but .* 1536 \(clap-music 512 \+ mert-330m 1024\) or "
            r"2048 \(clap-music 512 \+ mert-330m 1024 \+ clap-music-text 512\)",
        ),
        (["spectral", "spectral"], "named twice"),
        ([], r"head\.pt: nothing says which encoder blocks its head of 999 features reads"),
    ],
)
def test_a_width_that_does_not_fit_names_the_heads_and_every_blocks(published, named, says):
    with pytest.raises(BadCheckpoint, match=says):
        find_encoders(published(999), 999, named)


def test_a_sidecar_that_says_otherwise_is_told(published):
    path = published(1536, exclude=["text"])
    with pytest.raises(
        BadCheckpoint, match=r"reads clap-music, mert-330m, in this order.*asked for were mert-330m, cl"
    ):
        find_encoders(path, 1536, ["mert-330m", "clap-music"])


def test_a_sidecar_that_does_not_add_up_needs_the_encoders_named(published):
    path = published(1024, exclude=[])  # the MuQ variant's blocks are not TuneJury's three
    with pytest.raises(BadCheckpoint, match=r"head\.json: its input_dim is 1024, but .* have 2048 features .*name the"):
        find_encoders(path, 1024)
    assert keys(find_encoders(path, 1024, ["muq-mulan"])) == ["muq-mulan", "muq-mulan-text"]


@pytest.mark.parametrize(
    ("sidecar", "says"),
    [
        ("{", "not readable as JSON"),
        ("[]", "names no encoder blocks"),
        ('{"input_dim": 512}', "names no encoder blocks"),
        ('{"input_dim": 512, "exclude": ["video"]}', r"\['video'\]; expected a list of some of clap_audio, mert, text"),
        ('{"input_dim": 512, "exclude": "mert"}', "'mert'; expected a list"),
        ('{"encoders": "spectral"}', "not a list of"),
        ('{"encoders": []}', "names no block"),
        ('{"encoders": [{"revision": "1"}]}', "not a list of"),
        ('{"encoders": [{"key": "spectral", "dimension": 450}]}', "spectral has 450 features; it has 451 here"),
    ],
)
def test_a_sidecar_that_makes_no_sense_is_named(tmp_path, published, sidecar, says):
    path = published(512)
    (tmp_path / "head.json").write_text(sidecar)
    with pytest.raises(BadCheckpoint, match=r"head\.json: .*" + says):
        find_encoders(path, 512)


def test_an_encoder_there_is_not_is_told_with_those_there_are(published):
    with pytest.raises(UnknownEncoder, match="unknown encoder 'clap'; there are: clap-music"):
        find_encoders(published(512), 512, ["clap"])
