"""The headphone check: what each ear gets tells nothing, only the difference between the ears does."""

import io
import wave

import numpy as np
import pytest
from scipy.signal import csd, welch
from scipy.stats import ks_2samp

from arena.audio import headphones

RATE = headphones.RATE
BAND = (564, 636)


def intervals(target, seed):
    """float [3, 24000, 2]"""
    with wave.open(io.BytesIO(headphones.trial_wav(target, seed))) as file:
        assert file.getparams()[:3] == (2, 2, RATE)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2) / 32767
    step = RATE * 3 // 2
    return np.stack([samples[start : start + RATE] for start in (0, step, 2 * step)])


def interaural(sound):
    """Of each bin of 12 Hz: frequency, coherence (0 to 1) and phase in radians between the ears."""
    window = {"fs": RATE, "nperseg": 2000}
    hz, cross = csd(sound[:, 0], sound[:, 1], **window)
    powers = [welch(sound[:, ear], **window)[1] for ear in (0, 1)]
    return hz, np.abs(cross) ** 2 / (powers[0] * powers[1]), np.angle(cross)


@pytest.mark.parametrize("target", [1, 2, 3])
def test_the_ears_are_in_antiphase_in_the_band_of_the_target_alone(target):
    for number, sound in enumerate(intervals(target, seed=7), start=1):
        hz, coherence, phase = interaural(sound)
        inside = (hz > BAND[0] + 12) & (hz < BAND[1] - 12)
        outside = (hz > 24) & ((hz < BAND[0] - 36) | (hz > BAND[1] + 36))
        assert coherence[outside].min() > 0.99
        assert np.abs(phase[outside]).max() < 0.1
        assert coherence[inside].min() > 0.9
        expected = np.pi if number == target else 0
        assert np.abs(phase[inside]) == pytest.approx(expected, abs=0.1)
        if number != target:
            assert np.array_equal(sound[:, 0], sound[:, 1])


def test_the_two_ears_of_the_target_have_the_same_spectrum():
    left, right = intervals(2, seed=3)[1].T
    spectra = [10 * np.log10(welch(ear, fs=RATE, nperseg=2000)[1]) for ear in (left, right)]
    assert np.abs(np.subtract(*spectra))[3:].max() < 1.5


def test_no_ear_alone_knows_the_target():
    """Over many trials, the power in the band is distributed alike in targets and others, in either ear."""
    share = {}
    for seed in range(120):
        sounds = intervals(1, seed)
        spectra = np.abs(np.fft.rfft(sounds, axis=1)) ** 2
        inside = spectra[:, BAND[0] : BAND[1] + 1].sum(axis=1) / spectra.sum(axis=1)
        for ear in (0, 1):
            share.setdefault((ear, "target"), []).append(inside[0, ear])
            share.setdefault((ear, "other"), []).append(inside[1, ear])
    for ear in (0, 1):
        assert ks_2samp(share[ear, "target"], share[ear, "other"]).pvalue > 0.01
        assert np.mean(share[ear, "target"]) == pytest.approx(73 / 12000, rel=0.05)


def test_what_loudspeakers_add_up_has_a_narrow_dip_and_nowhere_a_tone():
    sounds = np.concatenate([intervals(3, seed)[2].mean(axis=1) for seed in range(20)])
    hz, power = welch(sounds, fs=RATE, nperseg=2000)
    level = 10 * np.log10(power / np.median(power))
    assert level[(hz > BAND[0] + 12) & (hz < BAND[1] - 12)].max() < -10
    assert level[(hz > 24) & (hz < RATE / 2 - 24)].max() < 1.5


def test_intervals_are_equally_loud_in_both_ears_and_never_clip():
    for seed in range(5):
        sounds = intervals(1 + seed % 3, seed)
        assert 10 * np.log10((sounds**2).mean(axis=1)) == pytest.approx(np.full((3, 2), -23), abs=0.01)
        assert np.abs(sounds).max() < 0.9


def test_intervals_begin_and_end_without_a_click():
    for sound in intervals(2, seed=0):
        assert np.abs(sound[[0, 1, 2, -3, -2, -1]]).max() < 0.002


def test_a_trial_is_the_same_for_the_same_seed_and_another_for_another():
    first = headphones.trial_wav(2, 11)
    assert headphones.trial_wav(2, 11) == first
    assert headphones.trial_wav(2, 12) != first
    assert headphones.trial_wav(3, 11) != first
    assert len(first) == 384_044 < 400_000


@pytest.mark.parametrize("target", [0, 4, None, "2"])
def test_there_is_no_other_interval(target):
    with pytest.raises(ValueError, match="interval 1, 2 or 3"):
        headphones.trial_wav(target, 0)


def test_six_of_six_trials_pass():
    assert headphones.N_TRIALS == headphones.PASS_AT == 6
