"""Untrusted audio in, facts and blind excerpts out; a bad file costs one sentence and nothing else."""

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from arena import audio
from arena.audio import operations, sandbox
from arena.audio.loudness import measure
from arena.audio.reading import USUAL_LAYOUTS, open_audio
from tests.audio_files import cut, music, sine, write, write_plain_wav, write_to_pipe_wav, write_video

ROOT = Path(__file__).resolve().parents[1]
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


def inspect_here(path, max_seconds=600):
    """`inspect` without its child process: the same code, faster."""
    return audio.ClipFacts(**operations.inspect(str(path), max_seconds))


def cut_here(path, out_path, length_ms, codec):
    return audio.ExcerptFacts(**operations.cut_excerpt(str(path), str(out_path), length_ms, codec))


def played(path):
    """What a player decodes: float32 [n, channels]."""
    with open_audio(str(path)) as source:
        return np.concatenate(list(source.blocks()))


def reason(call, *args, error=audio.AudioRejected, **kwargs):
    with pytest.raises(error) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


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


# Loudness, ITU-R BS.1770-4 and the cases of EBU Tech 3341


def loudness(samples, layout="stereo"):
    return measure(samples, 48_000, layout).loudness_lufs


def tones(*steps):
    return np.concatenate([sine(seconds, dbfs, hz=1000) for seconds, dbfs in steps])


def test_a_sine_of_minus_23_dbfs_in_both_channels_is_minus_23_lufs():
    assert loudness(sine(20, -23)) == pytest.approx(-23, abs=0.05)
    assert loudness(sine(20, -23, channels=1), "mono") == pytest.approx(-26.01, abs=0.05)


@pytest.mark.parametrize(
    "steps",
    [
        [(10, -36), (60, -23), (10, -36)],
        [(10, -72), (10, -36), (60, -23), (10, -36), (10, -72)],
        [(20, -26), (20.1, -20), (20, -26)],
    ],
    ids=["case 3: relative gate", "case 4: absolute gate", "case 5: both sides of the gate"],
)
def test_the_gating_cases_of_the_ebu_give_minus_23_lufs(steps):
    assert loudness(tones(*steps)) == pytest.approx(-23, abs=0.1)


def test_surround_channels_weigh_more_as_in_case_6_of_the_ebu():
    levels = (-28, -28, -24, -30, -30)
    samples = np.concatenate([sine(20, level, hz=1000, channels=1) for level in levels], axis=1)
    assert loudness(samples, "5.0") == pytest.approx(-23, abs=0.1)


def plain_loudness(samples):
    """BS.1770-4 written out for 48 kHz: K-weighting of tables 1 and 2, gating of equations 3 to 7."""
    weighted = lfilter(
        [1.53512485958697, -2.69169618940638, 1.19839281085285],
        [1, -1.69065929318241, 0.73248077421585],
        samples,
        axis=0,
    )
    weighted = lfilter([1, -2, 1], [1, -1.99004745483398, 0.99007225036621], weighted, axis=0)
    energy = np.concatenate([[0], np.cumsum((weighted**2).sum(axis=1))])
    starts = np.arange(0, len(samples) - 19200 + 1, 4800)
    blocks = (energy[starts + 19200] - energy[starts]) / 19200
    loud = -0.691 + 10 * np.log10(blocks + 1e-20)
    relative = -0.691 + 10 * np.log10(blocks[loud > -70].mean()) - 10
    return -0.691 + 10 * np.log10(blocks[(loud > -70) & (loud > relative)].mean())


@pytest.mark.parametrize("seed", range(4))
def test_loudness_of_music_agrees_with_a_plain_implementation(seed):
    samples = music(12, seed=seed)
    samples[: 48000 * seed] *= 0.02  # a quiet start, for the gates
    assert loudness(samples) == pytest.approx(plain_loudness(samples.astype(float)), abs=0.1)


@pytest.mark.parametrize("phase_degrees", [0, 45, 67.5])
def test_true_peak_sees_what_lies_between_the_samples(phase_degrees):
    samples = sine(2, -6, hz=12000, phase=np.radians(phase_degrees))
    fade = np.minimum(1, np.minimum(np.arange(len(samples)), np.arange(len(samples))[::-1]) / 4800)
    levels = measure(samples * fade[:, None], 48_000, "stereo")
    assert -6.4 <= levels.true_peak_dbtp <= -5.8  # EBU Tech 3341, cases 15 to 18


def test_a_peak_in_the_last_unfinished_block_is_seen():
    samples = music(1.05) * 0.1
    samples[-30] = 0.9
    assert measure(samples, 48_000, "stereo").true_peak_dbtp == pytest.approx(-0.92, abs=0.6)


# What is refused, and how that is said


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.wav"
    path.touch()
    assert reason(audio.inspect, path) == "The file is empty (0 bytes)."


def test_a_file_without_samples_is_refused(tmp_path):
    path = write_plain_wav(tmp_path / "none.wav", music(0), 48000)
    assert reason(inspect_here, path) == "The file holds no samples."


NOT_AUDIO = "This is not a WAV, FLAC, MP3, OGG, Opus or AAC/M4A file."


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


# The blind excerpt


@pytest.fixture(scope="module")
def different_clips(tmp_path_factory):
    """The same five seconds at most: music, noise and a tone, in formats, rates and levels of their own."""
    folder = tmp_path_factory.mktemp("clips")
    noise = np.random.default_rng(5).uniform(-1, 1, (48000 * 6, 2)).astype(np.float32)
    return [
        write(folder / "a.wav", music(6, 44100) * 0.01, 44100, "pcm_s24le", metadata={"title": "System X"}),
        write(folder / "b.mp3", music(9, 32000, 1, seed=1), 32000, "libmp3lame", metadata={"title": "System Y"}),
        write(folder / "c.flac", noise, 48000, "flac"),
        write(folder / "d.opus", sine(5.2, -3, 440), 48000, "libopus", metadata={"title": "System Z"}),
        write(folder / "e.m4a", music(5.1, 48000, 6, seed=2), 48000, "aac"),
    ]


@pytest.fixture(scope="module")
def excerpts(tmp_path_factory, different_clips):
    """Of each codec, the facts and the file of five seconds of each clip."""
    folder = tmp_path_factory.mktemp("excerpts")
    outs = {codec: [folder / f"{clip.name}.{codec}" for clip in different_clips] for codec in ("mp3", "wav")}
    return {
        codec: [(cut_here(clip, out, 5000, codec), out) for clip, out in zip(different_clips, files, strict=True)]
        for codec, files in outs.items()
    }


@pytest.mark.parametrize("codec", ["mp3", "wav"])
def test_excerpts_of_one_length_are_equal_in_all_but_the_music(excerpts, codec):
    sizes, decoded_lengths = set(), set()
    for facts, out in excerpts[codec]:
        sound = played(out)
        levels = measure(sound, 48_000, "stereo")
        assert facts.bytes == out.stat().st_size
        assert levels.loudness_lufs == pytest.approx(-23, abs=0.1)
        assert facts.loudness_lufs == pytest.approx(levels.loudness_lufs, abs=0.01)
        assert levels.true_peak_dbtp <= -1
        sizes.add(facts.bytes)
        decoded_lengths.add(sound.shape)
    assert len(sizes) == len(decoded_lengths) == 1
    if codec == "wav":
        assert sizes == {44 + 5 * 48000 * 4}
        assert decoded_lengths == {(5 * 48000, 2)}


def test_an_mp3_excerpt_is_nothing_but_frames_of_320_kbit_per_second(excerpts):
    """LAME fills spare bits of a frame with its own name; it is the same encoder for every clip."""
    for _, out in excerpts["mp3"]:
        data = out.read_bytes()
        assert len(data) % 960 == 0
        assert {data[start : start + 3] for start in range(0, len(data), 960)} == {b"\xff\xfb\xe4"}
        assert not [word for word in (b"Xing", b"Info", b"VBRI") if word in data[:1920]]
        assert not [word for word in (b"ID3", b"Lavf", b"Lavc", b"TAG", b"APETAG", b"System") if word in data]


def test_a_wav_excerpt_is_a_plain_header_and_samples(excerpts):
    _, out = excerpts["wav"][0]
    data = out.read_bytes()
    assert (data[12:16], data[36:40]) == (b"fmt ", b"data")
    assert not [word for word in (b"LIST", b"INFO", b"Lavf", b"System", b"bext") if word in data]
    with wave.open(str(out)) as file:
        assert file.getparams()[:4] == (2, 2, 48000, 240_000)


@pytest.mark.parametrize("codec", ["mp3", "wav"])
def test_the_same_clip_gives_the_same_bytes(tmp_path, different_clips, excerpts, codec):
    audio.cut_excerpt(different_clips[1], tmp_path / "out", length_ms=5000, codec=codec)
    assert (tmp_path / "out").read_bytes() == excerpts[codec][1][1].read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # nothing half-written is left


def test_the_excerpt_does_not_tell_how_loud_or_how_many_channelled_the_clip_was(tmp_path):
    loud = music(4, channels=1)
    write(tmp_path / "loud.wav", loud, 48000, "pcm_f32le")
    write(tmp_path / "quiet.wav", loud / 64, 48000, "pcm_f32le")
    write(tmp_path / "twice.wav", np.repeat(loud, 2, axis=1), 48000, "pcm_f32le")
    names = ("loud", "quiet", "twice")
    facts = [cut_here(tmp_path / f"{name}.wav", tmp_path / f"{name}.out", 3000, "wav") for name in names]
    sound = [played(tmp_path / f"{name}.out") for name in names]
    assert facts[1].gain_db - facts[0].gain_db == pytest.approx(20 * np.log10(64), abs=0.02)
    for other in (1, 2):
        assert np.abs(sound[0] - sound[other]).max() < 1e-3
        assert np.abs(np.subtract(facts[0].peaks, facts[other].peaks)).max() <= 0.002
    assert np.array_equal(sound[0][:, 0], sound[0][:, 1])


def test_peaks_are_a_thousand_numbers_that_follow_the_sound(tmp_path):
    samples = sine(4, -10, 440) * np.linspace(0.1, 1, 4 * 48000)[:, None]
    path = write_plain_wav(tmp_path / "a.wav", samples, 48000)
    peaks = cut_here(path, tmp_path / "out.wav", 4000, "wav").peaks
    assert len(peaks) == 1000
    assert all(0 <= peak <= 1 and peak == round(peak, 3) for peak in peaks)
    sound = np.abs(played(tmp_path / "out.wav")).max(axis=1).reshape(1000, -1).max(axis=1)
    assert np.allclose(peaks, 2 * sound, atol=2e-3)


def test_an_excerpt_begins_and_ends_without_a_click(tmp_path):
    path = write_plain_wav(tmp_path / "a.wav", sine(4, -6, 300, phase=np.pi / 2), 48000)
    cut_here(path, tmp_path / "out.wav", 2500, "wav")
    sound = played(tmp_path / "out.wav")
    full = np.abs(sound).max()
    assert np.abs(sound[:10]).max() < 0.01 * full
    assert np.abs(sound[-10:]).max() < 0.01 * full
    assert np.abs(sound[480:960]).max() > 0.99 * full  # faded for less than 10 ms


def test_an_excerpt_plays_the_start_of_the_clip(tmp_path):
    samples = music(4, 48000)
    path = write(tmp_path / "a.wav", samples, 48000, "pcm_f32le")
    facts = cut_here(path, tmp_path / "out.wav", 2000, "wav")
    expected = samples[480 : 96000 - 480] * 10 ** (facts.gain_db / 20)
    assert np.abs(played(tmp_path / "out.wav")[480:-480] - expected).max() < 1e-4


def test_a_clip_with_lonely_peaks_stays_valid_but_cannot_be_levelled(tmp_path):
    samples = music(5) * 0.01
    samples[::24000] = 0.9
    path = write_plain_wav(tmp_path / "a.wav", samples, 48000)
    audio.inspect(path)
    sentence = reason(audio.cut_excerpt, path, tmp_path / "out.mp3", length_ms=5000, error=audio.CannotLevel)
    assert sentence.startswith("Cannot be played at -23 LUFS without its peaks passing -1 dBTP: they would reach +")
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_clip_that_starts_with_a_long_silence_cannot_be_levelled(tmp_path):
    path = write_plain_wav(tmp_path / "a.wav", np.concatenate([np.zeros((96000, 2)), music(2)]), 48000)
    sentence = reason(cut_here, path, tmp_path / "out.mp3", 1500, "mp3", error=audio.CannotLevel)
    assert sentence == "The first 1.5 s, which would be played, are silent."


def test_a_clip_shorter_than_the_excerpt_is_refused_and_a_rounded_length_is_not(tmp_path):
    path = write_plain_wav(tmp_path / "a.wav", music(1.9996, 44100), 44100)
    assert cut_here(path, tmp_path / "out.wav", 2000, "wav").bytes == 44 + 96000 * 4
    sentence = reason(cut_here, path, tmp_path / "out.wav", 2500, "wav")
    assert sentence == "The clip lasts 2.00 s, less than the excerpt of 2.50 s."


def test_an_excerpt_of_another_codec_or_length_is_a_mistake_of_the_caller(tmp_path):
    path = write_plain_wav(tmp_path / "a.wav", music(2), 48000)
    with pytest.raises(ValueError, match="not 'ogg'"):
        audio.cut_excerpt(path, tmp_path / "out.ogg", length_ms=2000, codec="ogg")
    with pytest.raises(ValueError, match="at least 1000 ms"):
        audio.cut_excerpt(path, tmp_path / "out.mp3", length_ms=300)
    assert (audio.mime_type("mp3"), audio.mime_type("wav")) == ("audio/mpeg", "audio/wav")


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


# The child that does the dangerous part


def misbehave(operation, *, wall_s=20, cpu_s=20, memory_bytes=2**30, **arguments):
    limits = sandbox.Limits(wall_s=wall_s, cpu_s=cpu_s, memory_bytes=memory_bytes)
    return sandbox.call(operation, dict, limits, module="tests.audio_hostile", **arguments)


@pytest.mark.parametrize(
    ("operation", "limits", "sentence"),
    [
        ("spin", {"cpu_s": 1}, "Reading the file took more than 20 s, or 1 s of computing."),
        ("crash", {}, "The file crashed the decoder (SIGSEGV)."),
        ("be_killed", {}, "Reading the file was stopped from outside, most likely because it took too much memory."),
        ("eat_memory", {}, "Reading the file needs more than 1,024 MB of memory."),
        ("talk_nonsense", {}, "The decoder gave an answer that makes no sense for this file."),
        ("answer_nan", {}, "The decoder gave an answer that makes no sense for this file."),
        ("have_a_bug", {}, "The decoder failed on this file in a way it should not; the server's log says how."),
    ],
)
def test_a_child_that_misbehaves_costs_one_sentence(operation, limits, sentence):
    started = time.monotonic()
    assert reason(misbehave, operation, **limits) == sentence
    assert time.monotonic() - started < 15


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def is_free(lock):
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def is_held(lock):
    return lock.exists() and lock.read_text() == "locked"


def test_a_hanging_child_costs_one_sentence_and_what_it_has_started_ends_with_it(tmp_path):
    lock = tmp_path / "lock"
    sentence = reason(misbehave, "hold", wall_s=1, lock=str(lock), company=True)
    assert sentence == "Reading the file took more than 1 s, or 20 s of computing."
    wait_for(lambda: is_free(lock))


def test_the_complaint_of_a_child_reaches_the_log(caplog):
    reason(misbehave, "have_a_bug")
    assert "have_a_bug ended with 1: Traceback" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_missing_library_is_not_blamed_on_the_file():
    assert "could not be loaded" in reason(misbehave, "lack_a_library", error=audio.AudioUnavailable)


def test_an_unwritable_folder_is_not_blamed_on_the_file(tmp_path):
    path = write_plain_wav(tmp_path / "a.wav", music(2), 48000)
    sentence = reason(
        audio.cut_excerpt, path, tmp_path / "no" / "out.mp3", length_ms=1000, error=audio.AudioUnavailable
    )
    assert "could not be read or written" in sentence


def test_the_child_sees_no_secret_and_leaves_no_core(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://arena:secret@localhost/arena")
    child = misbehave("describe")
    assert set(child["environment"]) <= {
        *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "LC_ALL", "LC_CTYPE"),
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    }
    assert (child["core"], child["memory"], child["own_session"]) == (0, 2**30, True)
    assert child["open_files"] == [0, 1, 2]


def test_a_long_clip_is_measured_in_little_memory(tmp_path):
    """Its samples as float32 would take 1.4 GB; the child may use 0.9 GB of addresses, libraries included."""
    path = write(tmp_path / "a.flac", np.tile(sine(1, -20, 300, 48000, 8), (60, 1)), 48000, "flac")
    small = sandbox.Limits(memory_bytes=900 * 2**20)
    facts = sandbox.call("inspect", audio.ClipFacts, small, path=str(path), max_seconds=600)
    assert facts.duration_ms == 60_000


def test_importing_the_package_loads_neither_decoder_nor_numpy():
    code = "import sys, json, arena.audio; print(json.dumps(sorted(set(sys.modules) & {'av', 'numpy', 'django'})))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert json.loads(found.stdout) == []


# The nursery that children are forked from


def nursery():
    return misbehave("describe")["nursery"]


def start_python(code):
    """A process of its own, whose stderr its nursery shares: it reads to its end only when both are gone."""
    code = f"""
import os, time
from arena.audio import sandbox

def misbehave(operation, **arguments):
    return sandbox.call(operation, dict, module="tests.audio_hostile", **arguments)

def nursery():
    return misbehave("describe")["nursery"]

{code}"""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, **pipes)


def test_children_have_one_nursery_until_one_of_them_fails():
    first = nursery()
    assert reason(misbehave, "lack_a_library", error=audio.AudioUnavailable)
    assert nursery() == first
    reason(misbehave, "crash")
    assert nursery() != first


def test_a_nursery_serves_so_many_children_and_no_more(monkeypatch):
    reason(misbehave, "crash")
    monkeypatch.setattr(sandbox, "MAX_CHILDREN", 2)
    first, second, third = nursery(), nursery(), nursery()
    assert first == second != third


def test_a_nursery_that_died_is_replaced_unnoticed():
    first = nursery()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not sandbox._nursery.usable())
    assert nursery() != first


def test_a_nursery_killed_at_work_is_not_blamed_on_the_file_and_is_replaced(tmp_path):
    lock, victim = tmp_path / "lock", nursery()

    def kill():
        wait_for(lambda: is_held(lock))
        os.kill(victim, signal.SIGKILL)

    with ThreadPoolExecutor() as threads:
        threads.submit(kill)
        sentence = reason(misbehave, "hold", wall_s=1, lock=str(lock), company=False, error=audio.AudioUnavailable)
    assert sentence == "The process that starts the audio decoder was stopped."
    assert nursery() != victim
    wait_for(lambda: is_free(lock), seconds=4)  # the child's own alarm


def test_nothing_is_left_when_the_process_that_called_is_killed(tmp_path):
    lock = tmp_path / "lock"
    process = start_python(f"misbehave('hold', lock={str(lock)!r}, company=True)")
    wait_for(lambda: is_held(lock))
    process.kill()
    assert process.communicate(timeout=10) == ("", "")
    wait_for(lambda: is_free(lock))


def test_a_forked_process_has_its_own_nursery_and_leaves_that_of_its_parent_alone():
    code = "print(nursery(), flush=True)\nif os.fork(): os.wait()\nprint(nursery(), flush=True)"
    out, err = start_python(code).communicate(timeout=20)
    first, forked, again = out.split()
    assert (first == again != forked, err) == (True, "")


def test_a_forked_process_does_not_keep_the_nursery_of_its_parent_alive():
    code = "nursery()\nif pid := os.fork(): print(pid)\nelse: os.closerange(1, 3), time.sleep(60)"
    process = start_python(code)
    out, err = process.communicate(timeout=10)
    os.kill(int(out), signal.SIGKILL)
    assert err == ""


def test_an_interrupted_call_leaves_its_answer_to_nobody():
    def interrupt(*_):
        raise KeyboardInterrupt

    nursery()
    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            misbehave("hang", wall_s=1)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert misbehave("echo", value=1) == {"value": 1}


def test_threads_that_call_at_once_get_their_own_answers():
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda value: misbehave("echo", value=value), range(40)))
    assert answers == [{"value": value} for value in range(40)]
