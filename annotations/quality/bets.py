"""Bets against a rater: likelihood ratios of each kind of bad rater to an honest one.

Each function takes answers as a matrix [N, D]: one row for the rater, or many for the honest raters simulated in
the same battles. A log likelihood is then linear in the answers, and all rows take one matrix product.
"""

import numpy as np

from .evidence import Floats
from .honest import Heard, log_probability

LEANS = (0.5, 0.2, 0.8, 0.05, 0.95)  # a careless rater's chance to answer B
LEAN_WEIGHTS = (0.5, 0.125, 0.125, 0.125, 0.125)
FAVOURS = (2.0, 5.0, -2.0, -5.0)  # logits for, or against, one system
FAVOUR_WEIGHTS = (0.2, 0.5, 0.1, 0.2)  # promotion is likelier than sabotage


def log_honest(votes: Heard, chose_b: np.ndarray) -> Floats:
    """[N, DRAWS] log likelihood of each row of answers by each of the honest draws."""
    return _log_likelihood(votes.logit, chose_b)


def careless(chose_b: np.ndarray) -> Floats:
    """[N, len(LEANS)] log likelihood of answering B with a fixed chance, whatever is played."""
    n_b = chose_b.sum(axis=1)[:, None]
    return n_b * np.log(LEANS) + (chose_b.shape[1] - n_b) * np.log1p(-np.array(LEANS))


def favours(votes: Heard, chose_b: np.ndarray) -> Floats:
    """[N, n] log e-value of "honest except about one system, which gains one of FAVOURS" against "honest"."""
    base = log_honest(votes, chose_b)
    posterior = np.exp(base - base.max(axis=1, keepdims=True))  # of the draws, given the answers, if honest
    posterior /= posterior.sum(axis=1, keepdims=True)
    log_e = np.zeros((chose_b.shape[0], votes.ratings[0].size))  # 0 for a system that the rater has not met
    for system in np.union1d(votes.a, votes.b):
        met = (votes.a == system) | (votes.b == system)
        logit, answers = votes.logit[:, met], chose_b[:, met]
        toward = np.where(votes.b[met] == system, 1.0, -1.0)
        likelier = np.stack([_log_likelihood(logit + gain * toward, answers) for gain in FAVOURS])
        likelier -= _log_likelihood(logit, answers)
        most = likelier.max(axis=(0, 2))
        likelier -= most[:, None]
        mean = np.tensordot(FAVOUR_WEIGHTS, np.exp(likelier), axes=1)
        log_e[:, system] = np.log((mean * posterior).sum(axis=1)) + most
    return log_e


def _log_likelihood(logit: Floats, chose_b: np.ndarray) -> Floats:
    """[N, DRAWS] from logits [DRAWS, D] and answers [N, D]."""
    if_a, if_b = log_probability(logit, False), log_probability(logit, True)
    return if_a.sum(axis=1) + chose_b.astype(float) @ (if_b - if_a).T
