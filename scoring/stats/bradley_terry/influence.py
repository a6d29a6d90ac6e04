"""An estimate to first order in the weights of its votes: what each vote, left out, would change.

Source: the influence function, Hampel (1974), J. Amer. Stat. Assoc. 69; of a weighted M-estimate, Broderick, Giordano &
Meager (2020), arXiv 2011.14999, section 2.2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from . import groups, outcomes, pairs
from .results import Fit, Floats, Ints
from .votes import check, floats


@dataclass(frozen=True, eq=False)
class Linearised:
    """A fit with its curvature and the pull of every vote. Parameters [n + k]: the ratings, then what votes share.

    a, b: int [V]. entries: of each vote its weighted score by theta_a, theta_b and the k shared, 2 + k of [V].
    """

    fit: Fit
    a: Ints
    b: Ints
    entries: Sequence[Floats]
    curvature: Floats
    gauge: groups.Gauge
    l2: float

    @cached_property
    def inverse(self) -> Floats:
        """[n + k, n + k] of the curvature, within what the votes can move."""
        return self.gauge.solve(self.curvature, np.eye(len(self.curvature)), self.l2)

    def contrast(self, plus: int, minus: int) -> Floats:
        """[n + k] whose product with the parameters is theta[plus] - theta[minus]."""
        at = np.zeros(len(self.curvature))
        at[plus], at[minus] = 1.0, -1.0
        return at

    def without_each(self, contrast: Floats) -> Floats:
        """[V] logits by which contrast @ parameters would move if that vote, alone, were left out."""
        along = self.inverse @ contrast
        n = self.fit.theta.size
        moved = self.entries[0] * along[self.a] + self.entries[1] * along[self.b]
        for shared, one in zip(along[n:], self.entries[2:], strict=True):
            moved += shared * one
        return -moved

    def one_more(self, i: int, j: int) -> tuple[Ints, Floats]:
        """(which parameters [s], [s, s]): the expected information in one more vote on systems i and j."""
        fit = self.fit
        if not isinstance(fit, outcomes.OutcomeFit):
            p = expit(fit.theta[i] - fit.theta[j])
            return np.array([i, j]), p * (1 - p) * np.array([[1.0, -1.0], [-1.0, 1.0]])
        log_p, gradient, _ = fit.model.derivatives(np.array([[fit.theta[i]], [fit.theta[j]], [fit.eta]]))
        return np.array([i, j, fit.theta.size]), np.einsum("yc,yic,yjc->ij", np.exp(log_p), gradient, gradient)


def linearise(
    fit: Fit,
    a: ArrayLike,
    b: ArrayLike,
    outcome: ArrayLike,
    n_systems: int,
    *,
    covariates: Mapping[str, ArrayLike] | None = None,
    weight: ArrayLike | None = None,
    l2: float = 0.0,
) -> Linearised:
    """The `fit` of these votes to first order. Arguments as the estimator had them; weights above 0."""
    if weight is not None and not (floats("weight", weight, len(np.asarray(outcome)), 0) > 0).all():
        raise ValueError("a vote of weight 0 has no influence: leave it out")
    columns = tuple(np.asarray(values, dtype=float) for values in (covariates or {}).values())
    votes = check(
        a, b, outcome, n_systems, weight, None, covariates=columns, both_bad=isinstance(fit, outcomes.OutcomeFit)
    )
    objective: outcomes._Objective | pairs._Objective
    if isinstance(fit, outcomes.OutcomeFit):
        objective, at = outcomes._Objective.of(fit.model, votes, l2), np.append(fit.theta, fit.eta)
        entries = objective.scores(at, votes)
    else:
        curves = pairs._curves(votes)
        objective, at = pairs._Objective(curves, l2), np.append(fit.theta, getattr(fit, "beta", []))
        score = votes.weighed(votes.outcome - curves.probability(at))
        entries = [score, -score, *(score * x for x in columns)]
    return Linearised(fit, votes.a, votes.b, entries, objective.hessian(at), _gauge(fit, n_systems, at.size), l2)


def _gauge(fit: Fit, n: int, size: int) -> groups.Gauge:
    if isinstance(fit, outcomes.OutcomeFit) and fit.model.grounded:
        return groups.Gauge.none(size)
    label = np.empty(n, dtype=np.intp)
    for number, group in enumerate(fit.groups):
        label[list(group)] = number
    return groups.Gauge.of(label, None, free=size - n)
