"""Fit the board, judge every rater against it, fit again without the flagged raters, judge again.

Bad raters distort the board by which raters are judged. The rounds are few and fixed, and each judges from scratch, so
that a rater who was flagged because of a distorted board is cleared again within one call. Raters flagged by an earlier
call stay flagged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from .evidence import Floats, answers, decisive
from .honest import indices
from .verdict import ALPHA, RaterVotes, Verdict, judge

FLAGGED_BEFORE = Verdict("fail", (), {}, "flagged before")
CREDIT_TO_A = {"A": 1.0, "B": 0.0, "TIE": 0.5}  # BOTH_BAD does not say which is better, and is left out


@dataclass(frozen=True, eq=False)
class Screening:
    """verdicts: one per rater, None for those not judged. flagged: bool [R]. theta: [n], the board without the flagged
    raters. own: [R, n], that board without each rater's own votes."""

    verdicts: tuple[Verdict | None, ...]
    flagged: np.ndarray
    theta: Floats
    own: Floats


def screen(
    raters: Sequence[RaterVotes],
    n_systems: int,
    fit: Callable[[np.ndarray, np.ndarray, np.ndarray, int], ArrayLike],
    *,
    rounds: int = 2,
    l2: float = 0.05,
    alpha: float = ALPHA,
    finished: ArrayLike | None = None,
    flagged: ArrayLike | None = None,
    judged: ArrayLike | None = None,
) -> Screening:
    """Judge all raters of a study, `rounds` times.

    fit(a, b, outcome, n_systems) -> theta [n], with outcome the credit to a, and ridge `l2`. Each rater is judged
    by a board without their own votes (`leave_rater_out`). finished: bool [R], see `judge`; None: all have. flagged:
    bool [R], raters flagged before: their verdict is "fail", and no board counts them; None: nobody. judged: bool [R],
    which raters to judge; None: all. Raises ValueError if no rater has a vote that a board can use.
    """
    a, b, outcome, rater = pooled(raters, n_systems)
    done, asked = _marks(finished, True, len(raters)), _marks(judged, True, len(raters))
    before = _marks(flagged, False, len(raters))
    if rounds < 1:
        raise ValueError(f"{rounds} rounds: there is at least one")
    undecided = _undecided_of_others(raters)
    failed = before
    for _ in range(rounds):
        used = ~failed[rater]
        theta = board(a[used], b[used], outcome[used], n_systems, fit)
        own, own_se = leave_rater_out(theta, a[used], b[used], outcome[used], rater[used], len(raters), l2)
        board_raters = np.unique(rater[used]).size
        verdicts = tuple(
            FLAGGED_BEFORE
            if before[r]
            else judge(
                votes, own[r], board_raters, theta_se=own_se[r], finished=bool(done[r]), alpha=alpha,
                others_undecided=undecided[r],
            )
            if asked[r]
            else None
            for r, votes in enumerate(raters)
        )  # fmt: skip
        failed = np.array([verdict is not None and verdict.result == "fail" for verdict in verdicts])
    used = ~failed[rater]
    theta = board(a[used], b[used], outcome[used], n_systems, fit)
    own, _ = leave_rater_out(theta, a[used], b[used], outcome[used], rater[used], len(raters), l2)
    return Screening(verdicts, failed, theta, own)


def board(a: np.ndarray, b: np.ndarray, outcome: np.ndarray, n_systems: int, fit: Callable[..., Any]) -> Floats:
    """[n] ratings fitted to the votes; all 0 where there are none."""
    return np.asarray(fit(a, b, outcome, n_systems), dtype=float) if len(a) else np.zeros(n_systems)


def _marks(marks: ArrayLike | None, usual: bool, n_raters: int) -> np.ndarray:
    if marks is None:
        return np.full(n_raters, usual)
    marks = np.asarray(marks, dtype=bool)
    if marks.shape != (n_raters,):
        raise ValueError(f"{marks.size} marks, for {n_raters} raters: give one each")
    return marks


def _undecided_of_others(raters: Sequence[RaterVotes]) -> Floats:
    """[R] the share of undecided answers among those of the other raters, with one undecided and one decided answer
    added, because a share of 0 is never certain."""
    n = np.array([np.size(votes.preference) for votes in raters])
    undecided = n - np.array([decisive(answers("preference", votes.preference)).sum() for votes in raters])
    return (undecided.sum() - undecided + 1) / (n.sum() - n + 2)


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
    a, b, outcome, rater = (np.concatenate(column) for column in zip(*columns, strict=True))
    return a, b, outcome, rater


def leave_rater_out(
    theta: ArrayLike, a: ArrayLike, b: ArrayLike, outcome: ArrayLike, rater: ArrayLike, n_raters: int, l2: float
) -> tuple[Floats, Floats]:
    """(theta [n_raters, n], standard error [n_raters, n]): the board without each rater's own votes.

    theta: [n], the minimum of sum of cross entropies + l2 ||theta||^2 (l2 > 0) on votes a, b, outcome [V] cast by
    rater [V] (int). One Newton step from there: leaving out r takes the curvature H_r and the gradient g_r of r's
    votes away; at the minimum the rest's gradient is -g_r, and the step is (H + 2 l2 I - H_r)^-1 g_r: by Woodbury's
    identity this needs only the few systems that the rater met. The errors are model-based, of theta minus its mean. A
    rater without votes gets theta.
    """
    if l2 <= 0:
        raise ValueError(f"l2 is {l2}: without a ridge, what is left without a rater may have no estimate")
    theta, a, b, n = np.asarray(theta, dtype=float), np.asarray(a), np.asarray(b), np.size(theta)
    p = expit(theta[a] - theta[b])
    slope, weight = p - np.asarray(outcome, dtype=float), p * (1 - p)
    votes_of = np.split(np.argsort(rater, kind="stable"), np.cumsum(np.bincount(rater, minlength=n_raters))[:-1])
    inverse = np.linalg.inv(_laplacian(a, b, weight, n) + 2 * l2 * np.eye(n))
    centred = inverse - inverse.mean(axis=0)
    variance = np.diagonal(centred - centred.mean(axis=1, keepdims=True))
    without, errors = np.tile(theta, (n_raters, 1)), np.tile(np.sqrt(variance), (n_raters, 1))
    for r, own in enumerate(votes_of):
        met, ends = np.unique([a[own], b[own]], return_inverse=True)
        left, right = ends.reshape(2, -1)
        curvature = _laplacian(left, right, weight[own], met.size)
        # (H - H_r)^-1 E = H^-1 E (I - H_r C)^-1, with E the columns of the few systems met, and C that of H^-1
        solved = np.linalg.inv(np.eye(met.size) - curvature @ inverse[np.ix_(met, met)])
        gradient = np.bincount(left, slope[own], met.size) - np.bincount(right, slope[own], met.size)
        without[r] += inverse[:, met] @ (solved @ gradient)
        columns = centred[:, met]
        errors[r] = np.sqrt(variance + ((columns @ (solved @ curvature)) * columns).sum(axis=1))
    return without, errors


def _laplacian(a: np.ndarray, b: np.ndarray, weight: Floats, n: int) -> Floats:
    """[n, n] sum of weight x x' with x = e_a - e_b."""
    between = np.bincount(a * n + b, weight, n * n).reshape(n, n)
    between += between.T
    return np.diag(between.sum(axis=1)) - between
