"""A skill in [0, 1] per rater, the share of votes based on listening, by a small EM.

Each decisive vote follows the board's model with probability skill, else it is a guess:
P(vote) = skill p + (1 - skill) / 2, with p the board's probability of that vote. Skill has a Beta(4, 2) prior: it
weighs as much as six votes, with mean 2/3 and mode 3/4, so that a new rater is neither trusted nor dismissed. The log
posterior is concave in skill, so EM converges to its only maximum (Dempster, Laird & Rubin 1977, JRSS B 39; the mixture
of a model and a guess, after Dawid & Skene 1979, JRSS C 28).

A rater of skill s carries about s^2 of a listener's information; as a weight on a board the skill itself is
milder.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from .evidence import Floats, decisive
from .honest import check_votes, indices

PRIOR = (4.0, 2.0)  # both above 1, so that the maximum lies inside (0, 1)
MAX_STEPS = 2000
TOLERANCE = 1e-8  # of skill


@dataclass(frozen=True, eq=False)
class Skills:
    """skill, sd: [R], the posterior's mode and its standard deviation from the curvature there. n: [R] decisive votes.
    objective: [steps] the log posterior up to a constant, which never decreases. converged: EM reached TOLERANCE."""

    skill: Floats
    sd: Floats
    n: np.ndarray
    objective: Floats
    converged: bool


def reliability(
    a: ArrayLike, b: ArrayLike, preference: ArrayLike, rater: ArrayLike, theta: ArrayLike, n_raters: int
) -> Skills:
    """Skills of all raters of a board. a, b: int [V], systems in slots A and B. preference: [V], of which A and B
    count. rater: int [V] in [0, n_raters). theta: [n] for all, or [n_raters, n], each rater's board without them.
    """
    ratings = np.atleast_2d(np.asarray(theta, dtype=float))
    if ratings.shape[0] not in (1, n_raters):
        raise ValueError(f"theta has {ratings.shape[0]} rows, but there are {n_raters} raters: give one, or one each")
    a, b, preference, _ = check_votes(a, b, preference, ratings.ravel()[: ratings.shape[1]])
    rater = indices("rater", rater, preference.size, n_raters)
    counts = decisive(preference)
    a, b, rater, chose_b = a[counts], b[counts], rater[counts], preference[counts] == "B"
    row = rater if ratings.shape[0] > 1 else np.zeros_like(rater)
    toward = np.where(chose_b, 1, -1) * (ratings[row, b] - ratings[row, a])
    return _climb(expit(toward), rater, n_raters)


def _climb(p: Floats, rater: np.ndarray, n_raters: int) -> Skills:
    yes, no = PRIOR[0] - 1, PRIOR[1] - 1
    n = np.bincount(rater, minlength=n_raters)
    skill, converged = np.full(n_raters, yes / (yes + no)), False
    objective: list[float] = []
    while len(objective) < MAX_STEPS and not converged:
        listened = skill[rater] * p
        likelihood = listened + (1 - skill[rater]) / 2
        objective.append(float(np.log(likelihood).sum() + (yes * np.log(skill) + no * np.log1p(-skill)).sum()))
        share = np.bincount(rater, listened / likelihood, n_raters)  # E: expected votes based on listening
        new = (share + yes) / (n + yes + no)  # M
        converged = bool(np.abs(new - skill).max(initial=0.0) <= TOLERANCE)
        skill = new
    slope = (p - 0.5) / (0.5 + skill[rater] * (p - 0.5))
    curvature = np.bincount(rater, slope**2, n_raters) + yes / skill**2 + no / (1 - skill) ** 2
    return Skills(skill, 1 / np.sqrt(curvature), n, np.array(objective), converged)
