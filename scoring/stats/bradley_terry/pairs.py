"""Bradley-Terry ratings, alone or with covariates of the vote beside them.

Objective, gradient and curvature stand side by side below. Votes that share a curve (a pair's, at one offset and
one set of covariates) are counted together, so that a step costs as many curves as there are, not votes.

Sources: the model, Bradley & Terry (1952), Biometrika 39; existence, Ford (1957), Amer. Math. Monthly 64; covariates
of a contest, Turner & Firth (2012), J. Stat. Softw. 48(9), section 3.
"""

import operator
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError, eigh
from scipy.special import expit

from . import groups, newton, sums
from .results import BadCovariate, Fit, Floats, Ints, Labels, NoFiniteEstimate, reach
from .votes import Votes, check, floats

SLOT = "slot"  # the covariate that is 1 in every vote; any other has to vary
FEW = 64  # values of an offset or covariate up to which votes are counted together
COLLINEAR = 1e-8  # share of a covariate's spread that the others leave unexplained, below which it has no effect
SEPARATED = 1e-6  # share of the curvature left along a covariate, below which it settles the votes it is in


def fit(
    a: ArrayLike,
    b: ArrayLike,
    outcome: ArrayLike,
    n_systems: int,
    *,
    offset: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    cluster: Labels | None = None,
    l2: float = 0.0,
    pin: int | None = None,
) -> Fit:
    """Fit logit P(a beats b) = offset + theta[a] - theta[b].

    Minimises sum_v weight_v cross_entropy_v + l2 ||theta||^2 (no factor 1/2), with theta[pin] = 0 if `pin` is
    given. Without it, and in the groups it is not in, ratings sum to zero within each connected group.

    a, b: int [V] system indices. outcome: float [V] in [0, 1], credit to a (tie 0.5). offset: float [V].
    weight: float [V] >= 0; at 0 a vote is as if not there. cluster: [V] hashable labels, the raters.
    A system without votes is a group of its own: theta 0 and stderr 0 if l2 > 0, no estimate if l2 = 0.

    covariance = P A^-1 (G/(G-1) M + 2 l2 I) A^-1 P: A the penalised Hessian, M the sum over the G clusters of
    the outer product of their scores, P centres within groups (or removes `pin`). Without `cluster` each vote
    is its own. One cluster alone shows no spread: M is then taken over its votes, and g_eff is 1.

    Raises NoFiniteEstimate, naming the groups, if l2 = 0 and the graph of wins (a tie counts both ways) is not
    strongly connected (Ford 1957); ValueError for input that cannot be meant. Never NaN or inf.
    """
    n_systems = _check_settings(n_systems, l2, pin)
    votes = check(a, b, outcome, n_systems, weight, cluster, offset=offset)
    at, covariance, about = _estimate(votes, l2, pin)
    return Fit(at, covariance, *about)


def fit_version_1(
    a: ArrayLike,
    b: ArrayLike,
    outcome: ArrayLike,
    n_systems: int,
    *,
    weight: ArrayLike | None = None,
    cluster: Labels | None = None,
    l2: float = 0.0,
) -> Fit:
    """`fit` as the editions of version 1 have it: it stopped where rounding hides the next fall of the objective, which
    can be 4e-7 before the minimum. For rebuilding those to the last decimal.
    """
    votes = check(a, b, outcome, _check_settings(n_systems, l2, None), weight, cluster)
    at, covariance, about = _estimate(votes, l2, None, last_step=0.0)
    return Fit(at, covariance, *about)


@dataclass(frozen=True, eq=False)
class CovariateFit(Fit):
    """Ratings where every covariate is 0, and the covariates' effects beside them.

    names: the k covariates. beta: [k] logits in favour of a per unit. joint_covariance: [n + k, n + k] of the ratings
    and beta together, clustered as the ratings' are.
    """

    names: tuple[str, ...]
    beta: Floats
    joint_covariance: Floats

    @property
    def beta_stderr(self) -> Floats:
        """[k] standard errors of beta."""
        return np.sqrt(np.diagonal(self.joint_covariance)[self.theta.size :])

    def beta_interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """(low [k], high [k]), as the ratings' `interval`."""
        half = reach(self.beta_stderr, self.g_eff, level)
        return self.beta - half, self.beta + half


def fit_with_covariates(
    a: ArrayLike,
    b: ArrayLike,
    outcome: ArrayLike,
    n_systems: int,
    covariates: Mapping[str, ArrayLike],
    *,
    offset: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    cluster: Labels | None = None,
    l2: float = 0.0,
    pin: int | None = None,
) -> CovariateFit:
    """Fit logit P(a beats b) = offset + theta[a] - theta[b] + sum_j beta[j] x[j].

    covariates: {name: float [V]}, each a quantity of a minus that of b, so that beta is in favour of the clip that has
    more of it; `slot` is 1 in every vote. `scoring.inputs.covariates` has the standard ones with their units. The ridge
    acts on theta alone, and the covariance is the sandwich of `fit` for (theta, beta) together; the rest is as for
    `fit`.

    Raises BadCovariate, naming it, if one is not finite, does not vary (but for `slot`), is a combination of the others
    and of differences between systems, or separates the votes; NoFiniteEstimate and ValueError as `fit`.
    """
    n_systems = _check_settings(n_systems, l2, pin)
    if not covariates:
        raise ValueError("there are no covariates: use fit")
    size = len(np.asarray(outcome))
    columns = tuple(_checked_covariate(name, values, size) for name, values in covariates.items())
    votes = check(a, b, outcome, n_systems, weight, cluster, offset=offset, covariates=columns)
    names = tuple(covariates)
    at, covariance, about = _estimate(votes, l2, pin, names)
    n = n_systems
    return CovariateFit(at[:n], covariance[:n, :n], *about, names, at[n:], covariance)


def _check_settings(n_systems: int, l2: float, pin: int | None) -> int:
    n_systems = operator.index(n_systems)
    if not (np.isfinite(l2) and l2 >= 0):
        raise ValueError(f"l2 is a finite number of at least 0, not {l2}")
    if pin is not None and not 0 <= operator.index(pin) < n_systems:
        raise ValueError(f"pin {pin} is not one of the {n_systems} system indices")
    return n_systems


def _estimate(
    votes: Votes, l2: float, pin: int | None, names: tuple[str, ...] = (), last_step: float = newton.LAST_STEP
) -> tuple[Floats, Floats, tuple[int, bool, float, tuple[tuple[int, ...], ...]]]:
    """(parameters, covariance, (n_votes, converged, g_eff, groups))."""
    curves = _curves(votes)
    winner, loser = _won_from(curves)
    label = groups.components(votes.n, winner, loser, "weak")
    if l2 == 0:
        _require_finite_estimate(votes.n, winner, loser, label)
    _require_estimable(curves, names)
    objective = _Objective(curves, l2)
    gauge = groups.Gauge.of(label, pin, free=len(names))
    try:
        at, converged = newton.minimise(objective, _start(objective, gauge), gauge, last_step)
        _require_not_separated(objective, at, converged, names)
        meat, g_eff = _meat(votes, curves, at)
        covariance = newton.sandwich(objective, at, gauge, meat, objective.ridge)
        if not (np.isfinite(at).all() and np.isfinite(covariance).all()):
            raise LinAlgError("overflow")
    except LinAlgError as error:
        reason = f"the votes hold too little information for l2 = {l2} ({error})"
        raise NoFiniteEstimate(groups.members(label), reason) from error
    return at, covariance, (votes.outcome.size, converged, g_eff, groups.members(label))


# --- votes that share a curve ---


@dataclass(frozen=True, eq=False)
class _Curves:
    """Systems, offset and covariates x ([k] of arrays) of C curves; won and lost: by a, in weight.

    The curve of a vote is row `place[v]` of a table of `rows`, in which `kept` are the curves and `mirror` the same
    seen from b; place None: each vote has its own.
    """

    n: int
    a: Ints
    b: Ints
    offset: Floats | float
    x: tuple[Floats, ...]
    won: Floats
    lost: Floats
    place: Ints | None = None
    rows: int = 0
    kept: Ints | None = None
    mirror: Ints | None = None

    def margin(self, at: Floats) -> Floats:
        return self.change(at) + self.offset

    def change(self, step: Floats) -> Floats:
        """[C] how far a change of the parameters moves the margins."""
        moved = step[self.a] - step[self.b]
        for beta, x in zip(step[self.n :], self.x, strict=True):
            moved += beta * x
        return moved

    def probability(self, at: Floats) -> Floats:
        """[V] that a wins, of each vote."""
        z = self.margin(at)
        if self.place is None:
            return expit(z)
        table = np.zeros(self.rows)
        table[self.kept] = expit(z)
        if self.mirror is not None:
            table[self.mirror] = expit(-z)
        return table[self.place]


def _curves(votes: Votes) -> _Curves:
    if votes.offset is None and not votes.covariates:
        return _pairs(votes)
    features = [*votes.covariates] if votes.offset is None else [*votes.covariates, votes.offset]
    levels = [level for feature in features if (level := _levels(feature)) is not None]
    if len(levels) < len(features) or _table_size(votes.n, levels) > votes.outcome.size:
        offset = 0.0 if votes.offset is None else votes.offset
        won, lost = votes.weighed(votes.outcome), votes.weighed(1 - votes.outcome)
        return _Curves(votes.n, votes.a, votes.b, offset, votes.covariates, won, lost)
    return _table(votes, levels)


def _pairs(votes: Votes) -> _Curves:
    """One curve per pair of systems, whichever of them stood in slot A."""
    n, ordered = votes.n, votes.a < votes.b
    pair = np.minimum(votes.a, votes.b) * n + np.maximum(votes.a, votes.b)
    won, lost = votes.weighed(votes.outcome), votes.weighed(1 - votes.outcome)
    first = sums.totals(pair, np.where(ordered, won, lost), n * n)
    second = sums.totals(pair, np.where(ordered, lost, won), n * n)
    (kept,) = np.nonzero(first + second)
    a, b = kept // n, kept % n
    return _Curves(n, a, b, 0.0, (), first[kept], second[kept], votes.a * n + votes.b, n * n, kept, b * n + a)


def _table(votes: Votes, levels: list[tuple[Floats, Ints]]) -> _Curves:
    """One curve per ordered pair and combination of values; of `levels` the last is the offset's, if there is one."""
    n, size = votes.n, _table_size(votes.n, levels)
    place = votes.a * n + votes.b
    for values, level in levels:
        place = place * len(values) + level
    won = sums.totals(place, votes.weighed(votes.outcome), size)
    lost = sums.totals(place, votes.weighed(1 - votes.outcome), size)
    (kept,) = np.nonzero(won + lost)
    a, b, *at_level = np.unravel_index(kept, (n, n, *(len(values) for values, _ in levels)))
    x = [values[level] for (values, _), level in zip(levels, at_level, strict=True)]
    offset = 0.0 if votes.offset is None else x.pop()
    return _Curves(n, a, b, offset, tuple(x), won[kept], lost[kept], place, size, kept)


def _levels(feature: Floats) -> tuple[Floats, Ints] | None:
    """(values [m], their index in each vote [V]) where there are few; None where there are many."""
    if np.unique(feature[:1000]).size > FEW:
        return None
    values, level = np.unique(feature, return_inverse=True)
    return (values, level) if values.size <= FEW else None


def _table_size(n: int, levels: list[tuple[Floats, Ints]]) -> int:
    size = n * n
    for values, _ in levels:
        size *= len(values)
    return size


# --- the function to minimise, its gradient and its curvature ---


@dataclass(frozen=True, eq=False)
class _Objective:
    curves: _Curves
    l2: float

    @property
    def ridge(self) -> Floats:
        """[n + k]: 1 for the ratings, 0 for the covariates."""
        return np.concatenate([np.ones(self.curves.n), np.zeros(len(self.curves.x))])

    def value(self, at: Floats) -> float:
        z, curves, theta = self.curves.margin(at), self.curves, at[: self.curves.n]
        # Won and lost apart: `total * log(1 + e^z) - won * z` would cancel where nearly all were won.
        entropy = curves.won @ np.logaddexp(0, -z) + curves.lost @ np.logaddexp(0, z)
        return float(entropy + self.l2 * (theta @ theta))

    def gradient(self, at: Floats) -> Floats:
        z, curves = self.curves.margin(at), self.curves
        slope = curves.lost * expit(z) - curves.won * expit(-z)
        return sums.vector(curves.a, curves.b, curves.n, self._along(slope)) + 2 * self.l2 * self.ridge * at

    def hessian(self, at: Floats) -> Floats:
        z, curves = self.curves.margin(at), self.curves
        return self._curvature((curves.won + curves.lost) * expit(z) * expit(-z))

    def safe_curvature(self, at: Floats) -> Floats:
        """A curvature whose parabola lies above the objective (Jaakkola & Jordan 2000, Stat. Comput. 10).

        It is the Hessian at margin 0, and falls as 1/|z| where the Hessian falls as e^-|z|: it cannot underflow.
        """
        z, curves = np.maximum(np.abs(self.curves.margin(at)), 1e-6), self.curves
        return self._curvature((curves.won + curves.lost) * np.tanh(z / 2) / (2 * z))

    def reach(self, step: Floats) -> float:
        return float(np.abs(self.curves.change(step)).max())

    def _along(self, slope: Floats) -> list[Floats]:
        return [slope, -slope, *(slope * x for x in self.curves.x)]

    def _curvature(self, edge: Floats) -> Floats:
        curves = self.curves
        x: list[Floats | float] = [1.0, -1.0, *curves.x]
        if not curves.x:
            return sums.laplacian(curves.a, curves.b, curves.n, edge) + 2 * self.l2 * np.eye(curves.n)
        total = sums.matrix(curves.a, curves.b, curves.n, len(curves.x), lambda i, j: edge * x[i] * x[j])
        return total + 2 * self.l2 * np.diag(self.ridge)


def _start(objective: _Objective, gauge: groups.Gauge) -> Floats:
    """The minimum of the bound at 0, which has already absorbed offsets of any size."""
    zero = np.zeros(objective.ridge.size)
    return gauge.solve(objective.safe_curvature(zero), -objective.gradient(zero), objective.l2)


def _meat(votes: Votes, curves: _Curves, at: Floats) -> tuple[Floats, float]:
    score = votes.weighed(votes.outcome - curves.probability(at))
    entries = [score, -score, *(score * x for x in votes.covariates)]
    return sums.meat(votes.a, votes.b, votes.n, entries, votes.weight, votes.cluster)


# --- where there is no estimate ---


def _won_from(curves: _Curves) -> tuple[Ints, Ints]:
    """(winner, loser) of every curve in which somebody won anything from the other."""
    a_won, b_won = curves.won > 0, curves.lost > 0
    winner = np.concatenate([curves.a[a_won], curves.b[b_won]])
    return winner, np.concatenate([curves.b[a_won], curves.a[b_won]])


def _require_finite_estimate(n: int, winner: Ints, loser: Ints, label: Ints) -> None:
    strong = groups.components(n, winner, loser, "strong")
    if strong.max() > 0:
        reason = "wins do not go both ways" if strong.max() > label.max() else "the groups have never met"
        raise NoFiniteEstimate(groups.members(strong), f"no finite estimate: {reason}")


def _checked_covariate(name: str, values: ArrayLike, size: int) -> Floats:
    try:
        values = floats(f"covariate {name}", values, size)
    except ValueError as error:
        raise BadCovariate(name, f"cannot be used: {error}") from error
    if size and name != SLOT and (values == values[0]).all():
        raise BadCovariate(name, f"is {values[0]:g} in every vote: it has to vary to have an effect")
    return values


def _require_estimable(curves: _Curves, names: tuple[str, ...]) -> None:
    """Each covariate has to differ from what the ratings and the covariates before it can express."""
    if not names:
        return
    n = curves.n
    spread = _Objective(curves, 0.0)._curvature(curves.won + curves.lost)
    own = np.diagonal(spread)[n:].copy()
    explained = spread[n:, :n] @ np.linalg.pinv(spread[:n, :n], hermitian=True)
    left = spread[n:, n:] - explained @ spread[:n, n:]
    for j, name in enumerate(names):
        if own[j] == 0:
            raise BadCovariate(name, "is 0 in every vote")
        if left[j, j] <= COLLINEAR * own[j]:
            others = f", and of {', '.join(map(repr, names[:j]))}" if j else ""
            raise BadCovariate(name, f"is a combination of differences between systems{others}: leave one out")
        left = left - np.outer(left[:, j], left[j]) / left[j, j]


def _require_not_separated(objective: _Objective, at: Floats, converged: bool, names: tuple[str, ...]) -> None:
    """Where covariates settle votes for good, the curvature along them is lost, compared with that at margin 0."""
    if not names:
        return
    curves, n = objective.curves, objective.curves.n
    now = objective.hessian(at)[n:, n:]
    undecided = objective._curvature((curves.won + curves.lost) / 4)[n:, n:]
    if eigh(now, undecided, eigvals_only=True)[0] < SEPARATED or not converged:
        worst = int(np.argmax(np.abs(at[n:]) * np.sqrt(np.diagonal(undecided))))
        raise BadCovariate(names[worst], "separates the votes: one side of it always won, so it has no finite effect")
