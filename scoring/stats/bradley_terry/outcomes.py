"""Ratings where a tie, or that both are bad, is an answer of its own instead of half a win or nothing.

Both models are made of sums of exponentials: log P(answer) is linear in (theta_a, theta_b, eta) plus and minus
log-sum-exps of linear terms. So a model is a table of numbers below, and one piece of arithmetic gives
probabilities, gradients and Hessians of every answer without ever taking a difference of probabilities.

With phi = e^theta, for a vote on a and b:

- Davidson, ties:      P(a) = phi_a / Z, P(tie) = nu sqrt(phi_a phi_b) / Z, Z = phi_a + phi_b + nu sqrt(phi_a phi_b),
  nu = e^eta. Davidson (1970), J. Amer. Stat. Assoc. 65.
- Grounded Rao-Kupper: P(a) = phi_a / D_ab, D_ab = phi_a + lambda phi_b + 1, P(both bad) = 1 / S, S = 1 + phi_a + phi_b,
  P(tie) = 1 - P(a) - P(b) - P(both bad), lambda = 1 + e^eta. Frick et al. (2025), Prompt-to-Leaderboard,
  arXiv 2502.14855, section 2.2, after Rao & Kupper (1967), J. Amer. Stat. Assoc. 62. Both are always a distribution:
  P(tie) = e^eta phi_a phi_b (D_ab + D_ba) / (S D_ab D_ba) > 0, where D_ab + D_ba = 2 + (2 + e^eta) (phi_a + phi_b).
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError

from . import groups, newton, sums
from .results import Fit, Floats, Ints, Labels, NoFiniteEstimate, NotOffered, reach
from .votes import BOTH_BAD, Votes, check

LOG2 = np.log(2.0)
Term = tuple[float, tuple[float, float, float]]  # (constant, coefficients of theta_a, theta_b, eta)


@dataclass(frozen=True)
class Model:
    """log P(answer) = linear[answer] @ (theta_a, theta_b, eta) + signs[answer] @ log-sum-exps.

    answers: name and outcome of each. sums: of each log-sum-exp the (constant, coefficients [3]) of its terms.
    grounded: the ratings have a zero of their own, so nothing has to be held fixed.
    """

    answers: dict[str, float]
    linear: Floats
    signs: Floats
    sums: Sequence[Sequence[Term]] = field(repr=False)
    grounded: bool

    def log_probabilities(self, at: Floats) -> Floats:
        """[Y, C] for at [3, C]: theta_a, theta_b, eta of each curve."""
        return self.linear @ at + self.signs @ np.stack([self._sum(terms, at)[0] for terms in self.sums])

    def derivatives(self, at: Floats) -> tuple[Floats, Floats, Floats]:
        """(log P [Y, C], gradients [Y, 3, C], Hessians [Y, 3, 3, C])."""
        bent = [self._bent(terms, at) for terms in self.sums]
        values, slopes, bends = (np.stack(parts) for parts in zip(*bent, strict=True))
        gradient = self.linear[:, :, None] + np.tensordot(self.signs, slopes, 1)
        return self.linear @ at + self.signs @ values, gradient, np.tensordot(self.signs, bends, 1)

    @staticmethod
    def _sum(terms: Sequence[Term], at: Floats) -> tuple[Floats, Floats, Floats]:
        """(log sum exp [C], each term's share of it [m, C], coefficients [m, 3])."""
        constant, slope = np.array([one for one, _ in terms]), np.array([one for _, one in terms])
        exponent = constant[:, None] + slope @ at
        top = exponent.max(axis=0)
        share = np.exp(exponent - top)
        total = share.sum(axis=0)
        return top + np.log(total), share / total, slope

    def _bent(self, terms: Sequence[Term], at: Floats) -> tuple[Floats, Floats, Floats]:
        value, share, slope = self._sum(terms, at)
        mean = slope.T @ share
        bend = np.einsum("mi,mj,mc->ijc", slope, slope, share) - mean[:, None] * mean
        return value, mean, bend


A, B, ONE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0)
HALVES = (0.5, 0.5, 1.0)  # eta + (theta_a + theta_b) / 2

DAVIDSON = Model(
    answers={"a": 1.0, "b": 0.0, "tie": 0.5},
    linear=np.array([A, B, HALVES]),
    signs=np.array([[-1.0], [-1.0], [-1.0]]),
    sums=[[(0, A), (0, B), (0, HALVES)]],
    grounded=False,
)
GROUNDED = Model(
    answers={"a": 1.0, "b": 0.0, "tie": 0.5, "both_bad": BOTH_BAD},
    linear=np.array([A, B, (1.0, 1.0, 1.0), ONE]),
    signs=np.array([[-1.0, 0, 0, 0], [0, -1.0, 0, 0], [-1.0, -1.0, -1.0, 1.0], [0, 0, -1.0, 0]]),
    sums=[
        [(0, A), (0, B), (0, (0.0, 1.0, 1.0)), (0, ONE)],  # D_ab
        [(0, B), (0, A), (0, (1.0, 0.0, 1.0)), (0, ONE)],  # D_ba
        [(0, ONE), (0, A), (0, B)],  # S
        [(LOG2, ONE), (LOG2, A), (LOG2, B), (0, (1.0, 0.0, 1.0)), (0, (0.0, 1.0, 1.0))],  # D_ab + D_ba
    ],
    grounded=True,
)


@dataclass(frozen=True, eq=False)
class OutcomeFit(Fit):
    """Ratings, and how readily raters tie: eta, with nu = e^eta (Davidson) or lambda = 1 + e^eta (grounded).

    joint_covariance: [n + 1, n + 1] of the ratings and eta.
    """

    eta: float
    joint_covariance: Floats
    model: Model

    @property
    def eta_stderr(self) -> float:
        return float(np.sqrt(self.joint_covariance[-1, -1]))

    def eta_interval(self, level: float = 0.95) -> tuple[float, float]:
        """(low, high), as the ratings' `interval`."""
        half = float(reach(np.array(self.eta_stderr), self.g_eff, level))
        return self.eta - half, self.eta + half

    def probabilities(self, a: ArrayLike, b: ArrayLike) -> dict[str, Floats]:
        """{answer: [C]} for votes on systems a [C] and b [C], given as indices."""
        a, b = np.atleast_1d(a), np.atleast_1d(b)
        at = np.stack([self.theta[a], self.theta[b], np.full(a.size, self.eta)])
        return dict(zip(self.model.answers, np.exp(self.model.log_probabilities(at)), strict=True))


def fit_davidson(
    a: ArrayLike,
    b: ArrayLike,
    outcome: ArrayLike,
    n_systems: int,
    *,
    weight: ArrayLike | None = None,
    cluster: Labels | None = None,
    l2: float = 0.05,
) -> OutcomeFit:
    """Fit Davidson's model of ties. outcome: 1 (a won), 0 (b won) or 0.5 (tie); the rest is as for `fit`, with l2 > 0.

    Ratings sum to zero within each connected group. The ridge acts on theta, not on eta.
    Raises NotOffered without any tie or any other vote; ValueError for input that cannot be meant.
    """
    return _fit(DAVIDSON, a, b, outcome, n_systems, weight, cluster, l2)


def fit_grounded(
    a: ArrayLike,
    b: ArrayLike,
    outcome: ArrayLike,
    n_systems: int,
    *,
    weight: ArrayLike | None = None,
    cluster: Labels | None = None,
    l2: float = 0.05,
) -> OutcomeFit:
    """Fit the grounded Rao-Kupper model. outcome: 1 (a won), 0 (b won), 0.5 (tie) or BOTH_BAD; l2 > 0.

    The ratings have an absolute zero and are not centred: two systems at 0 are both bad in a third of their votes, and
    systems that never met can be compared. A system without votes is at 0, where the ridge holds it, with stderr
    1 / sqrt(2 l2). The likelihood is not convex everywhere; from the start used here Newton's method has found
    the lowest minimum in every case we know of.
    Raises NotOffered without any tie, any BOTH_BAD or any win; ValueError for input that cannot be meant.
    """
    return _fit(GROUNDED, a, b, outcome, n_systems, weight, cluster, l2)


def _fit(
    model: Model,
    a: ArrayLike,
    b: ArrayLike,
    outcome: ArrayLike,
    n_systems: int,
    weight: ArrayLike | None,
    cluster: Labels | None,
    l2: float,
) -> OutcomeFit:
    n_systems = operator.index(n_systems)
    if not (np.isfinite(l2) and l2 > 0):
        raise ValueError(f"l2 is a finite number above 0 for this model, not {l2}")
    votes = check(a, b, outcome, n_systems, weight, cluster, both_bad=True)
    if not model.grounded and (votes.outcome == BOTH_BAD).any():
        raise ValueError("this model has no answer BOTH_BAD: leave such votes out, or fit the grounded model")
    objective = _Objective.of(model, votes, l2)
    _require_every_answer(model, objective.counts)
    met = objective.a, objective.b
    label = np.zeros(n_systems, int) if model.grounded else groups.components(n_systems, *met, "weak")
    gauge = groups.Gauge.none(n_systems + 1) if model.grounded else groups.Gauge.of(label, None, free=1)
    try:
        at, converged = newton.minimise(objective, objective.start(), gauge)
        entries = objective.scores(at, votes)
        meat, g_eff = sums.meat(votes.a, votes.b, n_systems, entries, votes.weight, votes.cluster)
        covariance = newton.sandwich(objective, at, gauge, meat, objective.ridge)
        if not (np.isfinite(at).all() and np.isfinite(covariance).all()):
            raise LinAlgError("overflow")
    except LinAlgError as error:
        reason = f"the votes hold too little information for l2 = {l2} ({error})"
        raise NoFiniteEstimate(groups.members(label), reason) from error
    n, joined = n_systems, groups.members(label)
    about = votes.outcome.size, converged, g_eff, joined
    return OutcomeFit(at[:n], covariance[:n, :n], *about, float(at[n]), covariance, model)


def _require_every_answer(model: Model, counts: Floats) -> None:
    seen = dict(zip(model.answers, counts.sum(axis=1) > 0, strict=True))
    missing = {"win": seen["a"] or seen["b"], **{name: seen[name] for name in model.answers if name not in "ab"}}
    if absent := [name for name, there in missing.items() if not there]:
        what = {"win": "win", "tie": "tie", "both_bad": "vote BOTH_BAD"}
        named = " and no ".join(what[name] for name in absent)
        raise NotOffered(f"there is no {named} among the votes, so this model has no finite estimate")


# --- the function to minimise, its gradient and its curvature ---


@dataclass(frozen=True, eq=False)
class _Objective:
    """counts: [Y, C] weight of each answer at each curve, an ordered pair (a, b) of systems.

    curve, answer: [V] of each vote.
    """

    model: Model
    n: int
    a: Ints
    b: Ints
    counts: Floats
    curve: Ints
    answer: Ints
    l2: float

    @classmethod
    def of(cls, model: Model, votes: Votes, l2: float) -> "_Objective":
        n, codes = votes.n, list(model.answers.values())
        answer = np.zeros(votes.outcome.size, dtype=np.intp)
        for code, value in enumerate(codes):
            answer[votes.outcome == value] = code
        pair = votes.a * n + votes.b
        counts = np.bincount(answer * (n * n) + pair, votes.weight, len(codes) * n * n).reshape(len(codes), n * n)
        (kept,) = np.nonzero(counts.sum(axis=0))
        row = np.zeros(n * n, dtype=np.intp)
        row[kept] = np.arange(kept.size)
        return cls(model, n, kept // n, kept % n, counts[:, kept].astype(float), row[pair], answer, l2)

    @property
    def ridge(self) -> Floats:
        """[n + 1]: 1 for the ratings, 0 for eta."""
        return np.append(np.ones(self.n), 0.0)

    def start(self) -> Floats:
        """Equal systems, with eta where equal systems would tie as often as was seen."""
        by_answer = dict(zip(self.model.answers, self.counts.sum(axis=1), strict=True))
        ratio = np.log(by_answer["tie"]) - np.log(by_answer["a"] + by_answer["b"])
        return np.append(np.zeros(self.n), ratio + LOG2)

    def value(self, at: Floats) -> float:
        log_p, theta = self.model.log_probabilities(self._local(at)), at[: self.n]
        return float(self.l2 * (theta @ theta) - (self.counts * log_p).sum())

    def gradient(self, at: Floats) -> Floats:
        _, gradient, _ = self.model.derivatives(self._local(at))
        entries = -np.einsum("yc,yic->ic", self.counts, gradient)
        return sums.vector(self.a, self.b, self.n, entries) + 2 * self.l2 * self.ridge * at

    def hessian(self, at: Floats) -> Floats:
        _, _, bend = self.model.derivatives(self._local(at))
        return self._curvature(-np.einsum("yc,yijc->ijc", self.counts, bend))

    def safe_curvature(self, at: Floats) -> Floats:
        """The expected information, which is never negative."""
        log_p, gradient, _ = self.model.derivatives(self._local(at))
        expected = self.counts.sum(axis=0) * np.exp(log_p)
        return self._curvature(np.einsum("yc,yic,yjc->ijc", expected, gradient, gradient))

    def reach(self, step: Floats) -> float:
        return float(2 * np.abs(step).max())

    def scores(self, at: Floats, votes: Votes) -> list[Floats]:
        """[3] of [V]: the weighted derivatives of each vote's log-likelihood by theta_a, theta_b and eta."""
        _, gradient, _ = self.model.derivatives(self._local(at))
        return [votes.weighed(gradient[self.answer, i, self.curve]) for i in range(3)]

    def _local(self, at: Floats) -> Floats:
        return np.stack([at[self.a], at[self.b], np.full(self.a.size, at[self.n])])

    def _curvature(self, block: Floats) -> Floats:
        total = sums.matrix(self.a, self.b, self.n, 1, lambda i, j: block[i, j])
        return total + 2 * self.l2 * np.diag(self.ridge)
