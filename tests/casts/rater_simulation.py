"""A simulated listening test with raters of every kind, for the tests and the bench.

What is assumed, so that a reader can judge the results:

- Eight systems with ratings from N(0, 1); each vote's pair and slots are drawn uniformly.
- Good raters vote by Bradley-Terry: sharpness lognormal (sd 0.25), optionally a taste of their own per system;
  a share of ties drawn per rater (5 to 15 %); golds right with chance 0.95; a repeat is a fresh vote on the same
  pair, nothing is remembered. Decisions come a lognormal time after the gate (median 2.5 s), 2 % below 150 ms
  (a finger that was waiting).
- Careless raters ignore what is played. Half are fair coins, half prefer a slot (nine times in ten). Ties as the
  good ones. A third answer as soon as the gate opens (median 120 ms), the others take the time of good raters.
- Adversaries vote for one of the three weakest systems, the same for all, whenever it is there; in everything
  else, golds, times and ties included, they are good raters.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from annotations.quality import RaterVotes


@dataclass(frozen=True)
class Study:
    truth: np.ndarray  # [n] logits
    raters: list[RaterVotes]
    kind: np.ndarray  # [R] good, careless, adversarial

    @property
    def bad(self):
        return self.kind != "good"


def study(seed, *, raters=60, votes=30, golds=3, repeats=3, systems=8, careless=0.2, adversarial=0.05,
          sharpness_sd=0.25, taste_sd=0.0, times=True) -> Study:  # fmt: skip
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=systems)
    truth -= truth.mean()
    target = int(np.argsort(truth)[rng.integers(3)])
    n_careless, n_adversarial = round(careless * raters), round(adversarial * raters)
    n_good = raters - n_careless - n_adversarial
    kind = np.repeat(["good", "careless", "adversarial"], [n_good, n_careless, n_adversarial])
    rng.shuffle(kind)
    people = []
    for one in kind:
        ratings = np.exp(sharpness_sd * rng.normal()) * truth + taste_sd * rng.normal(size=systems)
        person = (
            Careless(rng) if one == "careless" else Listener(rng, ratings, target if one == "adversarial" else None)
        )
        people.append(session(rng, person, votes, golds, repeats, systems, times))
    return Study(truth, people, kind)


def session(rng, person, votes, golds, repeats, systems, times=True) -> RaterVotes:
    a = rng.integers(systems, size=votes)
    b = (a + rng.integers(1, systems, size=votes)) % systems
    preference = person.vote(a, b)
    again = rng.choice(votes, size=repeats, replace=False)
    return RaterVotes(
        a=a,
        b=b,
        preference=preference,
        gold_passed=person.golds(golds),
        repeat_first=preference[again],
        repeat_second=person.vote(b[again], a[again]),
        decision_ms=person.decision_ms(votes) if times else None,
    )


class Listener:
    """Votes by Bradley-Terry on ratings [n]; if given a target, for the target whenever it is there."""

    def __init__(self, rng, ratings, target=None):
        self.rng, self.ratings, self.target = rng, ratings, target
        self.tie_rate = rng.uniform(0.05, 0.15)

    def vote(self, a, b):
        chance_b = expit(self.ratings[b] - self.ratings[a])
        preference = np.where(self.rng.random(a.size) < chance_b, "B", "A").astype("<U8")
        preference[self.rng.random(a.size) < self.tie_rate] = "TIE"
        if self.target is not None:
            preference[a == self.target], preference[b == self.target] = "A", "B"
        return preference

    def golds(self, n):
        return self.rng.random(n) < 0.95

    def decision_ms(self, n):
        thinking = 2500 * np.exp(0.8 * self.rng.normal(size=n))
        return np.where(self.rng.random(n) < 0.02, self.rng.uniform(20, 150, n), thinking)


class Careless:
    """Answers B with a fixed chance, whatever is played."""

    def __init__(self, rng):
        self.rng = rng
        self.chance_b = rng.choice([0.5, 0.5, 0.1, 0.9])
        self.tie_rate = rng.uniform(0.05, 0.15)
        self.hasty = rng.random() < 1 / 3

    def vote(self, a, b):
        preference = np.where(self.rng.random(a.size) < self.chance_b, "B", "A").astype("<U8")
        preference[self.rng.random(a.size) < self.tie_rate] = "TIE"
        return preference

    def golds(self, n):
        return self.rng.random(n) < 0.5

    def decision_ms(self, n):
        median = 120 if self.hasty else 2500
        return median * np.exp(0.8 * self.rng.normal(size=n))
