"""How good is a margin? Accuracy, calibration and log loss of predicted preferences. NumPy and SciPy only.

A margin is reward(a) - reward(b), a float [N]; its target is the credit of a, in [0, 1], with 0.5 a tie.
Read as a probability, P(a wins) = sigmoid(margin), and P(the predicted winner wins) = sigmoid(|margin|).

Accuracy and calibration are defined on decided pairs (target != 0.5) only, as in TuneJury (arXiv 2606.17006,
section 4.1 and appendix A); where there is none the answer is None, never NaN.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import expit

N_BINS = 10


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
