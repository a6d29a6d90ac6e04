"""Distances and diversity of sets of embeddings, against closed forms, matrix square roots, and sums over all pairs."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist, pdist

from scoring.metrics import diversity, frechet, kernel_distance
from scoring.metrics.mauve import area, mauve


def clips(n=60, width=8, seed=0, mean=0.0, spread=1.0):
    return np.random.default_rng(seed).normal(mean, spread, (n, width))


def frechet_of(a, b):
    return frechet.distance(frechet.gaussian(a), frechet.gaussian(b))


def with_matrix_square_root(a, b):
    """The distance as the public fadtk computes it."""
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(cov_a @ cov_b)
    return np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a + cov_b - 2 * np.real(root))


def test_the_frechet_distance_equals_the_one_by_a_matrix_square_root():
    mix = clips(8, 8, seed=5)
    a, b = clips(200, 8, seed=1) @ mix, clips(150, 8, seed=2, mean=0.3)

    assert frechet_of(a, b) == pytest.approx(with_matrix_square_root(a, b), abs=1e-9)


def test_the_frechet_distance_of_gaussians_with_diagonal_covariances_has_its_closed_form():
    """|difference of means|^2 + sum (spread_a - spread_b)^2, of sets whose covariance is exactly diagonal."""
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt(3 / 4)
    a, b = corners * [1, 2], corners * [3, 5] + [0.5, 0]

    assert frechet_of(a, b) == pytest.approx(0.25 + 2**2 + 3**2, abs=1e-12)


def test_the_frechet_distance_of_fewer_clips_than_dimensions_is_exact():
    """Both sets lie in three dimensions of fifty: the distance is that of the three."""
    three, turned = np.eye(3, 50), np.linalg.qr(clips(50, 50, seed=3))[0]
    a, b = clips(20, 3, seed=1), clips(30, 3, seed=2, mean=1)

    assert frechet_of(a @ three @ turned, b @ three @ turned) == pytest.approx(frechet_of(a, b), abs=1e-10)


def test_the_frechet_distance_of_a_set_to_itself_is_zero_and_never_below():
    for seed in range(5):
        a = clips(12, 40, seed=seed)
        assert 0 <= frechet_of(a, a) < 1e-10


def test_few_clips_of_one_distribution_are_apart_but_not_at_infinity():
    reference = frechet.gaussian(clips(20_000, 8, seed=10))
    few = clips(200, 8, seed=11)

    found = frechet.at_infinity(few, reference, np.random.default_rng(1))

    assert frechet.distance(frechet.gaussian(few), reference) > 0.04
    assert abs(found.value) < 0.04 and found.slope > 0 and found.r_squared > 0.8
    assert found.points[-1][0] == 200 and len(found.points) == frechet.SIZES


def test_songs_are_told_from_the_reference_one_by_one():
    reference = frechet.gaussian(clips(500, 8))
    near, far = frechet.per_song([clips(40, 8, seed=4), clips(40, 8, seed=4, mean=2)], reference)

    assert far > near + 25  # a shift of 2 in each of 8 dimensions adds 32


def test_the_kernel_distance_equals_the_sum_over_all_pairs(monkeypatch):
    monkeypatch.setattr(kernel_distance, "ROWS", 7)  # several blocks, the last one smaller
    x, y = clips(30, 4, seed=1, mean=0.5), clips(25, 4, seed=2)
    h = kernel_distance.median_distance(y)

    def mean(distances):
        return np.exp(-np.square(distances) / (2 * h * h)).mean()

    assert kernel_distance.distance(x, y) == pytest.approx(
        100 * (mean(pdist(x)) + mean(pdist(y)) - 2 * mean(cdist(x, y)))
    )


def test_the_kernel_distance_of_one_distribution_is_zero_on_average():
    values = [kernel_distance.distance(clips(30, 4, seed=s), clips(30, 4, seed=1000 + s)) for s in range(200)]

    assert abs(np.mean(values)) < 5 * np.std(values) / np.sqrt(200)
    assert min(values) < 0


def test_mauve_of_equal_shares_is_one_and_of_shares_apart_near_zero():
    p = np.array([0.2, 0.3, 0.5])

    assert area(p, p) == pytest.approx(1)
    assert area(np.array([1.0, 0.0]), np.array([0.0, 1.0])) < 0.01


def test_mauve_of_two_clusters_is_the_area_below_its_curve():
    """The same curve with a thousand weights, integrated over the other axis."""
    p, q, c = np.array([0.7, 0.3]), np.array([0.4, 0.6]), 5.0
    w = np.linspace(1e-9, 1 - 1e-9, 1001)[:, None]
    r = w * p + (1 - w) * q
    x, y = (np.exp(-c * (s * np.log(s / r)).sum(axis=1)) for s in (q, p))
    below = abs(np.trapezoid(y, x)) + x[-1] * (1 + y[-1]) / 2  # the curve goes on to (0, 1)

    assert area(p, q) == pytest.approx(below, abs=2e-3)
    assert area(p, q) == pytest.approx(area(q, p), abs=1e-12)


def test_mauve_tells_a_shifted_set_and_repeats_itself():
    reference = clips(300, 6, seed=1, mean=1)
    same, other = clips(300, 6, seed=2, mean=1), clips(300, 6, seed=3, mean=-1)

    assert mauve(same, reference).value > 0.9
    assert mauve(other, reference).divergence > 2
    assert mauve(same, reference).value == mauve(same, reference).value
    assert mauve(same, reference).shares.sum(axis=1) == pytest.approx(1)


def test_the_mean_cosine_distance_equals_the_sum_over_all_pairs():
    x = clips(25, 6)

    assert diversity.mean_pairwise_cosine_distance(x) == pytest.approx(pdist(x, "cosine").mean())
    assert diversity.mean_pairwise_cosine_distance(np.ones((5, 3))) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("width", [3, 40])
def test_the_vendi_score_counts_different_clips(width):
    groups = np.repeat(np.eye(3, width), 4, axis=0)

    assert diversity.vendi_score(groups) == pytest.approx(3)
    assert diversity.vendi_score(np.ones((6, width))) == pytest.approx(1)


def test_the_cosine_of_clip_and_prompt_is_taken_row_by_row():
    audio, text = np.array([[2.0, 0], [1, 1], [0, -3]]), np.array([[1.0, 0], [1, 0], [0, 1]])

    assert diversity.text_audio_cosine(audio, text) == pytest.approx([1, np.sqrt(0.5), -1])


def test_the_inception_score_is_the_number_of_classes_that_are_told_apart():
    assert diversity.inception_score(np.eye(4)) == pytest.approx(4)
    assert diversity.inception_score(np.full((6, 4), 0.25)) == pytest.approx(1)
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    mean = p.mean(axis=0)
    assert diversity.inception_score(p) == pytest.approx(np.exp((p * np.log(p / mean)).sum(axis=1).mean()))


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        (lambda: frechet.gaussian(np.ones((1, 3))), "needs 2 or more"),
        (lambda: frechet.gaussian(np.ones(3)), "one row per clip"),
        (lambda: frechet.gaussian(np.array([[1, np.nan], [0, 0]])), "NaN"),
        (lambda: frechet_of(clips(5, 3), clips(5, 4)), "width 3 beside a reference of width 4"),
        (lambda: kernel_distance.distance(clips(5, 3), clips(5, 4)), "width 3 beside a reference of width 4"),
        (lambda: kernel_distance.distance(clips(5, 3), np.ones((9, 3))), "have no scale"),
        (lambda: kernel_distance.distance(clips(5, 3), clips(5, 3), bandwidth=0), "bandwidth 0"),
        (lambda: mauve(clips(9, 3), clips(50, 3)), "needs 10 or more"),
        (lambda: area(np.array([0.5, 0.6]), np.array([0.5, 0.5])), "two distributions"),
        (lambda: diversity.vendi_score(np.zeros((3, 3))), "row 0 is all zeros"),
        (lambda: diversity.text_audio_cosine(clips(3, 3), clips(4, 3)), "one prompt per clip"),
        (lambda: diversity.inception_score(np.array([[0.5, 0.4], [0.5, 0.5]])), "the sum 1"),
        (
            lambda: frechet.at_infinity(clips(5), frechet.gaussian(clips(5)), np.random.default_rng()),
            "20 or more",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(measure, words):
    with pytest.raises(ValueError, match=words):
        measure()
