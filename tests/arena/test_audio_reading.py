"""Untrusted audio in, facts and samples out; a bad file costs one sentence."""

import hashlib
import os

import numpy as np
import pytest

from arena import audio
from arena.audio.loudness import measure
from arena.audio.reading import USUAL_LAYOUTS
from tests.casts.audio_files import (
    cut,
    cut_here,
    inspect_here,
    music,
    reason,
    sine,
    write,
    write_plain_wav,
    write_to_pipe_wav,
    write_video,
)

FORMATS = [
    # name, codec, rate, channels, sample format, what inspect calls the format and codec
    ("u8.wav", "pcm_u8", 22050, 1, None, ("wav", "pcm_u8")),
    ("s16.wav", "pcm_s16le", 44100, 2, None, ("wav", "pcm_s16le")),
    ("s24.wav", "pcm_s24le", 96000, 2, None, ("wav", "pcm_s24le")),
    ("s32.wav", "pcm_s32le", 192000, 2, None, ("wav", "pcm_s32le")),
    ("f32.wav", "pcm_f32le", 48000, 2, None, ("wav", "pcm_f32le")),
    ("f64.wav", "pcm_f64le", 8000, 1, None, ("wav", "pcm_f64le")),
    ("s16.flac", "flac", 44100, 2, "s16", ("flac", "flac")),
    ("s24.flac", "flac", 48000, 8, "s32", ("flac", "flac")),
    ("a.mp3", "libmp3lame", 44100, 2, None, ("mp3", "mp3")),
    ("low.mp3", "libmp3lame", 8000, 1, None, ("mp3", "mp3")),
    ("a.ogg", "vorbis", 44100, 2, None, ("ogg", "vorbis")),
    ("a.opus", "libopus", 48000, 2, None, ("ogg", "opus")),
    ("wide.opus", "libopus", 48000, 8, None, ("ogg", "opus")),
    ("a.m4a", "aac", 44100, 2, None, ("m4a", "aac")),
    ("wide.m4a", "aac", 48000, 8, None, ("m4a", "aac")),
    ("a.aac", "aac", 44100, 2, None, ("aac", "aac")),
]


# What is read


@pytest.mark.parametrize(("name", "codec", "rate", "channels", "sample_format", "called"), FORMATS)
def test_every_format_is_measured_like_the_samples_it_was_made_from(
    tmp_path, name, codec, rate, channels, sample_format, called
):
    samples = music(3, rate, channels)
    facts = inspect_here(write(tmp_path / name, samples, rate, codec, sample_format=sample_format))
    expected = measure(samples, rate, USUAL_LAYOUTS[channels - 1])
    assert (facts.format, facts.codec) == called
    assert (facts.sample_rate, facts.channels) == (rate, channels)
    lossless = called[1] == "flac" or called[1].startswith("pcm")
    assert facts.duration_ms == pytest.approx(3000, abs=0 if lossless else 160)
    # FFmpeg's AAC and Opus encoders treat the bass channel of eight their own way.
    assert facts.loudness_lufs == pytest.approx(expected.loudness_lufs, abs=0.1 if lossless else 1.0)
    assert facts.true_peak_dbtp == pytest.approx(expected.true_peak_dbtp, abs=0.1 if lossless else 2.5)


@pytest.mark.parametrize("channels", range(1, 9))
def test_a_wav_that_does_not_say_where_its_channels_go_is_read_and_cut(tmp_path, channels):
    path = write_plain_wav(tmp_path / "plain.wav", music(2, 32000, channels), 32000)
    assert inspect_here(path).channels == channels
    assert cut_here(path, tmp_path / "out.wav", 2000, "wav").loudness_lufs == pytest.approx(-23, abs=0.1)


def test_a_wav_written_to_a_pipe_does_not_know_its_length_and_is_accepted(tmp_path):
    path = write_to_pipe_wav(tmp_path / "pipe.wav", music(2), 48000)
    assert inspect_here(path).duration_ms == 2000


def test_an_mp3_with_tags_after_the_music_is_accepted(tmp_path):
    path = write(tmp_path / "a.mp3", music(2), 48000, "libmp3lame", container={"write_xing": "0"})
    lyrics = b"LYRICSBEGINLYR00011hello world000032LYRICS200" + b"TAG" + bytes(125)
    path.write_bytes(path.read_bytes() + lyrics)
    assert inspect_here(path).duration_ms == pytest.approx(2000, abs=80)


def test_facts_come_back_from_the_child_with_the_hash_of_the_file(tmp_path):
    path = write_plain_wav(tmp_path / "ünïcode 'name'.wav", music(2), 48000)
    facts = audio.inspect(path)
    assert facts == inspect_here(path)
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


# What is refused, and how that is said


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.wav"
    path.touch()
    assert reason(audio.inspect, path) == "The file is empty (0 bytes)."


def test_a_file_without_samples_is_refused(tmp_path):
    path = write_plain_wav(tmp_path / "none.wav", music(0), 48000)
    assert reason(inspect_here, path) == "The file holds no samples."


NOT_AUDIO = "This is not a WAV, AIFF, FLAC, MP3, OGG, Opus or AAC/M4A file."


@pytest.mark.parametrize("content", [b"hello", b"<html>Error 404</html>" * 100, b"RIFF", bytes(5000), b"OggS" * 999])
def test_what_is_not_audio_is_refused(tmp_path, content):
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    assert reason(inspect_here, path) == NOT_AUDIO


def test_random_bytes_are_refused(tmp_path):
    path = tmp_path / "a.aac"
    path.write_bytes(np.random.default_rng(0).bytes(100_000))
    reason(audio.inspect, path)


@pytest.mark.parametrize("playlist", ["ffconcat version 1.0\nfile {0}\n", "#EXTM3U\n#EXTINF:2,\nfile://{0}\n"])
def test_a_playlist_cannot_make_the_arena_read_another_file(tmp_path, playlist):
    secret = write_plain_wav(tmp_path / "secret.wav", music(2), 48000)
    path = tmp_path / "list.wav"
    path.write_text(playlist.format(secret))
    assert reason(inspect_here, path) == NOT_AUDIO


def test_a_file_without_an_audio_stream_is_refused(tmp_path):
    assert reason(inspect_here, write_video(tmp_path / "film.mp4")) == "The file has no audio stream."


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.wav", "pcm_s16le", {}),
        ("f.wav", "pcm_f32le", {}),
        ("a.flac", "flac", {}),
        ("a.mp3", "libmp3lame", {}),
        ("bare.mp3", "libmp3lame", {"write_xing": "0"}),
        ("a.ogg", "vorbis", {}),
        ("a.opus", "libopus", {}),
        ("a.m4a", "aac", {"movflags": "faststart"}),
        ("a.aac", "aac", {}),
    ],
)
def test_a_truncated_file_is_refused(tmp_path, name, codec, container):
    path = write(tmp_path / name, music(8), 48000, codec, container=container)
    for share in (0.97, 0.6):
        assert reason(inspect_here, cut(path, share)).startswith("The file is cut off")


def test_an_m4a_without_its_index_is_refused(tmp_path):
    path = cut(write(tmp_path / "a.m4a", music(3), 48000, "aac"), 0.8)
    assert reason(audio.inspect, path) == NOT_AUDIO


@pytest.mark.parametrize(("name", "codec"), [("a.flac", "flac"), ("a.aac", "aac"), ("a.opus", "libopus")])
def test_a_file_damaged_in_its_middle_is_refused(tmp_path, name, codec):
    path = write(tmp_path / name, music(8), 48000, codec)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(byte ^ 0x5A for byte in data[middle : middle + 400])
    path.write_bytes(data)
    assert "damaged" in reason(inspect_here, path)


def test_a_sample_rate_that_changes_midway_is_refused(tmp_path):
    first = write(tmp_path / "a.aac", music(2, 48000), 48000, "aac")
    second = write(tmp_path / "b.aac", music(2, 22050), 22050, "aac")
    first.write_bytes(first.read_bytes() + second.read_bytes())
    assert "change after 2.0 s" in reason(inspect_here, first)


def test_digital_silence_is_refused(tmp_path):
    path = write_plain_wav(tmp_path / "a.wav", np.zeros((96000, 2)), 48000)
    assert reason(audio.inspect, path) == "The audio is silent: no sample is louder than -60 dBFS."


def test_sound_below_the_loudness_gate_is_silence_however_high_its_one_click(tmp_path):
    samples = np.zeros((96000, 2), np.float32)
    samples[50000] = 0.004
    path = write_plain_wav(tmp_path / "a.wav", samples, 48000)
    assert reason(inspect_here, path) == "The audio is silent: all of it lies below -70 LUFS."


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(tmp_path, value):
    samples = music(2)
    samples[70_000, 1] = value
    path = write(tmp_path / "a.wav", samples, 48000, "pcm_f32le")
    assert reason(inspect_here, path) == "A sample after 1.5 s is not a finite number."


def test_integers_stored_as_floats_are_refused(tmp_path):
    path = write(tmp_path / "a.wav", music(2) * 32768, 48000, "pcm_f32le")
    assert "integers stored as floats" in reason(inspect_here, path)


def test_more_than_ten_minutes_is_refused_and_ten_minutes_are_not(tmp_path):
    path = write_plain_wav(tmp_path / "long.wav", np.tile(music(1, 8000, 1), (601, 1)), 8000)
    assert reason(audio.inspect, path) == "The audio is longer than 10 minutes."
    write_plain_wav(path, np.tile(music(1, 8000, 1), (600, 1)), 8000)
    assert audio.decode(path, sample_rate=8000).shape == (600 * 8000,)


def test_more_than_200_mb_is_refused_unread(tmp_path):
    path = tmp_path / "big.wav"
    with path.open("wb") as file:
        file.truncate(200_000_001)
    assert reason(audio.inspect, path) == "The file is 200.0 MB; the limit is 200 MB."


def test_less_than_a_second_is_refused(tmp_path):
    path = write_plain_wav(tmp_path / "a.wav", music(0.9), 48000)
    assert reason(inspect_here, path) == "The audio lasts 0.90 s; at least 1 s is needed."


@pytest.mark.parametrize("rate", [4000, 384_000])
def test_a_sample_rate_out_of_range_is_refused(tmp_path, rate):
    path = write_plain_wav(tmp_path / "a.wav", music(1, rate), rate)
    assert reason(inspect_here, path) == f"The sample rate is {rate:,} Hz, not 8,000 to 192,000 Hz."


def test_more_than_eight_channels_are_refused(tmp_path):
    path = write_plain_wav(tmp_path / "a.wav", music(1, 8000, 10), 8000)
    assert reason(inspect_here, path) == "The file has 10 channels, not 1 to 8."


def test_a_pipe_is_refused_without_waiting_for_it_and_a_missing_file_is_an_error(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    assert reason(audio.inspect, tmp_path / "pipe.wav") == "This is not a regular file."
    with pytest.raises(FileNotFoundError):
        audio.inspect(tmp_path / "missing.wav")


# Samples for scoring


def test_decode_gives_the_same_tone_at_another_rate(tmp_path):
    path = write(tmp_path / "a.flac", sine(3, -6, 440, rate=44100), 44100, "flac")
    samples = audio.decode(path, sample_rate=24000)
    assert samples.dtype == np.float32
    assert samples.shape == (3 * 24000,)
    assert np.abs(samples - sine(3, -6, 440, rate=24000)[:, 0])[500:-500].max() < 1e-3


def test_decode_keeps_channels_apart_or_takes_their_mean(tmp_path):
    original = music(2, 16000, 8)
    path = write(tmp_path / "a.wav", original, 16000, "pcm_f32le")
    apart = audio.decode(path, sample_rate=16000, mono=False)
    assert np.array_equal(apart, original.T)
    assert np.allclose(audio.decode(path, sample_rate=16000), original.mean(axis=1), atol=1e-6)


def test_decode_refuses_what_is_too_long_or_broken(tmp_path):
    path = write_plain_wav(tmp_path / "a.wav", music(3), 48000)
    assert "longer than" in reason(audio.decode, path, sample_rate=16000, max_seconds=2)
    cut(path, 0.5)
    assert "cut off" in reason(audio.decode, path, sample_rate=16000)


def test_decoding_once_gives_the_samples_of_the_file_and_their_rate(tmp_path):
    original = music(2, 32000, 2)
    path = write(tmp_path / "a.wav", original, 32000, "pcm_f32le")
    samples, rate = audio.decode_once(path)
    assert (samples.dtype, rate) == (np.float32, 32000)
    assert np.allclose(samples, original.mean(axis=1), atol=1e-7)


def test_decoding_once_refuses_what_is_too_long_not_finite_or_without_samples(tmp_path):
    path = write_plain_wav(tmp_path / "a.wav", music(3), 48000)
    assert "longer than" in reason(audio.decode_once, path, max_seconds=2)
    cut(path, 0.5)
    assert "cut off" in reason(audio.decode_once, path)
    samples = music(2)
    samples[70_000, 1] = np.nan
    nan = write(tmp_path / "nan.wav", samples, 48000, "pcm_f32le")
    assert reason(audio.decode_once, nan) == "A sample after 1.5 s is not a finite number."
    none = write_plain_wav(tmp_path / "none.wav", np.empty((0, 2), np.float32), 48000)
    assert "holds no samples" in reason(audio.decode_once, none)


def test_ten_minutes_at_the_highest_rate_are_decoded_once_within_the_limits(tmp_path):
    path = write(tmp_path / "a.flac", np.tile(sine(1, -20, 300, 192_000, 1), (60, 1)), 192_000, "flac")
    samples, rate = audio.decode_once(path, max_seconds=60)
    assert (len(samples), rate) == (60 * 192_000, 192_000)
