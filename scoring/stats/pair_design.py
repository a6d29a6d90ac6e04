"""Which pairs of systems the next votes are worth most on: a design for the order of a Bradley-Terry board. Pure.

A vote on systems i and j brings the information w x x' with w = p (1 - p) and x = e_i - e_j (Glickman & Jensen 2005,
J. Stat. Plan. Inference 127). N votes, of which the share q goes to each pair, leave the ratings with the precision
A + N sum q w x x', A that of now. The design is the q that makes the loss sum c Var(theta_i - theta_j) over pairs
smallest: Bayesian A-optimality with a weight for each difference (Chaloner & Verdinelli 1995, Statist. Sci. 10), namely

    c = P(the pair is in the wrong order now) / Var(theta_i - theta_j) now

so that the loss is how many pairs would stay in the wrong order, were each settled as its variance falls. With c = 1 it
would be the plain A-gain, which spends votes on differences whose sign nobody doubts. Shares, and not the one best
pair: until the ratings are computed again many votes come in.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.special import expit, ndtr

Floats = NDArray[np.float64]
STEPS = 20  # of the multiplicative algorithm: after these an efficient design, not the last decimal of the best one
AHEAD = 0.2  # how far ahead a design looks, in votes per vote there is
LEAST_AHEAD = 2  # and at least, in votes per system
NEWCOMER = 2.0  # how often a new system is heard, in shares of an average one


def design(theta: ArrayLike, covariance: ArrayLike, n_votes: int) -> Floats:
    """The share of the next votes that each pair should have: float [n (n - 1) / 2], of sum 1, in the order of
    `numpy.triu_indices(n, 1)`.

    theta: [n] ratings, logits. covariance: [n, n], of full rank but for what all ratings have in common; that of a
    posterior (`posterior_covariance`), in which systems that nobody has voted on yet are as uncertain as they are.
    n_votes: behind the ratings. A share is never exactly 0 or 1 but for two systems, whose pair has it all.

    Multiplicative algorithm: q grows by the root of what a vote on its pair would gain, which never raises the loss
    (Silvey, Titterington & Torsney 1978; Yu 2010, Ann. Statist. 38, arXiv 0911.0108). Raises ValueError for input that
    cannot be meant.
    """
    theta, covariance = np.asarray(theta, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    n = theta.size
    if n < 2 or theta.shape != (n,) or covariance.shape != (n, n):
        raise ValueError(f"theta {theta.shape} and covariance {covariance.shape} are not those of two or more systems")
    precision = _inverse(covariance + np.diagonal(covariance).mean())  # what all have in common moves no difference
    p = expit(theta[:, None] - theta[None, :])
    information = p * (1 - p)
    np.fill_diagonal(information, 0)
    loss = _laplacian(_open_orders(theta, covariance))
    ahead = max(AHEAD * n_votes, LEAST_AHEAD * n)
    share = np.where(information > 0, 2 / (n * (n - 1)), 0.0)  # symmetric: of the pair, seen from either system
    for _ in range(STEPS):
        after = _inverse(precision + _laplacian(ahead * share * information))
        share *= np.sqrt(information * np.maximum(_variance_of_differences(after @ loss @ after), 0))
        share *= 2 / share.sum()
    return share[np.triu_indices(n, 1)]


def welcome(share: ArrayLike, is_new: ArrayLike) -> Floats:
    """The shares [n (n - 1) / 2] where each system that is new (bool [n]) has at least NEWCOMER times the share of an
    average one, before all are made to sum to 1 again: what the design does not see is that a rating so unsure is of
    use to nobody."""
    share, is_new = np.asarray(share, dtype=np.float64), np.asarray(is_new, dtype=bool)
    n = is_new.size
    low, high = np.triu_indices(n, 1)
    heard = np.bincount(low, share, n) + np.bincount(high, share, n)  # by share of battles; 2 / n on average
    wanted = np.where(is_new, np.maximum(heard, NEWCOMER * 2 / n), heard)
    more = np.divide(wanted, heard, out=np.ones(n), where=heard > 0)
    share = share * np.maximum(more[low], more[high])
    return share / share.sum()


def posterior_covariance(a: ArrayLike, b: ArrayLike, weight: ArrayLike, theta: ArrayLike, precision: float) -> Floats:
    """[n, n] covariance of ratings theta [n] after votes on systems a and b (int [V]) of weight float [V], by the
    curvature there, before which every rating had the given precision (1 / logits^2) around the mean.

    Not the sandwich of a board's intervals: the design weighs votes to come, and what one brings is its curvature.
    """
    theta, n = np.asarray(theta, dtype=np.float64), len(theta)
    if not precision > 0:
        raise ValueError(f"precision is {precision}; only a positive one gives every system an uncertainty")
    a, b = np.asarray(a, dtype=np.intp), np.asarray(b, dtype=np.intp)
    votes = np.bincount(a * n + b, weight, n * n).reshape(n, n)
    p = expit(theta[:, None] - theta[None, :])
    return _inverse(_laplacian((votes + votes.T) * p * (1 - p)) + precision * np.eye(n))


def _open_orders(theta: Floats, covariance: Floats) -> Floats:
    """[n, n] what a share of the variance of each difference is worth: how likely its order is wrong, per variance."""
    variance = _variance_of_differences(covariance)
    np.fill_diagonal(variance, 1.0)
    if not (variance > 0).all():
        raise ValueError("the covariance is not one of full rank: some difference has no variance")
    wrong = ndtr(-np.abs(theta[:, None] - theta[None, :]) / np.sqrt(variance))
    np.fill_diagonal(wrong, 0.0)
    return wrong / variance


def _laplacian(edge: Floats) -> Floats:
    """[n, n] sum over pairs of edge x x'; edge: [n, n], symmetric, its diagonal zero."""
    return np.diag(edge.sum(axis=1)) - edge


def _variance_of_differences(covariance: Floats) -> Floats:
    own = np.diagonal(covariance)
    return own[:, None] + own[None, :] - 2 * covariance


def _inverse(matrix: Floats) -> Floats:
    try:
        return cho_solve(cho_factor(matrix), np.eye(len(matrix)))
    except (LinAlgError, ValueError) as error:
        raise ValueError(f"the covariance is not one of full rank: {error}") from error
