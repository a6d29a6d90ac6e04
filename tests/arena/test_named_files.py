"""A manifest names files below its own folder, and no others unless whoever runs it says so."""

import csv

import pytest
from django.core.management import CommandError, call_command

from arena.models import Clip
from arena.named_files import Folders, LeadsOutside
from tests.casts.manifests import RATE, tone, write_manifest
from tests.casts.score import make_model


@pytest.fixture
def folders(tmp_path):
    """(the manifest's folder, another one), each with a clip that is called after it."""
    from scoring.demo.synth import write_wav

    both = tmp_path / "mine", tmp_path / "theirs"
    for number, folder in enumerate(both):
        folder.mkdir()
        write_wav(folder / f"{folder.name}.wav", tone(220 + 110 * number), RATE)
    return both


OUTSIDE = ["../theirs/theirs.wav", "sub/../../theirs/theirs.wav", "/etc/hostname", "link.wav", "folder/theirs.wav"]


@pytest.fixture
def links(folders):
    mine, theirs = folders
    (mine / "link.wav").symlink_to(theirs / "theirs.wav")
    (mine / "folder").symlink_to(theirs)
    (mine / "loop.wav").symlink_to(mine / "loop.wav")
    (mine / "inside.wav").symlink_to(mine / "mine.wav")


@pytest.mark.parametrize("cell", OUTSIDE)
def test_a_path_that_leads_out_is_refused_with_where_it_leads_and_what_to_do(folders, links, cell):
    with pytest.raises(LeadsOutside) as refused:
        Folders(folders[0]).find(cell)
    says = str(refused.value)
    assert "outside the manifest's folder; to allow that: --allow-outside /" in says
    assert ("through a symbolic link" in says) == (cell in OUTSIDE[3:])


def test_paths_below_the_folder_are_found_also_by_links_and_from_the_root(folders, links):
    mine, _ = folders
    for cell in ("mine.wav", "./mine.wav", "sub/../mine.wav", "inside.wav", str(mine / "mine.wav")):
        assert Folders(mine).find(cell).resolve() == mine / "mine.wav"
    with pytest.raises(LeadsOutside, match="leads to itself"):
        Folders(mine).find("loop.wav")


def test_a_folder_that_only_begins_with_the_same_letters_is_outside(folders):
    mine, _ = folders
    (mine.parent / "mine2").mkdir()
    with pytest.raises(LeadsOutside):
        Folders(mine).find("../mine2/a.wav")


def test_a_manifest_may_be_named_by_a_relative_path(folders, monkeypatch):
    mine, _ = folders
    monkeypatch.chdir(mine)
    assert Folders(type(mine)("manifest.csv").parent).find("mine.wav").is_file()


@pytest.mark.django_db
def test_import_clips_refuses_the_row_and_takes_it_when_the_folder_is_allowed(folders, links):
    mine, theirs = folders
    path = write_manifest(mine, "mine.wav,alder,calm", "../theirs/theirs.wav,birch,calm", "link.wav,cedar,calm")
    with pytest.raises(CommandError) as refused:
        call_command("import_clips", str(path), study="new")
    rows = [line.split()[0] for line in str(refused.value).splitlines() if "outside the manifest's folder" in line]
    assert rows == ["3", "4"]
    assert [clip.system.name for clip in Clip.objects.all()] == ["alder"]
    call_command("import_clips", str(path), "--allow-outside", str(theirs), study="new")
    assert Clip.objects.filter(status="ready").count() == 3


@pytest.mark.django_db
def test_score_refuses_the_row_and_takes_it_when_the_folder_is_allowed(folders, links):
    make_model()
    mine, theirs = folders
    (mine / "manifest.csv").write_text("path\nmine.wav\n../theirs/theirs.wav\n")
    out = mine / "out.csv"
    with pytest.raises(CommandError, match="1 rows failed"):
        call_command("score", str(mine / "manifest.csv"), "--output", str(out))
    first, second = csv.DictReader(out.open())
    assert first["reward"] and not second["reward"] and not second["sha256"]
    assert f"The path is not read: it leads to {theirs}/theirs.wav, outside" in second["error"]
    call_command("score", str(mine / "manifest.csv"), "--output", str(out), "--allow-outside", str(theirs))
    assert all(row["reward"] for row in csv.DictReader(out.open()))
