"""An attacker who has everything that was observed of many battles and looks for whatever tells a label.

Everything observed becomes columns: a text its whole, its fragments and its place in the alphabet, a number its rank
and its tenth of the ranks, so that no unit, outlier or monotone scale matters. Two classifiers look at them: ridge
regression onto the labels, linear in the columns, and the same in all products of two of a text's columns, for what
only tells together. Each listener's battles are judged by a fit to other listeners' (cross-validation by group).

Whether they do better than chance is decided by permutation: the caller says how the labels could have fallen as
well if nothing told them, and p is the share of those worlds in which the attacker does at least as well (Ojala and
Garriga, "Permutation tests for studying classifier performance", JMLR 11, 2010, test 1). Well is the accuracy or the
mean score of the true label, which also sees what tells a few labels surely, of the better classifier, each in
standard deviations over the worlds. Given the columns, both classifiers are linear in the labels up to the last step,
so a thousand worlds cost one matrix product.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

FOLDS = 6
RIDGE = 0.3  # in units of the mean squared length of a row
FEWEST = 1 / 20  # a column is worth a look if it sets apart this share of the rows from as many others or more
N_TENTHS = 10


@dataclass(frozen=True)
class Verdict:
    """accuracy: balanced (the mean over labels of the share recognised) of the better classifier; chance: its mean
    over the shuffled worlds; p: of doing so well by chance."""

    accuracy: float
    chance: float
    p: float


def tell(observations: list[dict], labels, groups, shuffles) -> Verdict:
    """How well the observations tell the labels.

    observations: n of {name: text or number}. labels: int [n], 0 to k - 1. groups: int [n], held out together.
    shuffles: int [P, n], the labels of P worlds in which nothing tells them; each has every label as often.
    """
    labels, worlds = np.asarray(labels), np.vstack([[labels], shuffles])
    if (np.sort(worlds, axis=1) != np.sort(labels)).any():
        raise ValueError("A shuffle must have every label as often as there are.")
    texts, numbers = columns_of(observations)
    kernels = kernel_of(np.hstack([texts, numbers])), kernel_of(texts) ** 2
    measured = np.array([m for kernel in kernels for m in measures(smoother(kernel, groups), worlds)])  # [4, 1 + P]
    spread = np.maximum(measured.std(axis=1, keepdims=True), 1e-12)
    observed, *by_chance = ((measured - measured.mean(axis=1, keepdims=True)) / spread).max(axis=0)
    at_least = sum(score >= observed - 1e-9 for score in by_chance)
    accuracy = measured[::2].max(axis=0)
    return Verdict(float(accuracy[0]), float(accuracy[1:].mean()), (1 + at_least) / (1 + len(by_chance)))


def measures(smooth, worlds):
    """Of predicting each row's label as the one most above its share in the smoothed labels: the balanced accuracy,
    and the mean score of the true label; float [W] each."""
    shares = np.bincount(worlds[0]) / worlds.shape[1]
    truth = worlds.T[:, :, None] == np.arange(len(shares))  # [n, W, k]
    scores = (smooth @ (truth / shares - 1).reshape(len(smooth), -1)).reshape(truth.shape)
    hits = truth & (scores.argmax(axis=2)[:, :, None] == np.arange(len(shares)))
    return [((one * truth).sum(axis=0) / truth.sum(axis=0)).mean(axis=1) for one in (hits, scores)]


def smoother(kernel, groups):
    """float [n, n]: what takes labels to their cross-validated ridge predictions; zero within a fold."""
    _, number = np.unique(groups, return_inverse=True)
    fold = np.random.default_rng(0).permutation(number.max() + 1)[number] % FOLDS
    ridge = RIDGE * max(np.trace(kernel) / len(kernel), 1e-9)
    smooth = np.zeros_like(kernel)
    for held_out in range(FOLDS):
        test, train = np.flatnonzero(fold == held_out), np.flatnonzero(fold != held_out)
        regularised = kernel[np.ix_(train, train)] + ridge * np.eye(len(train))
        smooth[np.ix_(test, train)] = np.linalg.solve(regularised, kernel[np.ix_(train, test)]).T
    return smooth


# ---- columns ------------------------------------------------------------------------------------------


def columns_of(observations):
    """float [n, d] and [n, e]: the columns of texts and those of numbers, of mean 0 and variance 1."""
    indicators, numbers = defaultdict(set), defaultdict(dict)
    for row, observation in enumerate(observations):
        for name, value in observation.items():
            for column in texts_in(name, value):
                indicators[column].add(row)
            for column, number in numbers_in(name, value):
                numbers[column][row] = number
    n = len(observations)
    texts = [_indicator(list(rows), n) for rows in indicators.values() if FEWEST * n <= len(rows) <= n - FEWEST * n]
    return _standardised(texts, n), _standardised([c for column in numbers.values() for c in _of_numbers(column, n)], n)


def _standardised(columns, n):
    columns = np.unique(np.array(columns).reshape(-1, n), axis=0)  # many say the same
    columns = columns[columns.std(axis=1) > 0].T
    return (columns - columns.mean(axis=0)) / columns.std(axis=0)


def kernel_of(columns):
    return columns @ columns.T / max(columns.shape[1], 1)


def texts_in(name, value):
    """A text as columns: itself, and its fragments wherever they stand."""
    if isinstance(value, str):
        yield f"{name}={value}"
        for fragment in set(re.findall(r"[A-Za-z0-9_]+", value)):
            yield f"{name}~{fragment}"


def numbers_in(name, value):
    """A number as itself; a text as its length, its place in the alphabet, and the number that it may be."""
    if isinstance(value, str):
        yield f"len {name}", len(value)
        yield f"order {name}", int.from_bytes(value.encode()[:64].ljust(64, b"\0"), "big")
        if re.fullmatch(r"-?\d{1,15}(\.\d{1,9})?", value):
            yield name, float(value)
    elif value is not None:
        yield name, value


def _indicator(rows, n):
    column = np.zeros(n)
    column[rows] = 1
    return column


def _of_numbers(values, n):
    """Rank and tenths of ranks; a row without the number is in none and in the middle."""
    ranks = _ranks(list(values.values()))
    rows = np.array(list(values))
    rank = np.full(n, 0.5)
    rank[rows] = ranks
    tenths = np.minimum((ranks * N_TENTHS).astype(int), N_TENTHS - 1)
    return [rank, *(_indicator(rows[tenths == tenth], n) for tenth in set(tenths))]


def _ranks(values):
    """float [n] in (0, 1): mid-ranks, equal values having equal ones. Whole numbers of any size are compared whole."""
    counts = Counter(values)
    below, rank = 0, {}
    for value in sorted(counts):
        rank[value] = (below + counts[value] / 2) / len(values)
        below += counts[value]
    return np.array([rank[value] for value in values])
