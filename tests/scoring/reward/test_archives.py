"""A file of weights that would unfold to more than its size is refused before it does."""

import json
import struct
import tarfile
import zipfile

import pytest
import torch

from scoring.reward.archives import MOST_ENTRIES
from scoring.reward.checkpoints import BadCheckpoint
from scoring.reward.head import RankNetHead, load_head
from scoring.reward.training_checkpoint import BadTrainingCheckpoint, noted_in


def saved(path, content=None):
    torch.save(RankNetHead(12, [8]).state_dict() if content is None else content, path)
    return path


def refusal(path):
    with pytest.raises(BadCheckpoint) as refused:
        load_head(path)
    assert str(refused.value).startswith(f"{path}: ")
    return str(refused.value)


def rewritten(path, compression=zipfile.ZIP_STORED, change=lambda archive: None):
    """The same entries, written again."""
    with zipfile.ZipFile(path) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
        change(archive)
    return path


def test_what_torch_saves_is_read(tmp_path):
    assert load_head(saved(tmp_path / "a.pt")).input_width == 12
    torch.save(RankNetHead(12, [8]).state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert load_head(tmp_path / "old.pt").input_width == 12


def test_a_bomb_of_zeros_is_refused_before_it_unfolds(tmp_path, monkeypatch):
    path = rewritten(saved(tmp_path / "a.pt", {"w": torch.zeros(10_000_000)}), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 50_000
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read"))
    assert "40,000,000. torch.save compresses nothing" in refusal(path)


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    def double(archive):
        (large,) = [entry for entry in archive.filelist if entry.file_size > 1_000_000]
        for number in range(1000):
            twin = zipfile.ZipInfo(f"archive/data/{number + 10}")
            for field in ("header_offset", "CRC", "compress_size", "file_size"):
                setattr(twin, field, getattr(large, field))
            archive.filelist.append(twin)

    path = rewritten(saved(tmp_path / "a.pt", {"w": torch.rand(300_000)}), change=double)
    assert "they overlap" in refusal(path)


def test_an_entry_that_lies_about_its_size_is_refused(tmp_path):
    path = saved(tmp_path / "a.pt")
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = struct.pack("<I", 2**31)  # its uncompressed size
    path.write_bytes(data)
    assert "that say they unfold to 2,147,483,648" in refusal(path)


def test_an_archive_of_very_many_entries_is_refused(tmp_path):
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(MOST_ENTRIES + 1):
            archive.writestr(f"archive/data/{number}", b"")
    assert "20,001 entries" in refusal(path)


def test_an_archive_in_an_archive_is_no_checkpoint(tmp_path):
    inner = saved(tmp_path / "inner.pt", {"w": torch.zeros(1_000_000)})
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(inner, "archive/data.pkl")
    assert "compressed" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(inner, "archive/data.pkl")
    assert "refused" in refusal(path)


def test_other_archives_are_refused_by_name(tmp_path):
    path = tmp_path / "a.pt"
    with tarfile.open(path, "w") as archive:
        archive.add(saved(tmp_path / "inner.pt"), "storages")
    assert "early versions of torch" in refusal(path)
    path = rewritten(saved(tmp_path / "b.pt"), change=lambda archive: setattr(archive, "comment", b"PK"))
    assert "with a comment" in refusal(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"w": torch.zeros(1).expand(10**11)}, "repeats what is stored of it"),
        ({"w": torch.zeros(1).expand(2, 3)}, "repeats what is stored of it"),
        (dict.fromkeys(map(str, range(100)), torch.zeros(100_000)), "naming the same numbers again"),
        ({"w": torch.zeros(10**9, device="meta")}, "expected dense numbers"),
    ],
)
def test_a_tensor_that_is_larger_than_what_is_stored_is_refused(tmp_path, content, says):
    assert says in refusal(saved(tmp_path / "a.pt", content))


def header(**tensors):
    return json.dumps(
        {name: dict(zip(("dtype", "shape", "data_offsets"), of, strict=True)) for name, of in tensors.items()}
    )


@pytest.mark.parametrize(
    ("says", "length"),
    [
        (header(w=("F32", [4], [0, 16])), 2**63),
        (header(w=("F32", [4], [0, 16])), 10**9),
        (header(w=("F32", [10**12], [0, 16])), None),
        (header(w=("F32", [10**12], [0, 4 * 10**12])), None),
        (header(w=("F32", [4], [0, 16]), v=("F32", [4], [0, 16])), None),
        (header(w=("F32", [2], [8, 16])), None),
        (header(w=("F32", [2**40, 2**40], [0, 16])), None),
        (header(w=("F32", [-4], [0, 16])), None),
        ("{" * 1000, None),
    ],
)
def test_a_safetensors_header_that_lies_is_refused(tmp_path, says, length):
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(says) if length is None else length) + says.encode() + bytes(16))
    assert "not a readable safetensors file" in refusal(path)


def test_a_bomb_is_no_checkpoint_of_a_training(tmp_path):
    content = dict.fromkeys(("fingerprint", "note", "runs", "winner", "at"), torch.zeros(1_000_000))
    path = rewritten(saved(tmp_path / "a.pt", content), zipfile.ZIP_DEFLATED)
    with pytest.raises(BadTrainingCheckpoint, match="not a checkpoint of a training"):
        noted_in(path)
