"""Raters in numbers, honest and not, as arrays: for the tests of groups and for the bench."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from annotations.quality import groups
from scoring.stats.bradley_terry import fit

L2 = 0.05


@dataclass(frozen=True)
class Crowd:
    """Votes [V] of raters numbered from 0: systems in slots A and B, answers, whose they are."""

    a: np.ndarray
    b: np.ndarray
    preference: np.ndarray
    rater: np.ndarray
    n_raters: int

    @classmethod
    def of(
        cls,
        rng,
        theta,
        n_raters,
        votes,
        *,
        taste=0.0,
        sharpness=1.0,
        target=None,
        against=False,
        ties=0.1,
        taste_sd=0.3,
    ):
        """votes: of each rater, or (fewest, most). taste: [n] or 0, shared by all. target: a system that they vote for,
        or against, whenever it is there; in all else they are honest."""
        n, crowds = theta.size, []
        for number in range(n_raters):
            k = votes if np.isscalar(votes) else rng.integers(votes[0], votes[1] + 1)
            ratings = sharpness * np.exp(0.3 * rng.normal()) * theta + taste + taste_sd * rng.normal(size=n)
            a = rng.integers(n, size=k)
            b = (a + rng.integers(1, n, size=k)) % n
            chance_b = 0.02 + 0.96 * expit(ratings[b] - ratings[a] + 0.2 * rng.normal())
            preference = np.where(rng.random(k) < chance_b, "B", "A").astype("<U8")
            preference[rng.random(k) < ties] = "TIE"
            if target is not None:
                preference[a == target], preference[b == target] = ("B", "A") if against else ("A", "B")
            crowds.append(cls(a, b, preference, np.full(k, number), 1))
        columns = (
            np.concatenate([getattr(crowd, name) for crowd in crowds]) for name in ("a", "b", "preference", "rater")
        )
        return cls(*columns, n_raters)

    def __add__(self, other):
        columns = ((self.a, other.a), (self.b, other.b), (self.preference, other.preference))
        rater = np.concatenate([self.rater, self.n_raters + other.rater])
        return Crowd(*map(np.concatenate, columns), rater, self.n_raters + other.n_raters)

    def as_they_came(self, order):
        """The same votes with raters renumbered: order[r] is the place of rater r."""
        return Crowd(self.a, self.b, self.preference, np.asarray(order)[self.rater], self.n_raters)

    @property
    def votes(self):
        return groups.StudyVotes(self.a, self.b, self.preference, self.rater)


def ratings(seed, n=8):
    """[n] planted ratings, ascending, of mean 0."""
    theta = np.sort(np.random.default_rng(seed).normal(size=n))
    return theta - theta.mean()


def fit_theta(a, b, outcome, n_systems, weight):
    return fit(a, b, outcome, n_systems, weight=weight, l2=L2).theta


def flagged(crowd, connection, n_systems=8, **options):
    """bool [R]: who is flagged where raters came over these connections, int [R]; -1 is unknown."""
    parts = groups.partitions(connection, connection, connection)
    found = groups.find(crowd.votes, parts, n_systems, fit_theta, l2=L2, **options)
    return np.isin(np.arange(crowd.n_raters), [rater for finding in found for rater in finding.raters])
