"""Weights: a set is here whole or not at all, is known by its fingerprint, and comes from a hub or a folder."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from django.core.management import CommandError, call_command

from scoring.models import RewardModel
from scoring.reward import weights
from tests.casts.hub import COMMIT, Hub

MERT = "m-a-p/MERT-v1-330M"
TENSORS = os.urandom(50_000)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path / "weights"))


@pytest.fixture
def hub(monkeypatch):
    """A hub with MERT, to which the real client talks. It hands over small pieces, so that a cut leaves some."""
    with Hub() as hub:
        hub.add(MERT, config__json=b"{}", preprocessor_config__json=b'{"x": 1}', pytorch_model__bin=TENSORS)
        point_at(hub.url, monkeypatch)
        monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
        yield hub


def point_at(url, monkeypatch):
    """As HF_ENDPOINT does, which the client reads when it is imported."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )


@pytest.fixture
def files(tmp_path):
    """A folder with MERT's files, as somebody has them."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "preprocessor_config.json").write_text('{"x": 1}')
    (folder / "pytorch_model.bin").write_bytes(TENSORS)
    (folder / "notes.txt").write_text("nothing of the set")
    return folder


def nothing_installed():
    with pytest.raises(weights.WeightsMissing):
        weights.installed("mert-330m")
    return True


# ---- what is here -----------------------------------------------------------------------------------------


def test_a_set_from_a_folder_is_its_files_and_a_manifest_of_them(files):
    here = weights.install("mert-330m", files)
    assert sorted(path.name for path in here.path.iterdir()) == [
        "config.json",
        "manifest.json",
        "preprocessor_config.json",
        "pytorch_model.bin",
    ]
    assert (here.path / "pytorch_model.bin").read_bytes() == TENSORS
    assert here.files["pytorch_model.bin"] == {
        "sha256": hashlib.sha256(TENSORS).hexdigest(),
        "size": 50_000,
        "licence": "CC-BY-NC-4.0",
        "from": str(files),
    }
    assert weights.installed("mert-330m") == here
    here.verify()


def test_the_fingerprint_is_that_of_the_content_wherever_it_came_from(files, hub):
    copied = weights.install("mert-330m", files).fingerprint
    assert re.fullmatch("[0-9a-f]{8}", copied)
    assert weights.download("mert-330m").fingerprint == copied
    (files / "config.json").write_text('{"another": "network"}')
    assert weights.install("mert-330m", files).fingerprint != copied


def test_reading_the_fingerprint_reads_no_weights(files):
    here = weights.install("mert-330m", files)
    (here.path / "pytorch_model.bin").unlink()
    assert weights.installed("mert-330m").fingerprint == here.fingerprint


def test_a_file_that_has_changed_since_is_named_with_both_checksums(files):
    here = weights.install("mert-330m", files)
    (here.path / "pytorch_model.bin").write_bytes(b"other")
    expected, found = (hashlib.sha256(content).hexdigest() for content in (TENSORS, b"other"))
    with pytest.raises(weights.BadWeights, match=rf"pytorch_model\.bin: expected sha256 {expected}, found {found}"):
        here.verify()
    (here.path / "pytorch_model.bin").unlink()
    with pytest.raises(weights.BadWeights, match=r"pytorch_model\.bin: expected sha256 \w+, found no file"):
        here.verify()


@pytest.mark.parametrize("manifest", ["", "[]", '{"files": {"config.json": {}}}'])
def test_a_damaged_manifest_is_a_bad_set(files, manifest):
    here = weights.install("mert-330m", files)
    (here.path / "manifest.json").write_text(manifest)
    with pytest.raises(weights.BadWeights, match=r"manifest\.json: damaged"):
        weights.installed("mert-330m")


def test_what_is_missing_says_how_to_get_it():
    with pytest.raises(weights.WeightsMissing, match=r"run `manage\.py fetch_weights mert-330m`"):
        weights.installed("mert-330m")
    with pytest.raises(weights.UnknownWeights, match="no weights 'mert'; there are: clap-music, mert-330m"):
        weights.installed("mert")


# ---- from a folder ----------------------------------------------------------------------------------------


def test_a_folder_that_lacks_files_is_told_which(files):
    (files / "config.json").unlink()
    (files / "pytorch_model.bin").unlink()
    with pytest.raises(weights.WeightsMissing, match=r"lacks config\.json, model\.safetensors or pytorch_model\.bin"):
        weights.install("mert-330m", files)
    assert nothing_installed()


def test_a_copy_that_fails_leaves_what_was_installed(files, monkeypatch):
    here = weights.install("mert-330m", files)
    (files / "config.json").write_text('{"another": "network"}')
    copy = shutil.copyfile

    def full(source, target):
        if source.name == "pytorch_model.bin":
            raise OSError(28, "No space left on device")
        return copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(weights.CannotFetch, match=r"disk of .* is full.*make room or set WEIGHTS_DIR"):
        weights.install("mert-330m", files)
    assert weights.installed("mert-330m") == here
    here.verify()
    assert [path.name for path in weights.folder().iterdir() if not path.name.endswith(".lock")] == ["mert-330m"]


def test_optional_files_and_files_of_inner_networks_come_along(tmp_path):
    mine = tmp_path / "muq"
    for name in ("config.json", "model.safetensors", "muq/config.json"):
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / name).write_text(name)
    for name in ("config.json", "tokenizer.json"):
        (mine / "xlm-roberta").mkdir(exist_ok=True)
        (mine / "xlm-roberta" / name).write_text(name)
    here = weights.install("muq-mulan", mine)
    assert (here.path / "muq" / "config.json").read_text() == "muq/config.json"
    assert here.files["xlm-roberta/tokenizer.json"]["licence"] == "MIT"


# ---- from the hub -----------------------------------------------------------------------------------------


def test_a_download_is_checked_and_says_where_it_came_from(hub):
    said = []
    here = weights.download("mert-330m", say=said.append)
    assert (here.path / "pytorch_model.bin").read_bytes() == TENSORS
    assert here.files["pytorch_model.bin"] == {
        "sha256": hashlib.sha256(TENSORS).hexdigest(),
        "size": 50_000,
        "licence": "CC-BY-NC-4.0",
        "repository": MERT,
        "commit": COMMIT,
    }
    assert said[-1] == f"pytorch_model.bin: 0.1 MB from {MERT}"
    assert sorted(path.name for path in here.path.rglob("*")) == [
        "config.json",
        "manifest.json",
        "preprocessor_config.json",
        "pytorch_model.bin",
    ]
    fetched = [path for method, path, _ in hub.requests if method == "GET" and "/resolve/" in path]
    assert all(f"/resolve/{COMMIT}/" in path for path in fetched) and len(fetched) == 3


def test_a_download_that_breaks_off_is_not_installed_and_goes_on_where_it_stopped(hub):
    hub.cut_at = 20_000
    with pytest.raises(weights.CannotFetch, match=r"the hub answers with an error, 503.*goes on where it stopped"):
        weights.download("mert-330m")
    assert nothing_installed()
    hub.cut_at = None
    hub.requests.clear()
    assert (weights.download("mert-330m").path / "pytorch_model.bin").read_bytes() == TENSORS
    assert hub.ranges() == ["bytes=20000-"]


def test_a_download_that_is_killed_goes_on_where_it_stopped(hub, monkeypatch):
    big = os.urandom(25_000_000)
    hub.add(MERT, pytorch_model__bin=big)
    hub.stalls_at = 22_000_000
    program = "from scoring.reward import weights; weights.download('mert-330m')"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while got() < 20_000_000 and time.monotonic() < deadline:  # it writes 10 MiB at a time
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert nothing_installed() and (had := got()) >= 20_000_000
    hub.requests.clear()
    assert (weights.download("mert-330m").path / "pytorch_model.bin").read_bytes() == big
    assert hub.ranges() == [f"bytes={had}-"]


def got():
    """Bytes of the network that an unfinished download has on the disk."""
    return sum(path.stat().st_size for path in weights.folder().glob(".mert-330m.part/pytorch_model.bin*"))


def test_content_that_is_not_what_the_hub_says_is_thrown_away(hub):
    for name, digits in (("config.json", 40), ("pytorch_model.bin", 64)):  # of a git blob, and SHA-256
        hub.damaged = {name}
        with pytest.raises(weights.BadWeights, match=rf"{name} of m-a-p/.*: expected checksum \w{{{digits}}}, found"):
            weights.download("mert-330m")
        assert nothing_installed() and got() == 0
    hub.damaged = set()
    weights.download("mert-330m").verify()


def test_a_gated_set_says_how_to_get_in(hub):
    hub.gated = {MERT}
    with pytest.raises(weights.CannotFetch, match=rf"gated \(CC-BY-NC-4\.0\): accept .*/{MERT}, log in .* HF_TOKEN"):
        weights.download("mert-330m")
    assert nothing_installed() and not [path for method, path, _ in hub.requests if method == "GET"]


def test_a_token_opens_a_gated_set_and_is_told_to_the_hub_alone(hub, monkeypatch):
    hub.gated = {MERT}
    monkeypatch.setenv("HF_TOKEN", "let-me-in")
    weights.download("mert-330m").verify()
    assert {token for _, token in hub.tokens} == {"Bearer let-me-in"}
    assert not [path for path, _ in hub.tokens if path.startswith("/store/")] and hub.ranges() == [None]


def test_what_is_installed_is_not_fetched_again(hub):
    weights.download("mert-330m")
    hub.add(MERT, config__json=b'{"another": "network"}')
    hub.requests.clear()
    here = weights.download("mert-330m")
    assert (here.path / "config.json").read_text() == '{"another": "network"}'
    here.verify()
    assert [path.rpartition("/")[2] for method, path, _ in hub.requests if method == "GET"] == ["config.json"]


def test_a_hub_that_hides_a_repository_or_lacks_a_file_is_told(hub):
    with pytest.raises(weights.CannotFetch, match="does not show lukewys/laion_clap: it is private or gone"):
        weights.download("clap-music")
    del hub.files[MERT, "pytorch_model.bin"]
    with pytest.raises(weights.CannotFetch, match=r"no model\.safetensors or pytorch_model\.bin in m-a-p/.*--from DIR"):
        weights.download("mert-330m")


def test_files_that_a_set_can_do_without_are_left_out_where_the_hub_lacks_them(hub):
    hub.add("TuneJury/tunejury", tunejury__pt=b"a head", A1_clap_audio_only__pt=b"a smaller head")
    said = []
    here = weights.download("tunejury", say=said.append)
    assert sorted(here.files) == ["A1_clap_audio_only.pt", "tunejury.pt"]
    assert here.files["A1_clap_audio_only.pt"]["licence"] == "Apache-2.0"
    assert "tunejury_leave_MA.pt: not on the hub, left out" in said


def test_without_a_network_it_says_so_and_keeps_what_is_here(hub, files, monkeypatch):
    here = weights.install("mert-330m", files)
    point_at("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(weights.CannotFetch, match=r"127\.0\.0\.1:9 cannot be reached .*see to the network.*--from DIR"):
        weights.download("mert-330m")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(weights.CannotFetch, match="HF_HUB_OFFLINE is set"):
        weights.download("mert-330m")
    assert weights.installed("mert-330m") == here


def test_a_disk_too_small_is_told_before_anything_is_fetched(hub, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 60, 40))
    with pytest.raises(weights.CannotFetch, match=r"is full .*too little"):
        weights.download("mert-330m")
    assert not [path for method, path, _ in hub.requests if method == "GET"]


def test_two_downloads_of_a_set_do_not_mix(hub):
    with weights._alone("mert-330m"), pytest.raises(weights.CannotFetch, match="by another process"):
        weights.download("mert-330m")


# ---- the command ------------------------------------------------------------------------------------------


def test_the_command_lists_the_sets(files, capsys):
    weights.install("mert-330m", files)
    call_command("fetch_weights")
    listed = capsys.readouterr().out
    fingerprint = weights.installed("mert-330m").fingerprint
    assert f"mert-330m: installed, fingerprint {fingerprint}; 1.3 GB, CC-BY-NC-4.0, gated" in listed
    assert "clap-music: not installed; 2.4 GB, CC0-1.0\n" in listed


def test_the_command_downloads_and_says_what_is_wrong(hub, capsys):
    call_command("fetch_weights", "mert-330m")
    assert f"fingerprint {weights.installed('mert-330m').fingerprint}" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no weights 'mert'; there are"):
        call_command("fetch_weights", "mert")


@pytest.mark.django_db
def test_other_weights_under_a_model_are_another_revision_and_the_command_says_so(files, capsys):
    old = weights.install("mert-330m", files).fingerprint
    block = {"key": "mert-330m", "revision": f"1-{old}", "dimension": 1024}
    RewardModel.objects.create(name="first", status="live", encoders=[block], weights="w", sha256="0" * 64)
    call_command("fetch_weights", "mert-330m", source=files)
    assert "another revision" not in capsys.readouterr().out
    (files / "config.json").write_text(json.dumps({"another": "network"}))
    call_command("fetch_weights", "mert-330m", source=files)
    said = capsys.readouterr().out
    assert f"had fingerprint {old}" in said and "another revision" in said and "first (live)" in said
