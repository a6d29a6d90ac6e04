"""What every encoder declares. The spectral encoder: finite, level-invariant, the same in any batch, and it hears what
listeners hear."""

import subprocess
import sys

import numpy as np
import pytest

from scoring.reward.encoders import KEYS, UnknownEncoder, get_encoder, resample, to_mono
from scoring.reward.encoders.spectral import SpectralEncoder

RATE = SpectralEncoder.sample_rate


def melody(seconds=6.0, detune_cents=0.0, jitter_s=0.0, root=0, seed=0):
    """Plucked notes of a C major pattern, four a second over a low drone."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    x = np.zeros(t.size)
    for i in range(int(seconds * 4) - 1):
        semitones = root + [0, 4, 7, 12, 7, 4, 2, 7][i % 8] + rng.normal() * detune_cents / 100
        start = max(0, int((i / 4 + rng.normal() * jitter_s) * RATE))
        note = t[: min(RATE // 2, t.size - start)]
        tone = sum(np.sin(2 * np.pi * 261.63 * 2 ** (semitones / 12) * h * note) / h for h in (1, 2, 3))
        x[start : start + note.size] += tone * np.exp(-6 * note) * np.minimum(1, note / 0.005)
    return (0.2 * x).astype(np.float32)


@pytest.mark.parametrize("key", KEYS)
def test_every_encoder_declares_all_of_the_protocol_and_needs_neither_torch_nor_weights_for_it(key):
    code = (
        "import sys\n"
        "from scoring.reward.encoders import Encoder, get_encoder\n"
        f"encoder = get_encoder({key!r})\n"
        "assert set(Encoder.__annotations__) - set(dir(encoder)) == set(), 'not declared'\n"
        f"assert encoder.key == {key!r} and encoder.kind in ('audio', 'text')\n"
        "assert encoder.dimension > 0 and (encoder.sample_rate > 0) is (encoder.kind == 'audio')\n"
        "assert encoder.windows and encoder.licence\n"
        "try: assert encoder.revision and not encoder.weights\n"
        "except OSError as missing:\n"
        "    assert encoder.weights and ('fetch_weights' in str(missing) or 'pip install' in str(missing))\n"
        "assert sys.modules.keys() & {'torch', 'transformers'} == set(), 'imported before the first `embed`'\n"
    )
    env = {"WEIGHTS_DIR": "/nowhere"}
    checked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert checked.returncode == 0, checked.stderr


@pytest.fixture(scope="module")
def encoder():
    return get_encoder("spectral")


def embed(x):
    return get_encoder("spectral").embed([x])[0]


def test_it_declares_what_the_database_and_the_scorer_need(encoder):
    assert (encoder.key, encoder.revision, encoder.kind) == ("spectral", "1", "audio")
    x = encoder.embed([melody(), melody(2.0)])
    assert x.shape == (2, encoder.dimension)
    assert x.dtype == np.float32


def test_the_numbers_of_this_revision_stay_what_they_are():
    """If this fails, embeddings already stored no longer match: raise `revision`, then renew the numbers."""
    assert SpectralEncoder.revision == "1"
    golden = [-1.519, -2.898, 0.170, -2.500, -0.329, 0.305, 1.134, 0.293, 0.358, 0.490, 0.833]
    np.testing.assert_allclose(embed(melody(2.0))[::45], golden, atol=5e-3)


def test_features_are_of_order_one(encoder):
    x = encoder.embed([melody(seed=s, root=s) for s in range(4)])
    assert np.abs(x).max() <= 5
    assert 0.2 < np.sqrt(np.mean(x**2)) < 2


@pytest.mark.parametrize("gain", [1e-3, 0.1, 30.0, -1.0])
def test_the_same_clip_at_another_level_has_the_same_embedding(gain):
    np.testing.assert_allclose(embed(gain * melody()), embed(melody()), atol=1e-3)


def test_an_embedding_does_not_depend_on_the_rest_of_the_batch(encoder):
    clips = [melody(), melody(1.0, seed=1), np.zeros(RATE, np.float32), melody(9.0, root=5)]
    np.testing.assert_array_equal(encoder.embed(clips), np.stack([embed(c) for c in clips]))


@pytest.mark.parametrize("n", [1, 2, 100, 1023, 1024, 1025, 1504, 8191, 8193, 30_000])
def test_very_short_clips_and_silence_have_finite_embeddings(n):
    assert np.isfinite(embed(melody()[:n] + np.float32(0.01))).all()
    assert np.isfinite(embed(np.zeros(n, np.float32))).all()


def test_long_clips_are_embedded_block_by_block_to_the_same_statistics():
    two, four = (embed(np.tile(melody(2.0), n)) for n in (10, 20))
    assert np.abs(two - four).max() < 0.3


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.zeros(0, np.float32), r"shape \[0\]"),
        (np.zeros((2, 100), np.float32), r"shape \[2, 100\]"),
        (np.array([0.0, np.nan], np.float32), "NaN"),
        (np.array([0.0, np.inf], np.float32), "NaN or infinite"),
    ],
)
def test_what_cannot_be_embedded_is_refused_with_its_place_in_the_batch(encoder, bad, says):
    with pytest.raises(ValueError, match="waveform 1 of the batch.*" + says):
        encoder.embed([melody(1.0), bad])


def clipped(x):
    return np.clip(8 * x, -0.3, 0.3)


def noisy(x):
    return x + 0.03 * np.random.default_rng(7).normal(size=x.size).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "worse"),
    [
        ("clipped", lambda seed: clipped(melody(seed=seed, root=seed))),
        ("noisy", lambda seed: noisy(melody(seed=seed, root=seed))),
        ("out of tune", lambda seed: melody(seed=seed, root=seed, detune_cents=40)),
        ("off beat", lambda seed: melody(seed=seed, root=seed, jitter_s=0.08)),
    ],
)
def test_clean_and_spoilt_clips_are_told_apart_whatever_the_key(encoder, name, worse):
    """The direction from clean to spoilt, learnt in six keys, separates them in three others."""
    clean = encoder.embed([melody(seed=s, root=s) for s in range(9)])
    spoilt = encoder.embed([worse(s) for s in range(9)])
    seen, unseen = slice(0, 6), slice(6, 9)
    direction = (spoilt[seen] - clean[seen]).mean(axis=0)
    direction[np.abs(direction) < 2 * (spoilt[seen] - clean[seen]).std(axis=0)] = 0
    assert (spoilt[unseen] @ direction).min() > (clean[unseen] @ direction).max(), name


def test_transposing_moves_the_pitch_features_less_than_detuning():
    pitch = slice(-32, -16)
    moved = np.abs(embed(melody(root=3))[pitch] - embed(melody())[pitch]).mean()
    detuned = np.abs(embed(melody(detune_cents=40))[pitch] - embed(melody())[pitch]).mean()
    assert detuned > 1.5 * moved


def test_an_unknown_encoder_or_revision_is_named():
    with pytest.raises(UnknownEncoder, match=r"'nope'; there are: clap-music, .*, mert-330m, .*, spectral"):
        get_encoder("nope")
    assert get_encoder("spectral", "1") is get_encoder("spectral")
    with pytest.raises(UnknownEncoder, match="'spectral' is revision '1' here, but revision '7' is wanted"):
        get_encoder("spectral", "7")


def test_channels_are_averaged():
    np.testing.assert_array_equal(to_mono(np.array([[1.0, 3.0], [0.0, 1.0]])), np.float32([0.5, 2.0]))
    assert to_mono(np.zeros(5)).dtype == np.float32
    for shape in ((100, 2), (0, 100), (1, 2, 3), ()):
        with pytest.raises(ValueError, match="channels"):
            to_mono(np.zeros(shape))


def test_resampling_keeps_a_tone_and_removes_what_the_new_rate_cannot_carry():
    t = np.arange(44_100) / 44_100
    kept = resample(np.sin(2 * np.pi * 1000 * t).astype(np.float32), 44_100, 24_000)
    expected = np.sin(2 * np.pi * 1000 * np.arange(24_000) / 24_000)
    assert kept.dtype == np.float32
    assert kept.size == 24_000
    np.testing.assert_allclose(kept[500:-500], expected[500:-500], atol=5e-3)
    assert np.abs(resample(np.sin(2 * np.pi * 18_000 * t).astype(np.float32), 44_100, 24_000)[500:-500]).max() < 0.02
    with pytest.raises(ValueError, match="positive"):
        resample(kept, 0, 24_000)
