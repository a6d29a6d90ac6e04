"""How good is a margin, or a score? Accuracy, calibration, correlation, and which of two models is better.
NumPy and SciPy only.

A margin is reward(a) - reward(b), a float [N]; its target is the credit of a, in [0, 1], with 0.5 a tie.
Read as a probability, P(a wins) = sigmoid(margin), and P(the predicted winner wins) = sigmoid(|margin|).

Accuracy and calibration are defined on decided pairs (target != 0.5) only, as in TuneJury (arXiv 2606.17006,
section 4.1 and appendix A); where there is none the answer is None, never NaN.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import binomtest, chi2, kendalltau, rankdata

from annotations.proportions import wilson

N_BINS = 10
LEVEL = 0.95  # of intervals
TINY, STEPS = 1e-300, 10_000  # brentq is to stop at its relative tolerance alone
ROUNDING = 1e-12  # of a sum, relative to its parts

Labels = Sequence[Any] | np.ndarray  # [N], one per pair


@dataclass(frozen=True)
class ReliabilityBin:
    """One point of the reliability diagram: what was promised beside what was found.

    margin_low, margin_high: range of |margin| in the bin; confidence: mean sigmoid(|margin|);
    accuracy: share of its n pairs whose predicted winner won.
    """

    margin_low: float
    margin_high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class McNemar:
    """Two models on the same pairs: how many only a, and only b, got right, and the p-value of that being luck."""

    n_only_a: int
    n_only_b: int
    p_value: float


@dataclass(frozen=True)
class Temperature:
    """T in P(a wins) = sigmoid(margin / T), from n decided pairs: 1 is calibrated, more is overconfident.

    low, high: the interval; high is None where the pairs do not rule out that margins say nothing at all.
    """

    value: float
    low: float
    high: float | None
    n: int


@dataclass(frozen=True)
class GroupAccuracy:
    """Accuracy on the n_decided of the n pairs of a group, with its Wilson interval; None where none is decided."""

    n: int
    n_decided: int
    accuracy: float | None
    low: float | None
    high: float | None


def accuracy(margin: np.ndarray, target: np.ndarray) -> float | None:
    """Share of decided pairs whose preferred side has the larger reward; a margin of 0 counts half."""
    _, correct = _decided(margin, target)
    return float(correct.mean()) if correct.size else None


def log_loss(margin: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None) -> float | None:
    """Mean RankNet cross entropy in nats over all pairs, ties included; ln 2 = 0.693 is what knowing nothing
    scores.

    -t log sigmoid(m) - (1 - t) log sigmoid(-m), by logaddexp so that no margin overflows (Burges et al. 2005,
    eq. 3).
    """
    margin, target = _checked(margin, target)
    if not margin.size:
        return None
    loss = target * np.logaddexp(0.0, -margin) + (1.0 - target) * np.logaddexp(0.0, margin)
    return float(np.average(loss, weights=weight))


def reliability_bins(margin: np.ndarray, target: np.ndarray, n_bins: int = N_BINS) -> list[ReliabilityBin]:
    """Decided pairs, sorted by |margin|, in equal-count bins of n // n_bins; the last takes the rest.

    The binning of TuneJury appendix A; with fewer pairs than bins there is one bin. No decided pair: an empty
    list.
    """
    size, correct = _decided(margin, target)
    order = np.argsort(size, kind="stable")
    step = size.size // n_bins
    edges = [i * step for i in range(n_bins)] + [size.size]
    chunks = (order[low:high] for low, high in pairwise(edges))
    return [
        ReliabilityBin(
            margin_low=float(size[chunk].min()),
            margin_high=float(size[chunk].max()),
            n=int(chunk.size),
            confidence=float(expit(size[chunk]).mean()),
            accuracy=float(correct[chunk].mean()),
        )
        for chunk in chunks
        if chunk.size
    ]


def expected_calibration_error(margin: np.ndarray, target: np.ndarray, n_bins: int = N_BINS) -> float | None:
    """Mean |confidence - accuracy| over the reliability bins, weighted by their counts (Guo et al. 2017, eq.
    3).
    """
    bins = reliability_bins(margin, target, n_bins)
    if not bins:
        return None
    return sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / sum(b.n for b in bins)


def summarise(margin: np.ndarray, target: np.ndarray) -> dict[str, float | int | None]:
    """The figures stored with a reward model: accuracy and ece over n_decided pairs, log_loss over all n."""
    margin, target = _checked(margin, target)
    return {
        "n": int(margin.size),
        "n_decided": int((target != 0.5).sum()),
        "accuracy": accuracy(margin, target),
        "ece": expected_calibration_error(margin, target),
        "log_loss": log_loss(margin, target),
    }


def report(
    margin: np.ndarray,
    target: np.ndarray,
    *,
    source: Labels | None = None,
    systems: tuple[Labels, Labels] | None = None,
) -> dict[str, Any]:
    """`summarise`, and beside it all the rest as plain JSON: reliability (the diagram's bins), temperature, and
    where they are given by_source {source: ...} and by_system {system: ...}, as GroupAccuracy.

    source: [N] labels; systems: those of a and of b, two [N].
    """
    temperature_of = temperature(margin, target)
    found = {
        **summarise(margin, target),
        "reliability": [asdict(one) for one in reliability_bins(margin, target)],
        "temperature": temperature_of and asdict(temperature_of),
    }
    for name, labels in (("by_source", None if source is None else (source,)), ("by_system", systems)):
        if labels is not None:
            groups = accuracy_by(margin, target, *labels)
            found[name] = {str(label): asdict(group) for label, group in groups.items()}
    return found


def accuracy_by(margin: np.ndarray, target: np.ndarray, *labels: Labels) -> dict[Any, "GroupAccuracy"]:
    """{label: GroupAccuracy}, sorted by label. Each of `labels` is [N]; a pair belongs to every group that it has
    the label of, once: with the systems of a and of b it counts for both.
    """
    margin, target = _checked(margin, target)
    columns = [np.asarray(column) for column in labels]
    for column in columns:
        if column.shape != margin.shape:
            raise ValueError(f"labels must be [N] like the margins, not {list(column.shape)}")
    found = {}
    for label in sorted(set().union(*(column.tolist() for column in columns))):
        mine = np.any([column == label for column in columns], axis=0)
        _, correct = _decided(margin[mine], target[mine])
        share = float(correct.mean()) if correct.size else None
        low, high = wilson(float(correct.sum()), correct.size) or (None, None)
        found[label] = GroupAccuracy(int(mine.sum()), int(correct.size), share, low, high)
    return found


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> McNemar:
    """Is one of two models right more often on the same pairs? Exact and two-sided: of the pairs that only one of
    them got right, each model's share is Binomial(1/2) if they are equally good (McNemar 1947). No such pair: p = 1.

    correct_a, correct_b: bool (or 0 and 1) [N], pair by pair.
    """
    a, b = np.asarray(correct_a), np.asarray(correct_b)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"both models must be judged on the same pairs, [N]; not {list(a.shape)} and {list(b.shape)}")
    if not (np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()):
        raise ValueError("a pair was got right (1) or not (0); decide what a margin of 0 counts before you compare")
    only_a, only_b = int(np.sum((a == 1) & (b == 0))), int(np.sum((a == 0) & (b == 1)))
    n = only_a + only_b
    return McNemar(only_a, only_b, float(binomtest(only_a, n).pvalue) if n else 1.0)


def pearson(x: np.ndarray, y: np.ndarray) -> float | None:
    """Linear correlation of x and y, float [N], in [-1, 1]; None for fewer than 2 points or where one of them does
    not vary.
    """
    x, y = _two_columns(x, y)
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    x, y = (column / np.abs(column).max() for column in (x, y))  # so that no square overflows
    x, y = x - x.mean(), y - y.mean()
    size = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.clip(x @ y / size, -1.0, 1.0)) if size > 0 else None


def spearman(x: np.ndarray, y: np.ndarray) -> float | None:
    """Pearson's correlation of the ranks, equal values sharing the mean of theirs. None as for pearson."""
    x, y = _two_columns(x, y)
    return pearson(rankdata(x), rankdata(y))


def kendall(x: np.ndarray, y: np.ndarray) -> float | None:
    """Kendall's tau-b, which corrects for ties in x and in y (Kendall 1945). None as for pearson."""
    x, y = _two_columns(x, y)
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(kendalltau(x, y, variant="b").statistic)


def temperature(margin: np.ndarray, target: np.ndarray, level: float = LEVEL) -> Temperature | None:
    """T of P(a wins) = sigmoid(margin / T) by maximum likelihood on the decided pairs (Guo et al. 2017, section
    4.2), with the interval of T that a likelihood ratio test at 1 - level would not reject, pairs independent.

    None where no positive finite T is likeliest: no decided pair, margins that are never wrong (T would be 0), or
    that are wrong as often as right (T would be infinite, or negative).
    """
    size, correct = _decided(margin, target)
    unit = float(size.max(initial=0.0)) or 1.0
    signed = np.where(correct == 1, size, -size) / unit
    signed = signed[signed != 0]  # a margin of 0 says the same at every T
    # a sum that is rounding alone is none: at its T, all but infinite, nothing below would end
    if not (signed > 0).any() or not (signed < 0).any() or signed.sum() <= ROUNDING * np.abs(signed).sum():
        return None

    def loss(sharpness: float) -> float:  # the negative log likelihood of sharpness = unit / T, which is convex
        return float(np.logaddexp(0.0, -sharpness * signed).sum())

    def slope(sharpness: float) -> float:
        return float(-(signed * expit(-sharpness * signed)).sum())

    above = _first_above(lambda sharpness: slope(sharpness) > 0, start=1.0)
    best = brentq(slope, 0.0, above, xtol=TINY, maxiter=STEPS)
    allowed = loss(best) + chi2.ppf(level, 1) / 2

    def excess(sharpness: float) -> float:
        return loss(sharpness) - allowed

    above = _first_above(lambda sharpness: excess(sharpness) > 0, start=2 * best)
    sharpest = brentq(excess, best, above, xtol=TINY, maxiter=STEPS)
    bluntest = brentq(excess, 0.0, best, xtol=TINY, maxiter=STEPS) if excess(0.0) > 0 else None
    return Temperature(unit / best, unit / sharpest, bluntest and unit / bluntest, int(signed.size))


def _first_above(holds: Callable[[float], bool], start: float) -> float:
    value = start
    while not holds(value):
        value *= 2
    return value


def _two_columns(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"x and y must both be [N], not {list(x.shape)} and {list(y.shape)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("x or y holds NaN or infinite values: leave out what has no score, and say how many")
    return x, y


def _decided(margin: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """|margin| and correctness (1, 0, or 0.5 for a margin of 0) of the pairs that are not ties."""
    margin, target = _checked(margin, target)
    margin, target = margin[target != 0.5], target[target != 0.5]
    return np.abs(margin), 0.5 + 0.5 * np.sign(margin) * np.sign(target - 0.5)


def _checked(margin: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    margin, target = np.asarray(margin, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if margin.ndim != 1 or margin.shape != target.shape:
        raise ValueError(f"margin and target must both be [N], not {list(margin.shape)} and {list(target.shape)}")
    if not np.isfinite(margin).all():
        raise ValueError("a margin is NaN or infinite: find the clip whose reward is not a number")
    if not ((target >= 0) & (target <= 1)).all():
        raise ValueError("a target lies outside [0, 1]: it is the credit of a, 1 for a win, 0.5 for a tie")
    return margin, target
