"""Bradley-Terry ratings from paired comparisons, with error bars that survive raters who vote many times.

One idea: the estimate is the minimum of a convex function, and everything else is read off there. Objective,
gradient and curvature stand side by side below; the covariance is a sandwich of the curvature and of how far
the raters pull apart.

Sources: the model, Bradley & Terry (1952), Biometrika 39; existence, Ford (1957), Amer. Math. Monthly 64;
the sandwich by cluster, Liang & Zeger (1986), Biometrika 73; effective clusters, Kish (1965), Survey
Sampling, section 11.7.
"""

import operator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, stdtrit

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

MAX_STEPS = 500
STEP_TOLERANCE = 1e-8  # logits; Newton's error after a step this short is of the order of its square


class NoFiniteEstimate(ValueError):
    """The votes do not settle the ratings. `groups` cannot be placed relative to each other, for `reason`."""

    def __init__(self, groups: tuple[tuple, ...], reason: str) -> None:
        self.groups, self.reason = groups, reason
        named = ", ".join("{" + ", ".join(map(str, group)) + "}" for group in groups)
        super().__init__(f"{reason}: groups {named}. Collect votes that link them, or use a larger l2.")


@dataclass(frozen=True, eq=False)
class Fit:
    """Ratings and how sure they are.

    theta: [n] logits. covariance: [n, n]. n_votes: votes of weight > 0. converged: the minimum was reached.
    g_eff: effective number of clusters (of votes, where no cluster was given).
    groups: the connected groups of the comparison graph, as indices; ratings compare only within one.
    """

    theta: Floats
    covariance: Floats
    n_votes: int
    converged: bool
    g_eff: float
    groups: tuple[tuple[int, ...], ...]

    @property
    def stderr(self) -> Floats:
        """[n] standard errors, logits. Zero for the pinned system and for one that met no other."""
        return np.sqrt(np.diagonal(self.covariance))

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """(low [n], high [n]) by Student t with g_eff - 1 degrees of freedom, but at least one.

        Below two effective raters the quantile would grow without bound, to infinity at one. The floor keeps
        it at 12.7 for 95 %; such an interval speaks for those raters alone, so show `g_eff` beside it.
        """
        if not 0 < level < 1:
            raise ValueError(f"level is a probability between 0 and 1, not {level}")
        reach = stdtrit(max(self.g_eff - 1, 1.0), (1 + level) / 2) * self.stderr
        return self.theta - reach, self.theta + reach


def fit(
    a: ArrayLike,
    b: ArrayLike,
    outcome: ArrayLike,
    n_systems: int,
    *,
    offset: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
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
    n_systems = operator.index(n_systems)
    if not (np.isfinite(l2) and l2 >= 0):
        raise ValueError(f"l2 is a finite number of at least 0, not {l2}")
    if pin is not None and not 0 <= operator.index(pin) < n_systems:
        raise ValueError(f"pin {pin} is not one of the {n_systems} system indices")
    votes = _check(a, b, outcome, n_systems, offset, weight, cluster)
    cells = _cells(votes)
    label = _components(cells, "weak")
    if l2 == 0:
        _require_finite_estimate(cells, label)
    gauge = _Gauge.of(label, pin)
    try:
        theta, converged = _minimise(cells, l2, gauge)
        covariance, g_eff = _covariance(votes, cells, theta, l2, gauge)
        if not (np.isfinite(theta).all() and np.isfinite(covariance).all()):
            raise LinAlgError("overflow")
    except LinAlgError as error:
        reason = f"the votes hold too little information for l2 = {l2} ({error})"
        raise NoFiniteEstimate(_groups(label), reason) from error
    return Fit(theta, covariance, votes.outcome.size, converged, g_eff, _groups(label))


# --- input ---


@dataclass(frozen=True, eq=False)
class _Votes:
    """Checked votes of weight > 0. `cluster` holds codes 0, 1, ..., or None where each vote is its own."""

    n: int
    a: Ints
    b: Ints
    outcome: Floats
    weight: Floats
    offset: Floats | None
    cluster: Ints | None


def _check(a, b, outcome, n_systems, offset, weight, cluster) -> _Votes:
    size = len(outcome)
    a, b = _indices("a", a, size, n_systems), _indices("b", b, size, n_systems)
    if (a == b).any():
        vote = int(np.argmax(a == b))
        raise ValueError(f"vote {vote} compares system {a[vote]} with itself")
    outcome = _floats("outcome", outcome, size, 0, 1)
    weight = np.ones(size) if weight is None else _floats("weight", weight, size, 0)
    offset = None if offset is None else _floats("offset", offset, size)
    cluster = None if cluster is None else _codes(cluster, size)
    columns, counts = (a, b, outcome, weight, offset, cluster), weight > 0
    if not counts.any():
        raise ValueError("there are no votes of weight > 0 to fit")
    if not counts.all():
        columns = (None if column is None else column[counts] for column in columns)
    return _Votes(n_systems, *columns)


def _column(name: str, values: ArrayLike, size: int) -> NDArray:
    values = np.asarray(values)
    if values.shape != (size,):
        raise ValueError(f"{name} has shape {values.shape}, but there are {size} outcomes")
    return values


def _indices(name: str, values: ArrayLike, size: int, n_systems: int) -> Ints:
    values = _column(name, values, size)
    if values.dtype.kind not in "iu" and size:
        raise ValueError(f"{name} holds system indices, so whole numbers, not {values.dtype}")
    wrong = (values < 0) | (values >= n_systems)
    if wrong.any():
        vote = int(np.argmax(wrong))
        raise ValueError(f"{name}[{vote}] is {values[vote]}, not one of the {n_systems} system indices")
    return values.astype(np.intp, copy=False)


def _floats(name: str, values: ArrayLike, size: int, low: float = -np.inf, high: float = np.inf) -> Floats:
    values = _column(name, values, size).astype(np.float64, copy=False)
    wrong = ~(np.isfinite(values) & (values >= low) & (values <= high))
    if wrong.any():
        vote = int(np.argmax(wrong))
        raise ValueError(f"{name}[{vote}] is {values[vote]}, not a finite number within [{low}, {high}]")
    return values


def _codes(cluster: ArrayLike, size: int) -> Ints:
    """Labels to 0, 1, ... A missing label is an error, or all such votes would be one rater's."""
    if not isinstance(cluster, np.ndarray):
        cluster = np.fromiter(cluster, dtype=object)  # tuples stay labels, and 1 and "1" stay different
    cluster = _column("cluster", cluster, size)
    if cluster.dtype.kind in "iu":
        return np.unique(cluster, return_inverse=True)[1]
    seen: dict = {}
    codes = np.fromiter((seen.setdefault(label, len(seen)) for label in cluster.tolist()), np.intp, size)
    if missing := [label for label in seen if label is None or label != label]:
        raise ValueError(f"cluster holds {missing[0]}: give a vote without a rater a label of its own")
    return codes


# --- the function to minimise, its gradient and its curvature ---


@dataclass(frozen=True, eq=False)
class _Cells:
    """Votes that share a curve: a pair's, or one each where there are offsets. won, lost: by a, in weight."""

    n: int
    a: Ints
    b: Ints
    offset: Floats | float
    won: Floats
    lost: Floats

    def margin(self, theta: Floats) -> Floats:
        return theta[self.a] - theta[self.b] + self.offset


def _cells(votes: _Votes) -> _Cells:
    won, lost = votes.weight * votes.outcome, votes.weight * (1 - votes.outcome)
    if votes.offset is not None:
        return _Cells(votes.n, votes.a, votes.b, votes.offset, won, lost)
    ordered, n = votes.a < votes.b, votes.n
    pair = np.minimum(votes.a, votes.b) * n + np.maximum(votes.a, votes.b)
    first = np.bincount(pair, np.where(ordered, won, lost), n * n)
    second = np.bincount(pair, np.where(ordered, lost, won), n * n)
    (pairs,) = np.nonzero(first + second)
    return _Cells(n, pairs // n, pairs % n, 0.0, first[pairs], second[pairs])


def _objective(cells: _Cells, theta: Floats, l2: float) -> float:
    z = cells.margin(theta)
    # Won and lost apart: `total * log(1 + e^z) - won * z` would cancel where nearly all were won.
    return float(cells.won @ np.logaddexp(0, -z) + cells.lost @ np.logaddexp(0, z) + l2 * (theta @ theta))


def _gradient(cells: _Cells, theta: Floats, l2: float) -> Floats:
    z = cells.margin(theta)
    slope = cells.lost * expit(z) - cells.won * expit(-z)
    return np.bincount(cells.a, slope, cells.n) - np.bincount(cells.b, slope, cells.n) + 2 * l2 * theta


def _hessian(cells: _Cells, theta: Floats, l2: float) -> Floats:
    z = cells.margin(theta)
    return _laplacian(cells, (cells.won + cells.lost) * expit(z) * expit(-z)) + 2 * l2 * np.eye(cells.n)


def _bound(cells: _Cells, theta: Floats, l2: float) -> Floats:
    """A curvature whose parabola lies above the objective (Jaakkola & Jordan 2000, Stat. Comput. 10).

    It is the Hessian at margin 0, and falls as 1/|z| where the Hessian falls as e^-|z|: it cannot underflow.
    """
    z = np.maximum(np.abs(cells.margin(theta)), 1e-6)
    return _laplacian(cells, (cells.won + cells.lost) * np.tanh(z / 2) / (2 * z)) + 2 * l2 * np.eye(cells.n)


def _laplacian(pairs: _Cells | _Votes, edge: Floats) -> Floats:
    """[n, n] sum of edge x x' with x = e_a - e_b."""
    n = pairs.n
    between = np.bincount(pairs.a * n + pairs.b, edge, n * n).reshape(n, n)
    between += between.T
    return np.diag(between.sum(axis=1)) - between


# --- groups, and what is held fixed in each ---


def _components(cells: _Cells, connection: str) -> Ints:
    """[n] the component of each system in the graph with an edge from a to b where a won anything from b."""
    a_won, b_won = cells.won > 0, cells.lost > 0
    winner = np.concatenate([cells.a[a_won], cells.b[b_won]])
    loser = np.concatenate([cells.b[a_won], cells.a[b_won]])
    graph = sparse.csr_array((np.ones(winner.size), (winner, loser)), shape=(cells.n, cells.n))
    return connected_components(graph, directed=True, connection=connection)[1]


def _groups(label: Ints) -> tuple[tuple[int, ...], ...]:
    members: dict[int, list[int]] = {}
    for system, group in enumerate(label.tolist()):
        members.setdefault(group, []).append(system)
    return tuple(map(tuple, members.values()))


def _require_finite_estimate(cells: _Cells, label: Ints) -> None:
    strong = _components(cells, "strong")
    if strong.max() > 0:
        reason = "wins do not go both ways" if strong.max() > label.max() else "the groups have never met"
        raise NoFiniteEstimate(_groups(strong), f"no finite estimate: {reason}")


@dataclass(frozen=True, eq=False)
class _Gauge:
    """Votes show only differences, so each group has one thing fixed: its mean, or the pinned rating."""

    mean: Floats  # [n, n] averages over each group; zero in the pinned group
    pin: int | None

    @classmethod
    def of(cls, label: Ints, pin: int | None) -> "_Gauge":
        same = label[:, None] == label
        mean = same / same.sum(axis=1)
        if pin is not None:
            mean[same[pin]] = 0
        return cls(mean, pin)

    def project(self, x: Floats) -> Floats:
        """P x for x [n] or [n, k]."""
        x = x - self.mean @ x
        if self.pin is not None:
            x[self.pin] = 0
        return x

    def stiffen(self, curvature: Floats) -> Floats:
        """Adds curvature along what is fixed, so that an inverse exists; `project` undoes it exactly."""
        stiff = curvature + self.mean * (self.mean @ np.diagonal(curvature))
        if self.pin is not None:
            stiff[self.pin, :] = stiff[:, self.pin] = 0
            stiff[self.pin, self.pin] = 1
        return stiff

    def solve(self, curvature: Floats, right: Floats, l2: float) -> Floats:
        """P curvature^-1 right. LinAlgError where rounding leaves no curvature, and no ridge stands in for it."""
        stiff = self.stiffen(curvature)
        try:
            scale = 1 / np.sqrt(np.maximum(np.diagonal(stiff), 1e-300))
            factor = cho_factor(stiff * scale * scale[:, None])
            return self.project((scale * cho_solve(factor, (right.T * scale).T).T).T)
        except LinAlgError:
            if l2 == 0:
                raise
            values, vectors = np.linalg.eigh(stiff)
            return self.project(vectors / np.maximum(values, 2 * l2) @ (vectors.T @ right))


# --- the minimum ---


def _minimise(cells: _Cells, l2: float, gauge: _Gauge) -> tuple[Floats, bool]:
    """Newton's method from the minimum of the bound at 0, which has already absorbed offsets of any size."""
    theta = np.zeros(cells.n)
    theta = gauge.solve(_bound(cells, theta, l2), -_gradient(cells, theta, l2), l2)
    value = _objective(cells, theta, l2)
    for _ in range(MAX_STEPS):
        gradient, moved = _gradient(cells, theta, l2), None
        for curvature in (_hessian, _bound):  # the bound where the Hessian is lost to rounding
            try:
                step = gauge.solve(curvature(cells, theta, l2), -gradient, l2)
            except LinAlgError:
                if curvature is _bound:
                    raise
                continue
            if np.abs(step).max() <= STEP_TOLERANCE:
                return gauge.project(theta + step), True
            moved = _descend(cells, theta, l2, step, value, float(gradient @ step))
            if moved is not None:
                break
        if moved is None:  # no lower value can be told from this one
            return theta, bool(abs(gradient @ step) <= 1e-9 * value)
        theta, value = moved
    return theta, False


def _descend(cells, theta, l2, step, value, slope) -> tuple[Floats, float] | None:
    """Backtrack from the full step until the value falls as the slope promises; None if it never does.

    The fraction log(1 + r) / r of a Newton step, r the largest change of a margin, is known to descend: a
    logistic's third derivative is at most its second (Sun & Tran-Dinh 2019, arXiv 1703.04599).
    """
    reach = float(np.abs(step[cells.a] - step[cells.b]).max())
    sure = np.log1p(reach) / reach if reach > 0 else 1.0
    fraction = 1.0
    while fraction > sure / 64:
        there = theta + fraction * step
        with np.errstate(over="ignore", invalid="ignore"):  # a wild full step overflows, and is refused
            new = _objective(cells, there, l2)
        if new < value + 1e-4 * fraction * slope:
            return there, new
        fraction /= 4
    return None


# --- the covariance ---


def _covariance(votes: _Votes, cells: _Cells, theta: Floats, l2: float, gauge: _Gauge) -> tuple[Floats, float]:
    meat, g_eff = _meat(votes, theta)
    values, vectors = np.linalg.eigh(meat + 2 * l2 * np.eye(votes.n))
    root = gauge.solve(_hessian(cells, theta, l2), vectors * np.sqrt(np.maximum(values, 0)), l2)
    return root @ root.T, g_eff  # as a square, so that rounding makes no variance negative


def _meat(votes: _Votes, theta: Floats) -> tuple[Floats, float]:
    """G/(G-1) M [n, n], and g_eff."""
    z = theta[votes.a] - theta[votes.b] + (0.0 if votes.offset is None else votes.offset)
    score = votes.weight * (votes.outcome * expit(-z) - (1 - votes.outcome) * expit(z))
    size = votes.weight if votes.cluster is None else np.bincount(votes.cluster, votes.weight)
    size = size[size > 0]
    g_eff = float(size.sum() ** 2 / (size @ size))
    if votes.cluster is None or size.size == 1:
        return _small_sample(score.size) * _laplacian(votes, score**2), g_eff
    row, column = np.concatenate([votes.cluster] * 2), np.concatenate([votes.a, votes.b])
    shape = votes.cluster.max() + 1, votes.n
    scores = sparse.csr_array((np.concatenate([score, -score]), (row, column)), shape=shape)
    return _small_sample(size.size) * _gram(scores), g_eff


def _small_sample(clusters: int) -> float:
    return clusters / (clusters - 1) if clusters > 1 else 1.0


def _gram(rows: sparse.csr_array) -> Floats:
    """rows' rows [n, n]; by dense blocks where rows are not very sparse, which is many times faster."""
    if rows.nnz < 0.05 * rows.shape[0] * rows.shape[1]:
        return (rows.T @ rows).toarray()
    total = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, rows.shape[0], 2048):
        block = rows[start : start + 2048].toarray()
        total += block.T @ block
    return total
