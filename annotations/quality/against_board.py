"""Does a rater vote as honest listeners of this board would?

Two tests, both valid after every vote. The first takes the per-vote p-value of Chatbot Arena (Chiang et al. 2024,
arXiv 2403.04132, section 5.1), but with what honest raters would answer in place of the pair's history, and multiplies
calibrated p-values where the paper combines them by Fisher's method at five checkpoints. The second, stronger one bets
on what bad raters do. The null of both is composite: the honest population of `honest.py`, and also each sharpness of
SHARPNESS exactly. A test's e-value is the smallest over these nulls, so that the chance of ever being suspected is
bounded for each. The rule's evidence is the mean of the two: a mean of e-values is an e-value.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_expit

from . import bets
from .evidence import Evidence, Floats, mixture, of_path
from .honest import Heard, heard

SHARPNESS = 2.0 ** np.linspace(-1, 1, 9)  # half to twice as sharp as the board
CALIBRATORS = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, eq=False)
class Agreement:
    """n: decisive votes. agreed: the share for the board's favourite; expected: that share by the board itself.

    p_values: [n], of each vote under the honest population, given the earlier votes. log_e_p: [n], the log of the
    product of calibrated p-values so far, smallest over the nulls.
    log_e: [n] log e-value so far of "careless or contrary" against "honest". against_board: the mean of both e-values.
    favours_system: the evidence of "honest except about one system"; its detail has the likeliest system's index.
    """

    n: int
    agreed: float | None
    expected: float | None
    p_values: Floats
    log_e_p: Floats
    log_e: Floats
    against_board: Evidence
    favours_system: Evidence


def agreement(
    a: ArrayLike, b: ArrayLike, preference: ArrayLike, theta: ArrayLike, *, theta_se: ArrayLike | None = None
) -> Agreement:
    """Test one rater's votes, in the order cast, against the board.

    a, b: int [V], systems in slots A and B. preference: [V] A, B, TIE or BOTH_BAD; only A and B count. theta: [n],
    the board's ratings in logits, best without this rater's own votes (`leave_rater_out`). theta_se: [n], their
    standard errors, if the board is young. Raises ValueError for an unknown answer or an index out of range.
    """
    return agreement_of(heard(a, b, preference, theta, theta_se))


def agreement_of(votes: Heard) -> Agreement:
    n, chance = votes.a.size, np.where(votes.chose_b, votes.chance_b, 1 - votes.chance_b)
    predicted = votes.predicted()
    log_e_p, log_e = log_e_p_path(votes, predicted), log_e_path(votes)
    agreeing = int((chance >= 0.5).sum())
    return Agreement(
        n=n,
        agreed=agreeing / n if n else None,
        expected=float(np.maximum(votes.chance_b, 1 - votes.chance_b).mean()) if n else None,
        p_values=vote_p_values(predicted),
        log_e_p=log_e_p,
        log_e=log_e,
        against_board=of_path(
            mixture(np.stack([log_e, log_e_p]), [0.5, 0.5]), {"votes": n, "for_the_boards_favourite": agreeing}
        ),
        favours_system=favours_system(votes),
    )


def vote_p_values(chance: ArrayLike) -> Floats:
    """[D] p-values from the null's probability of each decisive answer: the probability of an answer no likelier than
    it.

    Chatbot Arena's equation 10 ranks the answer among the pair's earlier ones; here the model supplies their
    distribution. Of two answers the less likely has its own probability as p-value, the other 1, so P(p <= u) <= u.
    """
    chance = np.asarray(chance, dtype=float)
    return np.where(chance < 0.5, chance, 1.0)


def log_calibrated(chance: ArrayLike) -> Floats:
    """[D] log of the product so far of calibrated p-values, a mean over CALIBRATORS; argument as `vote_p_values`.

    k p^(k - 1) turns a p-value into an e-value (Vovk & Wang 2021, Annals of Statistics 49). With only two answers a
    p-value takes only two values, and calibrating it loses much power. So the calibrator is averaged over a p-value
    spread evenly over the probability of its answer, as a randomised p-value is. With q the chance of the less likely
    answer, this gives q^(k - 1) for that answer and (1 - q^k) / (1 - q) for the other, with expectation exactly 1.
    """
    chance = np.asarray(chance, dtype=float)
    q, k = np.minimum(chance, 1 - chance), np.array(CALIBRATORS)[:, None]
    q = np.maximum(q, 1e-300)
    steps = np.where(chance < 0.5, (k - 1) * np.log(q), np.log(-np.expm1(k * np.log(q))) - np.log1p(-q))
    steps = np.where(chance == 0.5, 0.0, steps)  # neither is less likely
    return mixture(np.cumsum(steps, axis=1), np.ones(len(CALIBRATORS)))


def log_e_p_path(votes: Heard, predicted: Floats) -> Floats:
    """[D] log of the smallest product of calibrated p-values: under the population, and under each sharpness."""
    exact = np.exp(log_expit(SHARPNESS[:, None] * _toward(votes)))
    return np.min([log_calibrated(chance) for chance in (predicted, *exact)], axis=0)


def favours_system(votes: Heard) -> Evidence:
    """Evidence of "honest except about one system", which is favoured or disfavoured; a mean over the board's
    systems."""
    log_e = bets.favours(votes, votes.chose_b[None])[0]
    system = int(np.argmax(log_e))
    met = (votes.a == system) | (votes.b == system)
    won = np.where(votes.chose_b, votes.b, votes.a)[met] == system
    detail = {"system": system, "votes": int(met.sum()), "won": int(won.sum())}
    return Evidence(votes.a.size, float(mixture(log_e, np.ones(log_e.size))), detail)


def log_e_path(votes: Heard) -> Floats:
    """[D] log e-value: half the bet on a rater who answers B with a fixed chance, half on one who reverses the
    board."""
    chance_b = np.array(bets.LEANS)[:, None]
    leans = np.cumsum(np.log(np.where(votes.chose_b, chance_b, 1 - chance_b)), axis=1)
    alternatives = np.stack([mixture(leans, bets.LEAN_WEIGHTS), votes.log_path(-votes.logit)])
    exact = np.cumsum(log_expit(SHARPNESS[:, None] * _toward(votes)), axis=1)
    return mixture(alternatives, [0.5, 0.5]) - np.maximum(votes.log_path(votes.logit), exact.max(axis=0))


def _toward(votes: Heard) -> Floats:
    """[D] by how many logits the board rates the chosen system above the other."""
    theta, _ = votes.ratings
    return np.where(votes.chose_b, 1, -1) * (theta[votes.b] - theta[votes.a])
