"""Blind excerpts out: measured like the standards say, and equal in all but the music."""

import wave

import numpy as np
import pytest
from scipy.signal import lfilter

from arena import audio
from arena.audio.loudness import measure
from tests.casts.audio_files import cut_here, music, played, reason, sine, write, write_plain_wav

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


@pytest.mark.slow
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
    for _, out in excerpts["mp3"]:
        data = out.read_bytes()
        assert len(data) % 960 == 0
        assert {data[start : start + 3] for start in range(0, len(data), 960)} == {b"\xff\xfb\xe4"}
        assert not [word for word in (b"Xing", b"Info", b"VBRI") if word in data[:1920]]
        assert not [word for word in (b"ID3", b"LAME", b"Lavf", b"Lavc", b"TAG", b"APETAG", b"System") if word in data]


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
    assert np.array_equal(sound[0][:, 0], sound[0][:, 1])


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
