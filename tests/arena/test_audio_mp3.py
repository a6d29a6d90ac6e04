"""An MP3 excerpt says nothing beside its samples: what LAME fills spare space with is overwritten."""

import numpy as np
import pytest

from arena.audio import mp3
from tests.casts.audio_files import cut_here, music, played, sine, write_plain_wav

FRAME = 960


@pytest.fixture(scope="module", params=["music", "noise", "tone"])
def both(request, tmp_path_factory):
    """The same excerpt as LAME writes it and as the arena does."""
    folder = tmp_path_factory.mktemp("mp3")
    samples = {
        "music": music(3),
        "noise": np.random.default_rng(1).uniform(-0.5, 0.5, (144_000, 2)),
        "tone": sine(3, -10, 440),
    }[request.param]
    clip = write_plain_wav(folder / "clip.wav", samples, 48000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mp3, "without_filler", lambda frame: frame)
        cut_here(clip, folder / "lame.mp3", 3000, "mp3")
    cut_here(clip, folder / "arena.mp3", 3000, "mp3")
    return folder / "lame.mp3", folder / "arena.mp3"


def frames(path):
    data = path.read_bytes()
    return [data[start : start + FRAME] for start in range(0, len(data), FRAME)]


def test_the_name_of_the_encoder_is_gone_and_every_sample_is_the_same(both):
    lame, arena = both
    assert b"LAME" in lame.read_bytes()
    assert b"LAME" not in arena.read_bytes()
    assert lame.stat().st_size == arena.stat().st_size
    assert np.array_equal(played(lame), played(arena))


def test_only_the_end_of_a_frame_is_touched_and_it_is_zero(both):
    for before, after in zip(*map(frames, both), strict=True):
        if before != after:
            first = next(n for n in range(FRAME) if before[n] != after[n])
            assert after[first + 1 :] == bytes(FRAME - first - 1)
        assert mp3.without_filler(after) == after


def test_a_frame_with_a_checksum_is_two_bytes_longer_before_its_side_information(both):
    frame = next(frame for frame in frames(both[0]) if frame.endswith(bytes(2)))
    checked = bytes([frame[0], frame[1] & 0xFE, *frame[2:4]]) + b"\x12\x34" + frame[4:-2]
    assert mp3.without_filler(checked)[6:] == mp3.without_filler(frame)[4:-2]


def changed(frame, position, value):
    return frame[:position] + bytes([value]) + frame[position + 1 :]


def test_what_is_not_one_self_contained_stereo_frame_is_an_error(both):
    frame = frames(both[0])[10]
    for bad, sentence in [
        (frame[:-1], "These 959 bytes are not one whole MP3 frame"),
        (frame + frame, "These 1920 bytes are not"),
        (bytes(FRAME), "These 960 bytes are not"),
        (changed(frame, 3, 0xC0), "not MPEG-1 in stereo"),
        (changed(frame, 4, 0x01), "begins in an earlier one"),
        (frame[:4] + bytes(2) + b"\x0f" + b"\xff" * 29 + frame[36:], "bits more than it has"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            mp3.without_filler(bad)
