"""Measures of notes, on pieces whose values can be counted by hand."""

import numpy as np
import pytest

from scoring.metrics import symbolic
from scoring.metrics.symbolic import Piece

C_MAJOR = [60, 62, 64, 65, 67, 69, 71]


def piece(pitches, onsets=None, lengths=None):
    n = len(pitches)
    return Piece(np.arange(n) if onsets is None else onsets, np.ones(n) if lengths is None else lengths, pitches)


@pytest.mark.parametrize("up", range(12))
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_a_cadence_is_found_in_its_key(up, mode):
    third = 4 if mode == "major" else 3
    degrees = [0, third, 7, 5, 5 + third, 12, 7, 11, 14, 0, third, 7, 0]
    found = symbolic.find_key(piece([60 + up + degree for degree in degrees]))

    assert (found.tonic, found.mode) == (up, mode)
    assert found.share > 0.9


def test_a_note_out_of_the_scale_counts_by_its_length():
    found = symbolic.find_key(piece([*C_MAJOR, 60, 64, 67, 61], lengths=[1] * 10 + [0.5]))

    assert (found.tonic, found.mode) == (0, "major")
    assert found.share == pytest.approx(10 / 10.5)


def test_all_twelve_alike_have_no_key():
    assert symbolic.find_key(piece(range(60, 72))).correlation == 0


def test_the_entropy_of_pitch_classes():
    assert symbolic.pitch_class_entropy(piece([60, 72, 48])) == 0
    assert symbolic.pitch_class_entropy(piece(range(60, 72))) == pytest.approx(np.log2(12))
    assert symbolic.pitch_class_entropy(piece([60, 60, 62, 64])) == pytest.approx(1.5)


def test_bars_with_the_same_rhythm_are_alike_and_others_by_their_places():
    beat = np.arange(4)
    same = piece([60] * 8, onsets=np.concatenate([beat, 4 + beat]))
    moved = piece([60] * 8, onsets=np.concatenate([beat, 4 + beat + 0.25]))

    assert symbolic.groove_similarity(same) == 1
    assert symbolic.groove_similarity(moved) == pytest.approx(1 - 8 / 16)
    assert symbolic.groove_similarity(piece([60, 62])) is None
    three = piece([60] * 3, onsets=[0, 4, 9])  # bars 1 and 2 alike, bar 3 on its second beat
    assert symbolic.groove_similarity(three) == pytest.approx(1 - (0 + 2 + 2) / 3 / 16)


def test_a_piece_that_repeats_itself_is_compressed_more():
    rng = np.random.default_rng(0)
    repeated, free = np.tile(rng.integers(48, 72, 8), 32), rng.integers(48, 72, 256)

    assert symbolic.compression_ratio(piece(repeated)) > 2 * symbolic.compression_ratio(piece(free))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (([], [], []), "at least one note"),
        (([0, 1], [1, 1], [60]), "differ in the number"),
        (([0], [0], [60]), "longer than 0"),
        (([np.nan], [1], [60]), "onset: give one finite number"),
    ],
)
def test_what_is_no_piece_is_refused(arrays, words):
    with pytest.raises(ValueError, match=words):
        Piece(*(np.array(values, dtype=float) for values in arrays))
