"""The model of honest raters: not one listener but a population around the board.

Honest raters differ: some are sharper than the board, some prefer a system, some lean slightly to a slot, and all make
mistakes now and then. A null hypothesis of the board's exact probabilities would in time flag everyone. So the null is
a population, represented by DRAWS fixed draws; the likelihood of a rater's votes under the null is the mean over the
draws. The tests built on it are valid for raters drawn from the population: at most a share alpha of them is ever
flagged. The unit tests also try raters at fixed corners of the population.

Ties and BOTH_BAD: everything here is conditional on a vote being decisive. Bradley-Terry does not model how often a
rater hears no difference, and such an answer is honest, never evidence. The board counts a tie as half a win each,
which shrinks its ratings a little; an honest rater then looks a little sharper than the board.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from .evidence import Floats, answers, decisive

DRAWS = 64
SHARPNESS_SD = 0.35  # of log sharpness: 19 in 20 raters within a factor of 2 of the board
TASTE_SD = 0.3  # logits, per rater and system
LEAN_SD = 0.2  # logits towards slot B; in 799 public votes it was 0.2 for all raters together
SLIP = 0.04  # share of answers at random, whatever is heard: no vote has a likelihood below 1 in 50
_SEED = 20240304


@dataclass(frozen=True, eq=False)
class Heard:
    """A rater's D decisive votes, with the logits of each of DRAWS honest raters in the same battles.

    a, b: int [D]. chose_b: bool [D]. logit: [DRAWS, D], that B is preferred. chance_b: [D], by the board itself.
    """

    a: np.ndarray
    b: np.ndarray
    chose_b: np.ndarray
    chance_b: Floats
    logit: Floats
    ratings: tuple[Floats, Floats]  # theta [n] and the sd of taste [n], for `simulate`

    def log_path(self, logit: Floats) -> Floats:
        """[D] log likelihood up to each vote of a population with these logits, [DRAWS, D]."""
        return log_mean(np.cumsum(log_probability(logit, self.chose_b), axis=1).T)

    def predicted(self) -> Floats:
        """[D] the population's probability of each of the rater's answers, given the earlier ones."""
        return np.minimum(np.exp(np.diff(self.log_path(self.logit), prepend=0.0)), 1.0)

    def simulate(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """bool [size, D]: whether each of `size` new honest raters chooses B in each of these battles."""
        theta, spread = self.ratings
        sharpness, lean, taste = _population(rng.standard_normal((size, theta.size + 2)))
        ratings = sharpness * theta + spread * taste
        chance = SLIP / 2 + (1 - SLIP) * expit(ratings[:, self.b] - ratings[:, self.a] + lean)
        return rng.random(chance.shape) < chance


def heard(a: ArrayLike, b: ArrayLike, preference: ArrayLike, theta: ArrayLike, theta_se: ArrayLike | None) -> Heard:
    """The decisive votes as Heard. a, b: int [V], systems in slots A and B. theta: [n] logits. theta_se: [n], widens
    the taste of the draws."""
    a, b, preference, theta = check_votes(a, b, preference, theta)
    counts = decisive(preference)
    a, b, chose_b = a[counts], b[counts], preference[counts] == "B"
    spread = np.full(theta.size, TASTE_SD)
    if theta_se is not None:
        spread = np.hypot(spread, _standard_errors(theta_se, theta.size))
    sharpness, lean, taste = draws(theta.size)
    ratings = sharpness * theta + spread * taste
    logit = ratings[:, b] - ratings[:, a] + lean
    return Heard(a, b, chose_b, expit(theta[b] - theta[a]), logit, (theta, spread))


def log_probability(logit: Floats, chose_b: np.ndarray | bool) -> Floats:
    """log P(answer), including answers at random (SLIP)."""
    return np.log(SLIP / 2 + (1 - SLIP) * expit(np.where(chose_b, logit, -logit)))


def log_mean(values: Floats) -> Floats:
    """log of the mean of exp(values) over the last axis, the draws."""
    most = values.max(axis=-1, keepdims=True)
    return np.log(np.exp(values - most).mean(axis=-1)) + most[..., 0]


def check_votes(
    a: ArrayLike, b: ArrayLike, preference: ArrayLike, theta: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Floats]:
    preference, theta = answers("preference", preference), np.asarray(theta, dtype=float)
    if theta.ndim != 1 or not np.isfinite(theta).all():
        raise ValueError("theta is one finite rating per system")
    return indices("a", a, preference.size, theta.size), indices("b", b, preference.size, theta.size), preference, theta


def indices(name: str, values: ArrayLike, size: int, n: int) -> np.ndarray:
    values = np.asarray(values)
    if values.shape != (size,):
        raise ValueError(f"{name} has shape {values.shape}, but there are {size} answers")
    if size and (values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= n):
        raise ValueError(f"{name} holds whole numbers from 0 to {n - 1}, but not all of these are: {values}")
    return values.astype(np.intp)


def _standard_errors(theta_se: ArrayLike, n: int) -> Floats:
    errors = np.asarray(theta_se, dtype=float)
    if errors.shape != (n,) or not (np.isfinite(errors) & (errors >= 0)).all():
        raise ValueError(f"theta_se is one finite standard error of at least 0 for each of the {n} systems")
    return errors


@lru_cache(maxsize=8)
def draws(n: int) -> tuple[Floats, Floats, Floats]:
    """(sharpness [DRAWS, 1], lean [DRAWS, 1], taste [DRAWS, n] in units of its sd) of the honest draws on n systems."""
    normal = np.random.default_rng(_SEED).standard_normal((DRAWS // 2, n + 2))
    return _population(np.concatenate([normal, -normal]))  # in antithetic pairs, so that the means are exact


def _population(normal: Floats) -> tuple[Floats, Floats, Floats]:
    """(sharpness [D, 1], lean [D, 1], taste [D, n] in units of its sd) from standard normals [D, n + 2]."""
    return np.exp(SHARPNESS_SD * normal[:, :1]), LEAN_SD * normal[:, 1:2], normal[:, 2:]
