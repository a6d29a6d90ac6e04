"""Do raters who came together vote for one system, or against one, far more than any honest group does?

A group is judged as a whole, so that one or two votes of each of its raters are enough. Who belongs to it is known
before anybody votes: a connection, a network, a browser at a connection, a stretch of the order of arrival. Likeness of
answers makes no group, because honest raters agree through the music.

The bet is on one system and one direction, "for" or "against". Honest groups differ from the rest of the study: they
may hear better, or not listen at all, and share a taste; and the others' board may itself be under attack from where no
group is known. So the null is not that board but the limit of what it allows: the group goes the bet's way in each pair
at most as often as raters twice as sharp do, as guessing does, or as the others would without a share FOREIGN of them
who all vote the other way, whichever is most; with SHARED_TASTE logits on top and twice the board's error.
Around this limit raters vary as `honest.py` says. The alternative is GAINS logits beyond it. Their likelihood ratio
grows with every vote that goes the bet's way, so its expectation is largest at the limit itself, where it is 1, and
less for every group below it.

A rater's ratio is an e-value e_r. Staking a share of the wealth on each rater of the group makes
prod_r (1 - share + share e_r): an e-value after every vote, and one that wins although honest raters are among the
others. A group's evidence is the mean over SHARES and GAINS.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from .evidence import Evidence, Floats, mixture
from .honest import SLIP, TASTE_SD, draws, log_mean

FOREIGN = 0.3  # of the others' votes on the system may be an attack on it
SHARPER = 2.0  # times as sharp as the others' board
SHARED_TASTE = 0.6  # logits: twice the spread of tastes between raters
ERRORS = 2.0  # standard errors of the others' board
GAINS = (1.0, 2.5, 5.0)  # logits beyond the limit
SHARES = (0.25, 0.5, 0.9)  # of the group that is coordinated
MIN_RATERS = 5  # fewer are judged one by one
MEMBER = 0.9  # a rater belongs to what is flagged if they are coordinated with at least this probability
FOR, AGAINST = 1, -1
AT_ONCE = 20_000  # votes whose draws are in memory together


@dataclass(frozen=True, eq=False)
class Ballots:
    """The decisive votes of some raters in which one system took part, sorted by rater.

    rater: int [D]. ahead: [D], by how many logits the others rate that system above its opponent. opponent: int [D].
    in_b: bool [D], whether it was in slot B. won: bool [D].
    """

    system: int
    rater: np.ndarray
    ahead: Floats
    opponent: np.ndarray
    in_b: NDArray[np.bool_]
    won: NDArray[np.bool_]

    @classmethod
    def of(
        cls, system: int, a: np.ndarray, b: np.ndarray, chose_b: np.ndarray, rater: np.ndarray, theta: ArrayLike
    ) -> "Ballots":
        """From decisive votes [V] of which any may be on other systems; theta: [n], the ratings by the others."""
        met = (a == system) | (b == system)
        order = np.flatnonzero(met)[np.argsort(rater[met], kind="stable")]
        in_b, theta = b[order] == system, np.asarray(theta, dtype=float)
        opponent = np.where(in_b, a[order], b[order])
        return cls(system, rater[order], theta[system] - theta[opponent], opponent, in_b, chose_b[order] == in_b)


@dataclass(frozen=True, eq=False)
class Together:
    """The evidence that a group votes for (direction FOR) or against (AGAINST) a system together. raters: int [R],
    those with decisive votes on it, ascending. belongs: [R], the probability that each is one of the coordinated."""

    direction: int
    evidence: Evidence
    raters: np.ndarray
    belongs: Floats


def together(votes: Ballots, n_systems: int, stderr: float, direction: int) -> Together:
    """Bet against one group. n_systems: of the board. stderr: of the system's rating by the others."""
    raters, first = np.unique(votes.rater, return_index=True)
    if not raters.size:
        return Together(direction, Evidence(0, 0.0), raters, np.zeros(0))
    log_ratio = _log_ratios(votes, first, n_systems, stderr, direction)
    shares = np.array(SHARES)[:, None, None]
    log_stakes = np.log1p(-shares)
    staked = np.logaddexp(log_stakes, np.log(shares) + log_ratio)  # [SHARES, GAINS, R]
    paths = staked.sum(axis=2).reshape(-1)
    posterior = np.exp(paths - paths.max())
    posterior /= posterior.sum()
    belongs = (posterior[:, None] * -np.expm1(log_stakes - staked).reshape(paths.size, -1)).sum(axis=0)
    n, toward = votes.won.size, int((votes.won == (direction == FOR)).sum())
    detail: dict[str, Any] = {
        "system": votes.system,
        "direction": "for" if direction == FOR else "against",
        "raters": int(raters.size),
        "votes": n,
        "toward": toward,
        "expected": round(float(expit(direction * votes.ahead).sum()), 1),
    }
    return Together(direction, Evidence(n, float(mixture(paths, np.ones(paths.size))), detail), raters, belongs)


def limit(ahead: Floats, stderr: float, direction: int) -> Floats:
    """[D] logits toward the bet that an honest group reaches at most, given those by the others' board."""
    without_attack = logit(np.minimum(expit(direction * ahead) / (1 - FOREIGN), 1 - SLIP))
    honest = np.max([SHARPER * direction * ahead, np.zeros_like(ahead), without_attack], axis=0)
    return honest + SHARED_TASTE + ERRORS * stderr


def _log_ratios(votes: Ballots, first: np.ndarray, n_systems: int, stderr: float, direction: int) -> Floats:
    """[GAINS, R] log likelihood ratio of each rater: the mean over honest draws beyond the limit, over that at it."""
    honest = limit(votes.ahead, stderr, direction)
    toward = votes.won == (direction == FOR)
    ends = np.append(first[1:], votes.rater.size)
    ratios = np.empty((len(GAINS), first.size))
    begin = 0
    while begin < first.size:  # whole raters, about AT_ONCE votes at a time
        end = max(begin + 1, int(np.searchsorted(ends, first[begin] + AT_ONCE, "right")))
        some = slice(first[begin], ends[end - 1])
        at_limit = honest[some] + direction * _differences(votes, some, n_systems)
        starts = first[begin:end] - first[begin]
        log_likelihood = [
            log_mean(np.add.reduceat(_log_chance(at_limit + gain, toward[some]), starts, axis=1).T)
            for gain in (0.0, *GAINS)
        ]
        ratios[:, begin:end] = np.array(log_likelihood[1:]) - log_likelihood[0]
        begin = end
    return ratios


def _differences(votes: Ballots, some: slice, n_systems: int) -> Floats:
    """[DRAWS, D] logits by which each honest draw differs from the group, toward the system: its taste and its lean to
    a slot."""
    _, lean, taste = draws(n_systems)
    slot = np.where(votes.in_b[some], 1.0, -1.0)
    return TASTE_SD * (taste[:, [votes.system]] - taste[:, votes.opponent[some]]) + lean * slot


def _log_chance(toward: Floats, happened: np.ndarray) -> Floats:
    return np.log(SLIP / 2 + (1 - SLIP) * expit(np.where(happened, toward, -toward)))
