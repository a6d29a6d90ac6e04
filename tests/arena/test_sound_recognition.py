"""What the music itself still tells, measured: who keeps what was played recognises the clip in another cut.

docs/decisions/excerpts.md says so. Here it is held to: equal bytes never come again, what can be read from an MP3
without decoding it recognises some clips, and a simple spectrum of the decoded sound recognises nearly all.
"""

import hashlib

import numpy as np
import pytest

from tests.casts.audio_files import cut_here, music, played, write_plain_wav
from tests.casts.blind_attacker import side_information

N_CLIPS, N_LEARNT, N_FRESH = 12, 2, 2
LENGTH_MS, SPREAD_MS = 3_000, 300


@pytest.fixture(scope="module")
def cuts(tmp_path_factory):
    """{clip: files}, cut as for battles: begun at different places and encoded afresh."""
    folder, rng = tmp_path_factory.mktemp("cuts"), np.random.default_rng(7)
    found = {}
    for clip in range(N_CLIPS):
        original = write_plain_wav(folder / f"{clip}.wav", music(3.4, seed=clip), 48_000)
        found[clip] = [folder / f"{clip}-{n}.mp3" for n in range(N_LEARNT + N_FRESH)]
        for file in found[clip]:
            cut_here(
                original,
                file,
                LENGTH_MS,
                "mp3",
                start_ms=int(rng.integers(SPREAD_MS + 1)),
                seed=int(rng.integers(2**32)),
            )
    return found


def recognised(cuts, described, likeness):
    """The share of the fresh cuts whose likest learnt cut is of the same clip."""
    of = {file: described(file) for files in cuts.values() for file in files}
    learnt = [(clip, of[file]) for clip, files in cuts.items() for file in files[:N_LEARNT]]
    hits = [
        max(learnt, key=lambda known: likeness(known[1], of[file]))[0] == clip
        for clip, files in cuts.items()
        for file in files[N_LEARNT:]
    ]
    return float(np.mean(hits))


def frame_lengths(file):
    """Of each MP3 frame, how many bits its music takes: to be read without decoding."""
    lengths = np.array([sum(side_information(frame)) for frame in frames_of(file)], float)
    return (lengths - lengths.mean()) / (lengths.std() + 1e-9)


def frames_of(file):
    body = file.read_bytes()
    return [body[start : start + 960] for start in range(0, len(body) // 960 * 960, 960)]


def best_overlap(one, other, most=14):
    """The highest correlation over shifts of up to `most` frames, a third of a second."""
    n = len(one)
    pairs = ((one[max(0, s) : n + min(0, s)], other[max(0, -s) : n - max(0, s)]) for s in range(-most, most + 1))
    return max(float(np.mean(first * second)) for first, second in pairs)


def spectrum(file):
    """The mean level of the decoded sound in each of 48 bands."""
    sound = played(file).mean(axis=1)
    frames = sound[: len(sound) // 2048 * 2048].reshape(-1, 2048) * np.hanning(2048)
    power = (np.abs(np.fft.rfft(frames)) ** 2).mean(axis=0)[1:]
    edges = np.unique(np.geomspace(1, len(power), 49).astype(int) - 1)
    bands = np.log10(np.add.reduceat(power, edges) + 1e-12)
    return bands - bands.mean()


def test_the_same_bytes_never_come_twice(cuts):
    digests = [hashlib.sha256(file.read_bytes()).digest() for files in cuts.values() for file in files]
    assert len(set(digests)) == len(digests)
    frames = [set(frames_of(file)) for files in cuts.values() for file in files]
    assert not set.intersection(*frames[: N_LEARNT + N_FRESH])
    assert len({file.stat().st_size for files in cuts.values() for file in files}) == 1


def test_the_sound_recognises_a_clip_whatever_its_cut(cuts):
    by_sound = recognised(cuts, spectrum, lambda one, other: -float(np.abs(one - other).sum()))
    by_frames = recognised(cuts, frame_lengths, best_overlap)
    print(f"recognised by sound: {by_sound:.2f}; by lengths of frames: {by_frames:.2f}; chance {1 / N_CLIPS:.2f}")
    assert by_sound > 0.9, "docs/decisions/excerpts.md says that this remains possible"
