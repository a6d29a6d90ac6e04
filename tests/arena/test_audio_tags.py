"""What stands around the frames of an MP3 or AAC file is not audio, and a file that lacks frames is refused."""

import struct

import numpy as np
import pytest

from tests.casts.audio_files import cut, inspect_here, music, played, reason, write

ID3V1 = b"TAG" + bytes(125)
ID3V2 = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
PICTURE = np.random.default_rng(5).bytes(20_000)  # has bytes that look like frames


def ape(body, *, header=True):
    size = len(body) + 32
    parts = [b"APETAGEX" + struct.pack("<IIII8x", 2000, size, 1, flags) for flags in (0xA0000000, 0x80000000)]
    return (parts[0] if header else b"") + body + (parts[1] if header else parts[1][:20] + bytes(12))


def lyrics(text):
    body = b"LYRICSBEGIN" + b"LYR%05d" % len(text) + text
    return body + b"%06dLYRICS200" % len(body)


TAGS = {
    "ID3v1": ID3V1,
    "enhanced ID3v1": b"TAG+" + bytes(223) + ID3V1,
    "APE with a picture": ape(PICTURE),
    "APEv1, without a header": ape(PICTURE, header=False),
    "APE and ID3v1": ape(PICTURE) + ID3V1,
    "Lyrics3 v2 and ID3v1": lyrics(b"la la la") + ID3V1,
    "Lyrics3 v2 with a wrong size": b"LYRICSBEGINLYR00011hello world000032LYRICS200" + ID3V1,
    "Lyrics3 v1": b"LYRICSBEGINla la laLYRICSEND" + ID3V1,
    "all of them": lyrics(b"la" * 50) + ape(PICTURE) + ID3V1,
    "ID3v2 at the end": ID3V2[:5] + b"\x10" + ID3V2[6:] + b"3DI" + ID3V2[3:10],
    "zeros": bytes(20_000),
    "zeros, a tag, zeros": bytes(5000) + ape(PICTURE) + bytes(5000),
    "a few bytes of something": b"\r\n",
    "a picture alone": PICTURE,
}


@pytest.fixture(scope="module", params=["info.mp3", "bare.mp3", "vbr.mp3", "a.aac"])
def whole(request, tmp_path_factory):
    name = request.param
    codec = "aac" if name.endswith("aac") else "libmp3lame"
    container = {"write_xing": "0"} if name == "bare.mp3" else {}
    encoder = {"q": "2"} if name == "vbr.mp3" else {}
    return write(tmp_path_factory.mktemp("tags") / name, music(2), 48_000, codec, container=container, encoder=encoder)


def beside(whole, tmp_path, data):
    path = tmp_path / whole.name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_at_the_end_changes_no_sample(whole, tmp_path, tag):
    path = beside(whole, tmp_path, whole.read_bytes() + TAGS[tag])
    assert inspect_here(path).duration_ms == inspect_here(whole).duration_ms
    assert np.array_equal(played(path), played(whole))


@pytest.mark.parametrize("front", [ID3V2, ID3V2 + ID3V2, bytes(3000), ID3V2 + bytes(3000)])
def test_a_tag_or_zeros_before_the_music_change_no_sample(whole, tmp_path, front):
    path = beside(whole, tmp_path, front + whole.read_bytes())
    assert np.array_equal(played(path), played(whole))


@pytest.mark.parametrize("between", [b"", ID3V1, ID3V1 + ID3V2, ape(PICTURE) + ID3V2, bytes(500) + ID3V2])
def test_joined_files_are_accepted_with_all_their_music(whole, tmp_path, between):
    path = beside(whole, tmp_path, whole.read_bytes() + between + whole.read_bytes() + ID3V1)
    seconds = inspect_here(whole).duration_ms / 1000
    assert inspect_here(path).duration_ms / 1000 == pytest.approx(2 * seconds, abs=0.06)


@pytest.mark.parametrize("tag", ["none", "ID3v1", "APE and ID3v1"])
@pytest.mark.parametrize("share", [0.97, 0.6])
def test_a_truncated_file_is_refused_whatever_tag_follows(whole, tmp_path, tag, share):
    path = cut(beside(whole, tmp_path, whole.read_bytes()), share)
    path.write_bytes(path.read_bytes() + TAGS.get(tag, b""))
    assert reason(inspect_here, path).startswith("The file is cut off")


@pytest.mark.parametrize("encoder", [{}, {"q": "2"}])
def test_a_download_that_ends_in_zeros_is_refused_where_the_frames_are_counted(tmp_path, encoder):
    path = write(tmp_path / "a.mp3", music(2), 48_000, "libmp3lame", encoder=encoder)
    size = path.stat().st_size
    path.write_bytes(cut(path, 0.8).read_bytes().ljust(size, b"\0"))
    assert reason(inspect_here, path).startswith("The file is cut off")


@pytest.mark.parametrize("truncated", [0, 1])
def test_joined_files_of_which_one_is_truncated_are_refused(tmp_path, truncated):
    data = write(tmp_path / "a.mp3", music(2), 48_000, "libmp3lame").read_bytes()
    parts = [data, data]
    parts[truncated] = data[: len(data) // 2]
    path = tmp_path / "joined.mp3"
    path.write_bytes(b"".join(parts))
    assert "cut off" in reason(inspect_here, path) or "damaged" in reason(inspect_here, path)


def test_a_header_that_counts_too_few_frames_takes_out_none(tmp_path):
    path = write(tmp_path / "a.mp3", music(2), 48_000, "libmp3lame")
    data, before = path.read_bytes(), played(path)
    at = data.index(b"Info") + 8
    count = struct.unpack(">I", data[at : at + 4])[0]
    path.write_bytes(data[:at] + struct.pack(">I", count // 2) + data[at + 4 :])
    after = played(path)
    delay = len(after) - len(before)
    assert 0 < delay < 0.1 * 48_000, "what the header's gapless information would take off at both ends"
    starts = [np.abs(after[n : n + 48_000] - before[:48_000]).max() for n in (0, 1105, 1105 + 576)]
    n = (0, 1105, 1105 + 576)[int(np.argmin(starts))]
    np.testing.assert_allclose(after[n : n + len(before)], before, atol=1e-4)


def test_frames_that_were_taken_out_or_overwritten_in_the_middle_are_noticed(tmp_path):
    data = write(tmp_path / "a.mp3", music(4), 48_000, "libmp3lame").read_bytes()
    frames = [n for n in range(len(data) - 4) if data[n : n + 2] == b"\xff\xfb"]
    path = tmp_path / "b.mp3"
    path.write_bytes(data[: frames[40]] + data[frames[60] :])
    assert "cut off" in reason(inspect_here, path)
    path.write_bytes(data[: frames[40]] + bytes(frames[60] - frames[40]) + data[frames[60] :])
    assert "damaged" in reason(inspect_here, path)


@pytest.mark.parametrize(("name", "codec"), [("a.flac", "flac"), ("a.ogg", "vorbis"), ("a.opus", "libopus")])
@pytest.mark.parametrize("tag", ["ID3v1", "APE with a picture", "zeros", "a picture alone"])
def test_tags_and_zeros_after_other_formats_change_no_sample(tmp_path, name, codec, tag):
    path = write(tmp_path / name, music(2), 48_000, codec)
    before = played(path)
    path.write_bytes(path.read_bytes() + TAGS[tag] * 10)
    assert np.array_equal(played(path), before)
