"""Ratings from votes and, beside them, from a reward model's opinion of the pairs that nobody voted on.

One idea: within a pair of systems, the model says by how much the clips that were voted on differ from the others, and
that much of the votes' luck is taken out. The loss is

    L_votes(theta) + power (L_unvoted(theta) - L_voted(theta)) + l2 ||theta||^2,

each L a cross-entropy of credits against sigmoid(theta_a - theta_b): of the votes' credits, of the model's credits for
clip pairs without a vote, and of its credits for the very votes. Unvoted pairs weigh, system pair by system pair, as
much as the votes that have a model's credit. The log-partition of the two model terms then cancels exactly, and what
is left is the board's own fit with a corrected credit of each system pair:

    mean vote + power * share * (mean model credit of the unvoted - mean model credit of the voted pairs).

What it estimates is therefore what the board estimates, whatever the model is worth: with more and more votes both
converge to argmin sum_ab pi_ab CE(E[vote on ab], sigmoid(theta_a - theta_b)), pi the study's own system pairs, ties
half a win; the ridge is the board's (the same l2 on the same scale) and vanishes in that limit. This needs that, given
the two systems, which clips were voted on does not hang on the model's opinion of them, and that the model has not been
trained on these votes; it does not need a good model. A bad one gets a power near 0. A vote BOTH_BAD, which the board
leaves out, is not left out by chance: its clips are closer than others. So it stands among the voted pairs of the
model's terms all the same, and only its own credit does not count.

The power in [0, 1] minimises the plug-in variance, summed over the ratings. The covariance is a sandwich: the votes'
part clustered by rater, as on the board, plus power^2 times that of the unvoted pairs, clustered by prompt, whose
pairs share clips. A system's bias moves the credits of voted and unvoted pairs alike and cancels but for curvature:
plain reward differences do, so that nothing here is fitted to votes and nothing needs cross-fitting.

Sources: Angelopoulos et al. (2023), arXiv 2301.09633 (the loss); Angelopoulos, Duchi & Zrnic (2023), PPI++, arXiv
2311.01453, sections 3 and 6 (convexity, covariance, power tuning); Boyeau et al. (2024), AutoEval, arXiv 2403.07008,
section 3 (Bradley-Terry). Cross-fitting where one model saw the votes: Zrnic & Candès (2023), arXiv 2309.16598.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from scoring.stats.bradley_terry import BOTH_BAD, Fit, fit, groups, newton, sums
from scoring.stats.bradley_terry.results import Floats, Ints, Labels
from scoring.stats.bradley_terry.votes import Votes, check, codes, floats

FEWEST_UNVOTED = 2  # clip pairs of a system pair: one alone shows no spread


@dataclass(frozen=True, eq=False)
class PoweredFit(Fit):
    """Ratings of votes and rewards, and the same ratings from the votes alone. Intervals: Student t, the raters'.

    power: lambda, how much of the model's correction is used. votes_only: the board's fit. n_predicted: votes with a
    model's credit in system pairs with unvoted clip pairs; n_unvoted: such clip pairs. correlation: of vote and model's
    credit within system pairs, over those votes; None where one of them does not vary.
    """

    power: float
    votes_only: Fit
    n_predicted: int
    n_unvoted: int
    correlation: float | None

    @property
    def width_ratio(self) -> Floats:
        """[n] width of each interval against the votes' alone; 1 where neither has any."""
        alone = self.votes_only.stderr
        return np.divide(self.stderr, alone, out=np.ones_like(alone), where=alone > 0)


def fit_prediction_powered(
    a: ArrayLike,
    b: ArrayLike,
    outcome: ArrayLike,
    predicted: ArrayLike,
    unvoted_a: ArrayLike,
    unvoted_b: ArrayLike,
    unvoted_predicted: ArrayLike,
    n_systems: int,
    *,
    l2: float,
    has_prediction: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    cluster: Labels | None = None,
    unvoted_cluster: Labels | None = None,
    power: float | None = None,
) -> PoweredFit:
    """Fit ratings to V votes and to a model's credits of them and of N clip pairs without a vote; see the module.

    a, b, outcome, weight, cluster: [V], as for `bradley_terry.fit`; an outcome may be BOTH_BAD, see the module.
    predicted: float [V] in [0, 1], the model's credit to a; read only where has_prediction (bool [V], default all).
    unvoted_a, unvoted_b: int [N] systems; unvoted_predicted: float [N] in [0, 1]; unvoted_cluster: [N] labels, the
    prompts; each pair its own without.
    l2 > 0: corrected credits may lie outside [0, 1], and the ridge is what gives every input an answer.
    power: held at this value instead of tuned.

    A vote whose system pair has fewer than 2 unvoted clip pairs counts without the model. Raises ValueError for input
    that cannot be meant. Never NaN or inf.
    """
    _check_settings(l2, power)
    size = len(np.asarray(outcome))
    weight = np.ones(size) if weight is None else floats("weight", weight, size, 0)
    rated = np.asarray(outcome) != BOTH_BAD
    outcome = np.where(rated, outcome, 0.5)
    alone = fit(a, b, outcome, n_systems, weight=weight * rated, cluster=cluster, l2=l2)
    credit, has_credit = _credits(predicted, has_prediction, size)
    votes, counts = check(a, b, outcome, n_systems, weight, cluster), weight > 0
    credit, has_credit, human = credit[counts], has_credit[counts], votes.weights * rated[counts]
    unvoted = _unvoted(unvoted_a, unvoted_b, unvoted_predicted, n_systems, unvoted_cluster)
    model = _Correction.of(votes, human, credit, has_credit, unvoted)

    gauge = groups.Gauge.of(_labels(alone.groups, n_systems), None)
    if power is None:
        power = _tuned(votes, human, model, alone.theta, l2, gauge)
    objective = _Objective.of(votes, human, power * model.deviation, l2)
    theta, converged = newton.minimise(objective, alone.theta, gauge)
    return PoweredFit(
        theta,
        _covariance(objective, theta, gauge, votes, human, model, power),
        alone.n_votes,
        converged,
        alone.g_eff,
        alone.groups,
        float(power),
        alone,
        int(model.used.sum()),
        model.n_unvoted,
        _correlation(votes, human, credit, model.used),
    )


def _check_settings(l2: float, power: float | None) -> None:
    if not (np.isfinite(l2) and l2 > 0):
        raise ValueError(f"l2 is a finite number above 0 here, not {l2}")
    if power is not None and not 0 <= power <= 1:
        raise ValueError(f"power is a number between 0 and 1, not {power}")


def _credits(predicted: ArrayLike, has_prediction: ArrayLike | None, size: int) -> tuple[Floats, NDArray[np.bool_]]:
    """[V] the model's credit of each vote's clips, a half where it has none, and [V] whether it has one."""
    has = np.ones(size, dtype=bool) if has_prediction is None else np.asarray(has_prediction, dtype=bool)
    if has.shape != (size,):
        raise ValueError(f"has_prediction has shape {has.shape}, but there are {size} outcomes")
    return floats("predicted", np.where(has, predicted, 0.5), size, 0, 1), has


def _labels(members: tuple[tuple[int, ...], ...], n: int) -> Ints:
    """[n] the group of each system."""
    label = np.empty(n, dtype=np.intp)
    for number, group in enumerate(members):
        label[list(group)] = number
    return label


def _residual(votes: Votes, theta: Floats) -> Floats:
    return votes.outcome - expit(theta[votes.a] - theta[votes.b])


# --- what the model says of the votes' luck ---


@dataclass(frozen=True, eq=False)
class _Unvoted:
    a: Ints
    b: Ints
    credit: Floats
    cluster: Ints | None


def _unvoted(a: ArrayLike, b: ArrayLike, credit: ArrayLike, n: int, cluster: Labels | None) -> _Unvoted:
    size = len(np.asarray(credit))
    if not size:
        return _Unvoted(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0), None)
    credit = floats("unvoted_predicted", credit, size, 0, 1)
    found = check(a, b, credit, n, None, cluster)
    return _Unvoted(found.a, found.b, found.outcome, found.cluster)


@dataclass(frozen=True, eq=False)
class _Correction:
    """deviation: [V] the model's credit of each vote's clips less the mean of the system pair's unvoted ones, 0 where
    the model has no say; used: bool [V], where it has. meat: [n, n] spread of the unvoted pairs' scores, at power 1.
    """

    deviation: Floats
    used: NDArray[np.bool_]
    meat: Floats
    n_unvoted: int

    @classmethod
    def of(
        cls, votes: Votes, human: Floats, credit: Floats, told: NDArray[np.bool_], unvoted: _Unvoted
    ) -> "_Correction":
        n = votes.n
        pair, unvoted_pair = _pair(votes, n), _pair(unvoted, n)
        seen = _as_first_sees(unvoted, unvoted.credit)
        count = np.bincount(unvoted_pair, minlength=n * n)
        mean = np.bincount(unvoted_pair, seen, n * n) / np.maximum(count, 1)
        used = told & (count[pair] >= FEWEST_UNVOTED) & (np.bincount(pair, human, n * n)[pair] > 0)
        deviation = np.where(used, _as_first_sees(votes, credit) - mean[pair], 0.0)
        deviation[votes.a > votes.b] *= -1

        weight = np.bincount(pair[used], votes.weights[used], n * n)
        helps = weight[unvoted_pair] > 0
        one, at, size = unvoted_pair[helps], np.flatnonzero(helps), count[unvoted_pair[helps]]
        score = weight[one] / size * (seen[at] - mean[one]) * np.sqrt(size / (size - 1))
        first, second = one // n, one % n
        cluster = None if unvoted.cluster is None else codes(unvoted.cluster[at], at.size)
        spread = sums.meat(first, second, n, [score, -score], None, cluster)[0] if at.size else np.zeros((n, n))
        return cls(deviation, used, spread, int(at.size))


def _pair(pairs: Votes | _Unvoted, n: int) -> Ints:
    """One number for the two systems, whichever of them is a."""
    return np.minimum(pairs.a, pairs.b) * n + np.maximum(pairs.a, pairs.b)


def _as_first_sees(pairs: Votes | _Unvoted, credit: Floats) -> Floats:
    """Credit to the system of smaller index."""
    return np.where(pairs.a < pairs.b, credit, 1 - credit)


def _tuned(votes: Votes, human: Floats, model: _Correction, theta: Floats, l2: float, gauge: groups.Gauge) -> float:
    """The power in [0, 1] that minimises the trace of the covariance (PPI++, section 6).

    Cross-moments are taken vote by vote: which clips a vote got does not depend on the rater, so that other votes of
    the rater only add noise to them. Any power is valid, and this one is not chosen by the spread it will report.
    """
    residual, deviation = human * _residual(votes, theta), votes.weights * model.deviation
    together = sums.laplacian(votes.a, votes.b, votes.n, residual * deviation)
    own = sums.laplacian(votes.a, votes.b, votes.n, deviation**2) + model.meat
    curvature = _Objective.of(votes, human, 0 * deviation, l2).hessian(theta)
    gain, cost = (float(np.trace(_between(gauge, curvature, meat, l2))) for meat in (together, own))
    return float(np.clip(gain / cost, 0, 1)) if cost > 0 else 0.0


def _between(gauge: groups.Gauge, curvature: Floats, meat: Floats, l2: float) -> Floats:
    """P A^-1 meat A^-1 P."""
    return gauge.solve(curvature, gauge.solve(curvature, meat, l2).T, l2)


def _covariance(
    objective: "_Objective",
    theta: Floats,
    gauge: groups.Gauge,
    votes: Votes,
    human: Floats,
    model: _Correction,
    power: float,
) -> Floats:
    """[n, n] the sandwich of the votes' scores, clustered, and of the unvoted pairs'."""
    score = human * _residual(votes, theta) - power * votes.weights * model.deviation
    meat, _ = sums.meat(votes.a, votes.b, votes.n, [score, -score], votes.weight, votes.cluster)
    return newton.sandwich(objective, theta, gauge, meat + power**2 * model.meat, np.ones(votes.n))


def _correlation(votes: Votes, human: Floats, credit: Floats, used: NDArray[np.bool_]) -> float | None:
    """Of votes and credits about their means within system pairs."""
    pair = _pair(votes, votes.n)
    weight = np.where(used, human, 0.0)
    total = np.maximum(np.bincount(pair, weight, votes.n**2), 1e-300)
    residuals = []
    for values in (votes.outcome, credit):
        seen = _as_first_sees(votes, values)
        residuals.append(seen - (np.bincount(pair, weight * seen, votes.n**2) / total)[pair])
    y, f = residuals
    spread = (weight @ y**2) * (weight @ f**2)
    return float(np.clip(weight @ (y * f) / np.sqrt(spread), -1, 1)) if spread > 1e-18 else None


# --- the function to minimise ---


@dataclass(frozen=True, eq=False)
class _Objective:
    """The board's penalised cross-entropy, with a term linear in theta: the model's correction of the credits.

    a, b: int [C], the system pairs that met; total, won: float [C], weight of their votes and corrected credit to a.
    """

    n: int
    a: Ints
    b: Ints
    total: Floats
    won: Floats
    l2: float

    @classmethod
    def of(cls, votes: Votes, human: Floats, correction: Floats, l2: float) -> "_Objective":
        """human: [V] weights of the votes' own credits; correction: [V] of the credits to a."""
        n, pair = votes.n, _pair(votes, votes.n)
        won = human * _as_first_sees(votes, votes.outcome)
        won -= votes.weights * np.where(votes.a < votes.b, correction, -correction)
        total, won = sums.totals(pair, human, n * n), sums.totals(pair, won, n * n)
        (met,) = np.nonzero(total)
        return cls(n, met // n, met % n, total[met], won[met], l2)

    def value(self, at: Floats) -> float:
        z = at[self.a] - at[self.b]
        entropy = self.won @ np.logaddexp(0, -z) + (self.total - self.won) @ np.logaddexp(0, z)
        return float(entropy + self.l2 * (at @ at))

    def gradient(self, at: Floats) -> Floats:
        slope = self.total * expit(at[self.a] - at[self.b]) - self.won
        return sums.vector(self.a, self.b, self.n, [slope, -slope]) + 2 * self.l2 * at

    def hessian(self, at: Floats) -> Floats:
        z = at[self.a] - at[self.b]
        return self._curvature(self.total * expit(z) * expit(-z))

    def safe_curvature(self, at: Floats) -> Floats:
        """As the board's: the parabola above each logistic (Jaakkola & Jordan 2000); the correction has none."""
        z = np.maximum(np.abs(at[self.a] - at[self.b]), 1e-6)
        return self._curvature(self.total * np.tanh(z / 2) / (2 * z))

    def reach(self, step: Floats) -> float:
        return float(np.abs(step[self.a] - step[self.b]).max())

    def _curvature(self, edge: Floats) -> Floats:
        return sums.laplacian(self.a, self.b, self.n, edge) + 2 * self.l2 * np.eye(self.n)
