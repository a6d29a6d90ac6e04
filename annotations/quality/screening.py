"""Fit the board, judge every rater against it, fit again without the flagged, judge again.

Bad raters bend the board that they are judged by. The rounds are few and fixed, and every round judges everybody
anew, so that a rater whom a bent board wronged is taken back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from .evidence import Floats, answers
from .honest import indices
from .verdict import ALPHA, RaterVotes, Verdict, judge

CREDIT_TO_A = {"A": 1.0, "B": 0.0, "TIE": 0.5}  # BOTH_BAD says nothing of which is better, and is left out


@dataclass(frozen=True, eq=False)
class Screening:
    """verdicts: one per rater. flagged: bool [R]. theta: [n], the board without the flagged raters."""

    verdicts: tuple[Verdict, ...]
    flagged: np.ndarray
    theta: Floats


def screen(
    raters: Sequence[RaterVotes],
    n_systems: int,
    fit: Callable[[np.ndarray, np.ndarray, np.ndarray, int], ArrayLike],
    *,
    rounds: int = 2,
    l2: float = 0.05,
    alpha: float = ALPHA,
    finished: ArrayLike | None = None,
) -> Screening:
    """Judge all raters of a study, `rounds` times.

    fit(a, b, outcome, n_systems) -> theta [n], with outcome the credit to a, and ridge `l2`. Each rater is judged
    by a board without their own votes (`leave_rater_out`). finished: bool [R], see `judge`; None: all have. Raises
    ValueError if no rater has a vote that a board can use.
    """
    a, b, outcome, rater = pooled(raters, n_systems)
    flagged = np.zeros(len(raters), dtype=bool)
    done = np.ones(len(raters), dtype=bool) if finished is None else np.asarray(finished, dtype=bool)
    if rounds < 1 or done.shape != flagged.shape:
        raise ValueError(f"{rounds} rounds and {done.size} marks of being finished, for {len(raters)} raters")
    for _ in range(rounds):
        used = ~flagged[rater]
        theta = np.asarray(fit(a[used], b[used], outcome[used], n_systems), dtype=float)
        own, own_se = leave_rater_out(theta, a[used], b[used], outcome[used], rater[used], len(raters), l2)
        board_raters = np.unique(rater[used]).size
        verdicts = tuple(
            judge(votes, own[r], board_raters, theta_se=own_se[r], finished=bool(done[r]), alpha=alpha)
            for r, votes in enumerate(raters)
        )
        flagged = np.array([verdict.result == "fail" for verdict in verdicts])
    used = ~flagged[rater]
    return Screening(verdicts, flagged, np.asarray(fit(a[used], b[used], outcome[used], n_systems), dtype=float))


def pooled(raters: Sequence[RaterVotes], n_systems: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(a, b, outcome, rater index) of all votes that a board uses."""
    columns = []
    for number, votes in enumerate(raters):
        preference = answers("preference", votes.preference)
        used = preference != "BOTH_BAD"
        a, b = (
            indices(name, values, preference.size, n_systems)[used] for name, values in (("a", votes.a), ("b", votes.b))
        )
        outcome = np.array([CREDIT_TO_A[answer] for answer in preference[used]])
        columns.append((a, b, outcome, np.full(a.size, number)))
    if not sum(column[0].size for column in columns):
        raise ValueError("there are no votes to fit a board on")
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))


def leave_rater_out(
    theta: ArrayLike, a: ArrayLike, b: ArrayLike, outcome: ArrayLike, rater: ArrayLike, n_raters: int, l2: float
) -> tuple[Floats, Floats]:
    """(theta [n_raters, n], standard error [n_raters, n]): the board without each rater's own votes.

    theta: [n], the minimum of sum of cross entropies + l2 ||theta||^2 (l2 > 0) on votes a, b, outcome [V] cast by
    rater [V] (int). One Newton step from there: leaving out r takes the curvature H_r and the gradient g_r of r's
    votes away; at the minimum the rest's gradient is -g_r, and the step is (H + 2 l2 I - H_r)^-1 g_r. The errors
    are the model's, of theta minus its mean. A rater without votes gets theta.
    """
    if l2 <= 0:
        raise ValueError(f"l2 is {l2}: without a ridge, what is left without a rater may have no estimate")
    theta, a, b, n = np.asarray(theta, dtype=float), np.asarray(a), np.asarray(b), np.size(theta)
    p = expit(theta[a] - theta[b])
    slope, weight = p - np.asarray(outcome, dtype=float), p * (1 - p)
    votes_of = np.split(np.argsort(rater, kind="stable"), np.cumsum(np.bincount(rater, minlength=n_raters))[:-1])
    curvature = _laplacian(a, b, weight, n) + 2 * l2 * np.eye(n)
    without, errors, centre = np.tile(theta, (n_raters, 1)), np.empty((n_raters, n)), np.eye(n) - 1 / n
    for r, own in enumerate(votes_of):
        inverse = np.linalg.inv(curvature - _laplacian(a[own], b[own], weight[own], n))
        without[r] += inverse @ (np.bincount(a[own], slope[own], n) - np.bincount(b[own], slope[own], n))
        errors[r] = np.sqrt(np.diagonal(centre @ inverse @ centre))
    return without, errors


def _laplacian(a: np.ndarray, b: np.ndarray, weight: Floats, n: int) -> Floats:
    """[n, n] sum of weight x x' with x = e_a - e_b."""
    between = np.bincount(a * n + b, weight, n * n).reshape(n, n)
    between += between.T
    return np.diag(between.sum(axis=1)) - between
