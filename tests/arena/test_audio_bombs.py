"""A small file that unfolds to gigabytes is refused by how many samples it holds, whatever its header says."""

import struct
import threading

import numpy as np
import psutil
import pytest

from arena.audio import reading
from scoring.jury import hearing
from tests.casts.audio_files import inspect_here, music, reason, sine, write, write_plain_wav, write_to_pipe_wav

UNFOLDS = "The audio unfolds to more than"
KINDS = [
    ("a.wav", "pcm_s16le"), ("a.w64", "pcm_s24le"), ("a.aiff", "pcm_s16be"), ("a.flac", "flac"),
    ("a.mp3", "libmp3lame"),
    ("vorbis.ogg", "vorbis"), ("opus.ogg", "libopus"), ("a.m4a", "aac"), ("alac.m4a", "alac"), ("a.aac", "aac"),
]  # fmt: skip


@pytest.fixture
def two_seconds(monkeypatch):
    """As if no file might hold more than two seconds in stereo at 48 kHz."""
    monkeypatch.setattr(reading, "MOST_SAMPLES", 2 * 2 * 48_000)


@pytest.mark.parametrize(("name", "codec"), KINDS)
def test_every_container_is_counted_in_samples(tmp_path, two_seconds, name, codec):
    fits = write(tmp_path / f"fits-{name}", music(1.8), 48_000, codec)
    assert inspect_here(fits).duration_ms == pytest.approx(1800, abs=160)
    assert reason(inspect_here, write(tmp_path / name, music(3), 48_000, codec)).startswith(UNFOLDS)


@pytest.mark.parametrize(("rate", "channels"), [(192_000, 2), (48_000, 8), (96_000, 1)])
def test_rate_and_channels_count(tmp_path, two_seconds, rate, channels):
    """Mono counts as two channels: what is kept of a file is the mean of its channels."""
    path = write(tmp_path / "a.flac", music(1.2, rate, channels), rate, "flac")
    seconds = 2 * 2 * 48_000 / (rate * max(2, channels))
    if seconds < 1.2:
        assert reason(inspect_here, path).startswith(UNFOLDS)
    else:
        inspect_here(path)


def test_what_a_header_says_is_refused_before_anything_is_decoded(tmp_path, monkeypatch):
    """A FLAC file of eight channels that says it lasts for eight minutes: STREAMINFO has the samples in 36 bits."""
    path = write(tmp_path / "a.flac", music(2, 192_000, 8), 192_000, "flac")
    data = bytearray(path.read_bytes())
    data[22:26] = struct.pack(">I", 480 * 192_000)
    path.write_bytes(data)
    monkeypatch.setattr(reading.Stream, "frames", lambda self: pytest.fail("decoded"))
    assert reason(inspect_here, path).startswith(UNFOLDS)


def test_a_header_that_says_too_little_saves_nothing(tmp_path, two_seconds):
    path = write(tmp_path / "a.flac", music(4), 48_000, "flac")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # unknown
    path.write_bytes(data)
    assert reason(inspect_here, path).startswith(UNFOLDS)
    assert reason(inspect_here, write_to_pipe_wav(tmp_path / "pipe.wav", music(4), 48_000)).startswith(UNFOLDS)


def test_a_rate_that_nobody_plays_is_not_believed(tmp_path):
    """655,350 Hz, as STREAMINFO can say; the frames, which are decoded, say 96,000."""
    path = write(tmp_path / "a.flac", music(2, 96_000, 8), 96_000, "flac")
    data = bytearray(path.read_bytes())
    rate, rest = struct.unpack(">I", data[18:22])[0] >> 12, struct.unpack(">I", data[18:22])[0] & 0xFFF
    assert rate == 96_000
    data[18:22] = struct.pack(">I", 655_350 << 12 | rest)
    path.write_bytes(data)
    assert inspect_here(path).sample_rate == 96_000


def test_a_wav_header_that_lies_about_its_size_is_refused(tmp_path):
    path = write_plain_wav(tmp_path / "a.wav", music(2), 48_000)
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack("<I", 0x7FFE0000)
    path.write_bytes(data)
    assert "cut off" in reason(inspect_here, path)


@pytest.mark.slow
def test_eight_of_the_largest_files_at_once_keep_the_worker_small(tmp_path):
    """Ten minutes in mono at 96 kHz: all that is allowed, in a file of under 1 MB. Eight would be 1.8 GB of samples."""
    second = sine(1, -20, 480, 96_000, 1)
    path = write(tmp_path / "a.flac", np.tile(second, (600, 1)), 96_000, "flac", sample_format="s16")
    process, peak, done = psutil.Process(), [0], threading.Event()
    before = process.memory_info().rss

    def watch():
        while not done.wait(0.05):
            peak[0] = max(peak[0], process.memory_info().rss)

    class Scorer:
        def score(self, waveforms, rates, prompts):
            return [len(waveform) / rate for waveform, rate in zip(waveforms, rates, strict=True)]

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert list(hearing.rewards_of_files(Scorer(), [(path, "")] * 8)) == [600] * 8
    finally:
        done.set()
        watcher.join()
    assert peak[0] - before < 1.3 * 2**30
