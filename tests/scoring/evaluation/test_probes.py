"""Sanity probes: that each does to a clip what it says, and what the differences come to."""

import numpy as np
import pytest

from scoring.evaluation import probes
from scoring.evaluation.probes import EQUAL, EXPECTED, FAILED, LOWER, PROBES, UNCLEAR, Probe, compare, judge
from tests.casts.audio_files import music

RATE = 32_000
CLIP = music(4, RATE)[:, 0]
BY_NAME = {probe.name: probe for probe in PROBES}


def made(name, waveform=CLIP, rate=RATE, place=0):
    return BY_NAME[name].apply(waveform, rate, place)


def rms_db(x):
    return 10 * np.log10(np.mean(np.square(x, dtype=np.float64)))


def power(x, low, high):
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    return spectrum[(hz >= low) & (hz < high)].sum()


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_a_probe_is_as_long_as_its_clip_finite_and_the_same_every_time(probe):
    once, again = probe.apply(CLIP, RATE), probe.apply(CLIP, RATE)
    assert once.dtype == np.float32
    assert once.shape == CLIP.shape
    assert np.isfinite(once).all()
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, CLIP)


@pytest.mark.parametrize("bad", [np.zeros(0), np.zeros((2, 9)), np.array([0.0, np.nan])])
def test_a_probe_of_no_clip_is_refused(bad):
    with pytest.raises(ValueError, match="silence: a clip is finite float"):
        made("silence", bad)


def test_silence_is_silent_even_of_silence_and_noise_has_the_level_it_says():
    assert not made("silence").any()
    for dbfs in (-60, -40, -20, 0):
        assert rms_db(made(f"white noise {dbfs} dBFS")) == pytest.approx(dbfs, abs=0.1)
    assert rms_db(made("pink noise -20 dBFS")) == pytest.approx(-20, abs=0.1)


def test_pink_noise_has_as_much_power_in_every_octave_and_white_noise_twice_as_much_as_in_the_one_below():
    pink, white = made("pink noise -20 dBFS"), made("white noise -20 dBFS")
    assert power(pink, 4000, 8000) / power(pink, 2000, 4000) == pytest.approx(1, rel=0.1)
    assert power(white, 4000, 8000) / power(white, 2000, 4000) == pytest.approx(2, rel=0.1)


def test_noise_is_drawn_anew_for_each_clip():
    assert not np.array_equal(made("white noise -20 dBFS", place=0), made("white noise -20 dBFS", place=1))


def test_a_sine_has_its_frequency_and_half_of_full_scale():
    tone = made("sine 440 Hz")
    assert np.abs(tone).max() == pytest.approx(0.5, abs=1e-3)
    assert power(tone, 435, 445) / power(tone, 0, RATE) > 0.99


def test_a_clipped_copy_keeps_its_peak_and_is_flat_there():
    copy = made("clipped at 0.1 of peak")
    peak = np.abs(CLIP).max()
    assert np.abs(copy).max() == pytest.approx(peak, rel=1e-5)
    assert (np.abs(copy) > 0.999 * peak).mean() > 0.2
    quiet = np.abs(CLIP) < 0.09 * peak
    np.testing.assert_allclose(copy[quiet], CLIP[quiet] * 10, rtol=1e-5)


@pytest.mark.parametrize("snr", [40, 20, 10, 5, 0])
def test_added_noise_lies_that_far_below_the_clip(snr):
    assert rms_db(CLIP) - rms_db(made(f"noise at {snr} dB SNR") - CLIP) == pytest.approx(snr, abs=0.1)


def test_a_low_pass_takes_what_is_above_it_and_leaves_what_is_below():
    copy = made("low-passed at 1000 Hz")
    assert power(copy, 2000, RATE) < 1e-6 * power(CLIP, 2000, RATE)
    assert power(copy, 0, 500) == pytest.approx(power(CLIP, 0, 500), rel=0.01)


def test_a_clip_that_holds_nothing_above_a_low_pass_has_no_such_probe():
    with pytest.raises(ValueError, match="8000 Hz holds nothing above 4000 Hz"):
        made("low-passed at 4000 Hz", rate=8000)


def test_a_reversed_copy_is_reversed():
    np.testing.assert_array_equal(made("reversed"), CLIP[::-1])


@pytest.mark.parametrize("db", [-12, -6, 6, 12])
def test_a_shifted_copy_is_the_clip_at_another_level(db):
    np.testing.assert_allclose(made(f"level {db:+d} dB"), CLIP * 10 ** (db / 20), rtol=1e-5)


def test_a_shuffled_copy_has_the_same_pieces_in_another_order_without_clicks():
    size, fade = RATE // 2, RATE // 100
    copy = made("shuffled in time").reshape(-1, size)
    middle = slice(fade, size - fade)
    pieces = CLIP.reshape(-1, size)
    order = [int(np.argmin([np.abs(piece[middle] - one[middle]).max() for one in pieces])) for piece in copy]
    assert sorted(order) == list(range(8)) != order
    for piece, place in zip(copy, order, strict=True):
        np.testing.assert_array_equal(piece[middle], pieces[place][middle])
    assert not copy[:, [0, -1]].any()


def test_two_pieces_change_places_and_one_cannot():
    two = made("shuffled in time", CLIP[: RATE - 100])
    assert np.array_equal(two[400:10_000], CLIP[RATE // 2 :][400:10_000])
    with pytest.raises(ValueError, match=r"0.25 s has no two pieces"):
        made("shuffled in time", CLIP[: RATE // 4])


def test_the_published_differences_are_of_each_probes_own_originals():
    assert BY_NAME["silence"].published_difference == pytest.approx(-1.05 + 0.18)
    assert BY_NAME["reversed"].published_difference == pytest.approx(-0.64)
    assert BY_NAME["level +6 dB"].published_difference is None


# ---- what they come to ---------------------------------------------------------------------------------


def probe(expect=LOWER):
    return Probe("made up", expect, "so", probes.silence)


def test_the_difference_is_a_mean_over_clips_with_its_standard_error():
    outcome = compare(probe(), [1.0, 2.0, 3.0, None, 1.0], [0.0, 0.0, 2.5, 9.0, None])
    differences = np.array([-1.0, -2.0, -0.5])
    assert outcome.n == 3
    assert outcome.difference == pytest.approx(differences.mean())
    assert outcome.stderr == pytest.approx(differences.std(ddof=1) / np.sqrt(3))
    assert outcome.original_wins == 1


def test_the_clips_on_which_the_probe_wins_are_named_the_largest_gain_first():
    outcome = compare(probe(), [0.0, 0.0, 0.0, 0.0], [0.5, -1.0, 2.0, 0.0])
    assert outcome.preferred == [(2, 2.0), (0, 0.5)]
    assert outcome.original_wins == pytest.approx((1 + 0.5) / 4)


def test_without_a_clip_that_has_both_rewards_there_is_no_outcome():
    assert compare(probe(), [None, 1.0], [1.0, None]) is None


def test_a_reward_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="made up: a reward is NaN or infinite"):
        compare(probe(), [0.0], [float("nan")])


@pytest.mark.parametrize(
    ("expect", "difference", "stderr", "verdict"),
    [
        (LOWER, -1.0, 0.2, EXPECTED),
        (LOWER, 1.0, 0.2, FAILED),
        (LOWER, -0.3, 0.2, UNCLEAR),
        (LOWER, 0.0, 0.0, UNCLEAR),
        (EQUAL, 0.0, 0.0, EXPECTED),
        (EQUAL, 0.05, 0.01, EXPECTED),
        (EQUAL, 0.05, 0.2, UNCLEAR),
        (EQUAL, -1.0, 0.2, FAILED),
        (EQUAL, 1.0, 0.2, FAILED),
        (LOWER, -5.0, None, UNCLEAR),
    ],
)
def test_a_verdict_needs_more_than_chance(expect, difference, stderr, verdict):
    assert judge(expect, difference, stderr, n=16) == verdict


def test_a_verdict_on_few_clips_uses_students_t():
    assert judge(LOWER, -1.0, 0.4, n=30) == EXPECTED
    assert judge(LOWER, -1.0, 0.4, n=3) == UNCLEAR
