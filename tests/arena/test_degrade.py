"""Degraded excerpts: on music of every kind either plainly worse, or refused; and the beeps of the attention check."""

import io
import json
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import stft, welch

from arena import audio
from arena.audio import degrade
from tests.casts.audio_files import cut_here, materials, music, played, reason, sine, write

RATE = 48_000
KINDS = ("band", "quiet", "dull", "bright", "sparse")
UNHEARD = {("dull", "lowpass"), ("bright", "clipped")}
PLAIN_VARIANTS = [(kind, variant) for kind in KINDS for variant in degrade.LADDERS if (kind, variant) not in UNHEARD]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return {kind: write(folder / f"{kind}.wav", sound, RATE, "pcm_f32le") for kind, sound in materials(5).items()}


@pytest.fixture(scope="module")
def excerpt(clips, tmp_path_factory):
    """What is heard of a kind of music in a variant: float32 [n, 2], all at -23 LUFS; made once."""
    folder, made = tmp_path_factory.mktemp("excerpts"), {}

    def heard(kind, variant=""):
        if (kind, variant) not in made:
            out = folder / f"{kind}-{variant}.wav"
            cut_here(clips[kind], out, 5000, "wav", variant)
            made[kind, variant] = played(out)
        return made[kind, variant]

    return heard


def log_spectral_distance(one, other):
    """dB, after Gray and Markel (1976): rms over bins from 100 Hz to 12 kHz, mean over frames that are heard.

    Only bins count that lie less than 40 dB below the loudest of their frame in either sound.
    """
    levels = []
    for sound in (one, other):
        hz, _, spectrum = stft(sound.mean(axis=1), RATE, nperseg=2048)
        power = 10 * np.log10(np.abs(spectrum[(hz > 100) & (hz < 12000)]) ** 2 + 1e-12)
        levels.append(power)
    heard = levels[0].max(axis=0) > levels[0].max() - 30
    one, other = (np.maximum(level, level.max(axis=0) - 40)[:, heard] for level in levels)
    counts = (one > one.min(axis=0)) | (other > other.min(axis=0))
    return np.sqrt(((one - other) ** 2).sum(axis=0) / counts.sum(axis=0)).mean()


def segmental_snr(clean, noisy, ms=100):
    """dB: the median over segments that are heard, each after the gain that explains most of `noisy`."""
    n = len(clean) // (RATE * ms // 1000)
    clean, noisy = (np.asarray(x, float).reshape(n, -1) for x in (clean, noisy))
    power = (clean**2).sum(axis=1)
    heard = power > power.max() / 1000
    r = (clean * noisy).sum(axis=1)[heard] ** 2 / (power * (noisy**2).sum(axis=1))[heard]
    return np.median(10 * np.log10(r / (1 - r)))


# Heard, or refused


@pytest.mark.parametrize(("kind", "variant"), PLAIN_VARIANTS)
def test_whoever_listens_hears_the_degradation_already_in_the_first_four_seconds(excerpt, kind, variant):
    plain, worse = excerpt(kind), excerpt(kind, variant)
    for seconds in (4, 5):
        n = seconds * RATE
        assert log_spectral_distance(plain[:n], worse[:n]) > 4


@pytest.mark.parametrize(("kind", "variant"), [case for case in PLAIN_VARIANTS if case[1] != "lowpass"])
def test_distortion_and_noise_are_between_5_and_15_db_below_the_music_moment_by_moment(excerpt, kind, variant):
    assert 5 < segmental_snr(excerpt(kind), excerpt(kind, variant)) < 15


@pytest.mark.parametrize("kind", ["band", "quiet", "bright", "sparse"])
def test_a_low_passed_excerpt_has_lost_its_treble(excerpt, kind):
    treble = [welch(sound[:, 0], RATE, nperseg=4096) for sound in (excerpt(kind), excerpt(kind, "lowpass"))]
    share = [power[(hz > 4000)].sum() / power.sum() for hz, power in treble]
    assert share[1] < share[0] / 100


@pytest.mark.parametrize(("kind", "variant"), sorted(UNHEARD))
def test_a_degradation_that_nobody_would_notice_is_refused(clips, tmp_path, kind, variant):
    sentence = reason(cut_here, clips[kind], tmp_path / "out", 5000, "wav", variant, error=audio.CannotDegrade)
    assert sentence == f"Nobody would notice that this excerpt is {degrade.HEARD_AS[variant]}."


def test_the_refusal_comes_back_from_the_child_and_leaves_no_file(clips, tmp_path):
    with pytest.raises(audio.CannotDegrade, match="low-passed"):
        audio.cut_excerpt(clips["dull"], tmp_path / "out", length_ms=5000, codec="wav", variant="lowpass")
    assert issubclass(audio.CannotDegrade, audio.CannotLevel)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("variant", degrade.LADDERS)
def test_silence_and_a_quiet_opening_cannot_be_degraded(variant):
    late = materials(8)["band"]
    late[: 4 * RATE] = 0
    for samples in (np.zeros((2 * RATE, 2), np.float32), late):
        with pytest.raises(audio.CannotDegrade):
            degrade.degraded(samples, variant)


# What each does


def test_the_mildest_strength_that_is_heard_is_taken():
    cymbals, strings = materials(4)["bright"], materials(4)["sparse"]
    assert np.array_equal(degrade.degraded(cymbals, "lowpass"), degrade.lowpassed(cymbals, 2000))
    assert not degrade.is_plain(strings, degrade.lowpassed(strings, 1400))
    assert degrade.is_plain(strings, degrade.degraded(strings, "lowpass"))


@pytest.mark.parametrize(("hz", "gain_db"), [(250, 0), (1000, -3.01), (2000, -48.2)])
def test_the_low_pass_falls_by_48_db_per_octave(hz, gain_db):
    tone = sine(1, -6, hz)
    passed = degrade.lowpassed(tone, 1000)[RATE // 4 : -RATE // 4]
    assert 20 * np.log10(passed.std() / tone.std()) == pytest.approx(gain_db, abs=0.05)


@pytest.mark.parametrize("sdr_db", [6, 8, 10])
def test_clipping_costs_what_it_should_in_loud_and_quiet_passages_alike(sdr_db):
    noise = np.random.default_rng(0).standard_normal((4 * RATE, 2)).astype(np.float32) * 0.1
    noise[: 2 * RATE] *= 0.01
    clipped = degrade.clipped(noise, sdr_db)
    for part in (slice(RATE), slice(3 * RATE, None)):
        assert segmental_snr(noise[part, 0], clipped[part, 0]) == pytest.approx(sdr_db, abs=0.4)


def test_noise_is_pink_differs_between_the_ears_and_follows_the_music():
    tone = sine(6, -10, 1000)
    tone[: 3 * RATE] *= 0.1
    noise = degrade.noisy(tone, 8) - tone
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.02
    hz, power = welch(noise[4 * RATE :, 0], RATE, nperseg=8192)
    octaves = [power[(hz >= low) & (hz < 2 * low)].sum() for low in (125, 250, 500, 1000, 2000, 4000)]
    assert 10 * np.log10(np.divide(octaves, octaves[3])) == pytest.approx(np.zeros(6), abs=1)
    heard = (power * degrade.a_weighting(hz) ** 2).sum() * hz[1]
    assert 10 * np.log10(tone[-RATE:].var() / heard) == pytest.approx(8, abs=0.3)
    assert 20 * np.log10(noise[-RATE:].std() / noise[RATE : 2 * RATE].std()) == pytest.approx(20, abs=0.3)


def test_a_weighting_is_that_of_the_table_of_iec_61672():
    octaves = 10 ** (np.arange(15, 43, 3) / 10)  # 31.6 Hz to 15.8 kHz
    table = [-39.4, -26.2, -16.1, -8.6, -3.2, 0, 1.2, 1.0, -1.1, -6.6]
    assert 20 * np.log10(degrade.a_weighting(octaves)) == pytest.approx(table, abs=0.11)


def test_the_distance_ignores_gain_and_grows_with_strength():
    band = materials(4)["band"]
    assert degrade.distance_db(band, 0.02 * band) == pytest.approx(0, abs=1e-3)
    for degrade_by, strengths in degrade.LADDERS.values():
        distances = [degrade.distance_db(band, degrade_by(band, strength)) for strength in strengths]
        assert distances == sorted(distances)


# Everything else is as in any other excerpt


@pytest.mark.parametrize("variant", audio.VARIANTS)
def test_a_degraded_excerpt_has_the_size_and_level_of_every_other(clips, tmp_path, variant):
    facts = cut_here(clips["band"], tmp_path / "out.mp3", 4000, "mp3", variant)
    assert facts.bytes == (tmp_path / "out.mp3").stat().st_size == 168 * 960
    assert facts.loudness_lufs == pytest.approx(-23, abs=0.1)
    assert facts.true_peak_dbtp <= -1
    assert b"LAME" not in (tmp_path / "out.mp3").read_bytes()


@pytest.mark.parametrize("variant", ["noisy", "tones"])
def test_the_same_clip_is_degraded_to_the_same_bytes_whatever_the_global_random_state(clips, tmp_path, variant):
    np.random.seed(1)
    state = np.random.get_state()[1].copy()
    cut_here(clips["band"], tmp_path / "here", 4000, "wav", variant)
    assert np.array_equal(np.random.get_state()[1], state)
    audio.cut_excerpt(clips["band"], tmp_path / "child", length_ms=4000, codec="wav", variant=variant)
    assert (tmp_path / "here").read_bytes() == (tmp_path / "child").read_bytes()


def test_an_unknown_variant_is_a_mistake_of_the_caller(clips, tmp_path):
    with pytest.raises(ValueError, match="not 'reversed'"):
        audio.cut_excerpt(clips["band"], tmp_path / "out", length_ms=4000, variant="reversed")
    with pytest.raises(ValueError, match="not 'reversed'"):
        degrade.degraded(music(1), "reversed")
    assert set(audio.VARIANTS) == {"", "tones", *degrade.LADDERS}


# The beeps


def loudest_hz(sound):
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 2 * RATE))
    return spectrum.argmax() / 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("length_ms", "start_ms"), [(1000, 150), (3000, 1050), (8000, 2000)])
def test_three_beeps_rise_well_above_the_music_early_in_the_excerpt(kind, length_ms, start_ms):
    clip = materials(8)[kind][: length_ms * RATE // 1000]
    mixed = degrade.with_tones(clip)
    for number, pitch in enumerate((880, 1109, 1319)):
        start = (start_ms + 300 * number) * RATE // 1000
        beep, music_there = mixed[start:, 0][: RATE // 5], clip[start:, 0][: RATE // 5]
        assert loudest_hz(beep) == pytest.approx(pitch, abs=2)
        # heard through A-weighting, as the music is: its bass hides no beep
        spectra = [np.abs(np.fft.rfft(sound)) for sound in (beep, music_there)]
        weights = degrade.a_weighting(np.fft.rfftfreq(RATE // 5, 1 / RATE))
        levels = [20 * np.log10(np.sqrt(((weights * spectrum) ** 2).sum()) + 1e-9) for spectrum in spectra]
        assert levels[0] - levels[1] > 4.5  # at least 6 dB less what the edges of a beep take
    outside = np.ones(len(clip), bool)
    outside[(start_ms - 50) * RATE // 1000 : (start_ms + 850) * RATE // 1000] = False
    assert np.array_equal(mixed[outside], clip[outside])


def test_beeps_join_the_music_without_a_click():
    clip = sine(3, -20, 100)
    mixed = degrade.with_tones(clip)
    assert np.abs(np.diff(mixed[:, 0])).max() < 2 * np.pi * 1319 / RATE * np.abs(mixed).max()


def test_the_beeps_alone_are_a_small_wav_made_once_without_the_decoder():
    with wave.open(io.BytesIO(audio.tones_wav())) as file:
        assert file.getparams()[:4] == (1, 2, RATE, RATE * 4 // 5)
        sound = np.frombuffer(file.readframes(RATE), "<i2") / 32767
    pitches = [loudest_hz(sound[start : start + RATE // 5]) for start in (0, 14400, 28800)]
    assert pitches == pytest.approx([880, 1109, 1319], abs=1)
    assert not sound[9600:14400].any()
    assert audio.tones_wav() is audio.tones_wav()
    code = "import sys, json, arena.audio as a; a.tones_wav(); print(json.dumps('av' in sys.modules))"
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    assert json.loads(found.stdout) is False
