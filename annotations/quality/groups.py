"""Which groups of a study's raters are bet against as a whole, and who in them is flagged.

A `Partition` puts raters into groups by how they came. Each group is judged by the board of all others (held out), and
the wealth of the bet is spread over all systems and both directions, so that nothing is learnt from the votes that are
bet on. The chance that any honest group of a study is ever flagged is at most alpha: each kind of partition has a share
of it, and the k-th group of a kind that could be judged has 1 / (k (k + 1)) of that; both are settled before its votes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from .coordinated import AGAINST, FOR, MEMBER, MIN_RATERS, Ballots, Together, together
from .evidence import Evidence, Floats, answers, decisive
from .honest import TASTE_SD, indices
from .screening import CREDIT_TO_A
from .verdict import ALPHA, MIN_BOARD_RATERS, SHARE_COORDINATED

CONNECTION, NETWORK, DEVICE, ARRIVAL = "connection", "network", "device", "arrival"
SHARES = {CONNECTION: 0.3, NETWORK: 0.3, DEVICE: 0.2, ARRIVAL: 0.2}  # of the rule's alpha
STRETCHES = (16, 32, 64, 128, 256, 512, 1024)  # raters in a row, in the order of arrival
CONSPICUOUS = 2.5  # standard deviations from the board; less cannot win the bet, and is not worked out
MOST_BETS = 3  # that are worked out for a group: the most conspicuous ones
ROUNDS = 2

Fit = Callable[[np.ndarray, np.ndarray, np.ndarray, int, np.ndarray], ArrayLike]


@dataclass(frozen=True, eq=False)
class StudyVotes:
    """a, b: int [V] systems in slots A and B. preference: [V]. rater: int [V], raters in the order of their arrival."""

    a: ArrayLike
    b: ArrayLike
    preference: ArrayLike
    rater: ArrayLike


@dataclass(frozen=True, eq=False)
class Partition:
    """Groups of one kind. group: int [R], each rater's, -1 where it is not known; weight: [G], the share of the rule's
    alpha that each group has."""

    kind: str
    group: np.ndarray
    weight: Floats


@dataclass(frozen=True, eq=False)
class Finding:
    """A group that votes for or against one system together. raters: int [M], those of it who are flagged."""

    kind: str
    group: int
    evidence: Evidence
    raters: np.ndarray


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The votes as the search needs them, and counts of them by pair and credit for boards without some."""

    a: np.ndarray
    b: np.ndarray
    outcome: Floats  # credit to a
    rater: np.ndarray
    is_decisive: np.ndarray
    n: int
    cell: np.ndarray = field(repr=False)  # int [V], pair and credit


def partitions(
    connection: ArrayLike, network: ArrayLike, device: ArrayLike, place: ArrayLike | None = None
) -> list[Partition]:
    """All partitions of raters who are numbered in the order in which they came. connection, network, device: int [R],
    the rater's group of that kind, below 0 where it is not known. place: int [R], in the order of arrival, below 0
    where it is not known; None: of all raters, as they are numbered."""
    known = {CONNECTION: connection, NETWORK: network, DEVICE: device}
    found = [Partition(kind, *_weighed(np.asarray(group), SHARES[kind])) for kind, group in known.items()]
    place = np.arange(len(found[0].group)) if place is None else np.asarray(place)
    each = SHARES[ARRIVAL] / len(STRETCHES)
    return [
        *found,
        *(Partition(ARRIVAL, *_weighed(np.where(place < 0, -1, place // length), each)) for length in STRETCHES),
    ]


def _weighed(group: np.ndarray, share: float) -> tuple[np.ndarray, Floats]:
    """(group, the share of each): the k-th group to have MIN_RATERS has 1 / (k (k + 1)); smaller ones have none."""
    n = int(group.max(initial=-1)) + 1
    raters = np.flatnonzero(group >= 0)
    raters = raters[np.argsort(group[raters], kind="stable")]
    size = np.bincount(group[raters], minlength=n)
    big = np.flatnonzero(size >= MIN_RATERS)
    became = raters[np.cumsum(size)[big] - size[big] + MIN_RATERS - 1]  # the rater who made it a group
    weight, k = np.zeros(n), np.arange(1, big.size + 1)
    weight[big[np.argsort(became)]] = share / (k * (k + 1))
    return group, weight


def find(
    votes: StudyVotes,
    groups: Sequence[Partition],
    n_systems: int,
    fit: Fit,
    *,
    l2: float = 0.05,
    alpha: float = ALPHA,
    left_out: ArrayLike | None = None,
    distrusted: ArrayLike | None = None,
) -> list[Finding]:
    """The groups that are flagged. fit(a, b, outcome, n_systems, weight) -> theta [n], with outcome the credit to a,
    and ridge `l2`. left_out: bool [R], raters of no board and no group, because a person has cleared them. distrusted:
    bool [R], raters of no board, because they were flagged before; their groups are still judged with them."""
    n_raters = len(groups[0].group) if groups else 0
    out, before = (
        np.zeros(n_raters, bool) if marks is None else np.asarray(marks, dtype=bool) for marks in (left_out, distrusted)
    )
    pairs = _pairs(votes, n_systems, n_raters, out)
    flagged, found = before, list[Finding]()
    for _ in range(ROUNDS):  # the second on boards without those found in the first
        found = _find(pairs, groups, fit, l2, alpha, flagged)
        flagged = before | np.isin(np.arange(n_raters), [rater for one in found for rater in one.raters.tolist()])
        if not found:
            break
    return found


def _pairs(votes: StudyVotes, n: int, n_raters: int, out: np.ndarray) -> _Pairs:
    preference = answers("preference", votes.preference)
    a, b = (indices(name, values, preference.size, n) for name, values in (("a", votes.a), ("b", votes.b)))
    rater = indices("rater", votes.rater, preference.size, n_raters)
    used = (preference != "BOTH_BAD") & ~out[rater]
    a, b, rater, preference = a[used], b[used], rater[used], preference[used]
    outcome = np.select([preference == answer for answer in CREDIT_TO_A], list(CREDIT_TO_A.values()), np.nan)
    cell = (a * n + b) * 3 + (2 * outcome).astype(int)
    return _Pairs(a, b, outcome, rater, decisive(preference), n, cell)


def _find(
    pairs: _Pairs, groups: Sequence[Partition], fit: Fit, l2: float, alpha: float, flagged: np.ndarray
) -> list[Finding]:
    trusted = ~flagged[pairs.rater]
    counts, raters = np.bincount(pairs.cell[trusted], minlength=3 * pairs.n**2), np.unique(pairs.rater[trusted])
    if raters.size < MIN_BOARD_RATERS:
        return []
    theta, _ = _board(pairs.n, counts, raters.size, fit, l2)
    found, judged = [], dict[bytes, tuple[Evidence, np.ndarray]]()  # a connection is often a network and a device, too
    for partition in groups:
        group = partition.group[pairs.rater]
        order = np.argsort(group, kind="stable")
        ends = np.searchsorted(group[order], np.arange(partition.weight.size + 1))
        for number, bets in _conspicuous(pairs, partition, group, theta).items():
            own = order[ends[number] : ends[number + 1]]
            trusted_own = own[trusted[own]]
            others = raters.size - np.unique(pairs.rater[trusted_own]).size
            if others < MIN_BOARD_RATERS:
                continue
            if (key := own.tobytes()) not in judged:
                rest = counts - np.bincount(pairs.cell[trusted_own], minlength=counts.size)
                judged[key] = _judge(pairs, own, bets, *_board(pairs.n, rest, others, fit, l2))
            evidence, members = judged[key]
            if evidence.log_e >= -np.log(alpha * SHARE_COORDINATED * partition.weight[number]) and members.size:
                found.append(Finding(partition.kind, number, evidence, members))
    return found


def _board(n: int, counts: np.ndarray, n_raters: int, fit: Fit, l2: float) -> tuple[Floats, Floats]:
    """(theta, standard errors) of the board of votes counted by pair and credit. The errors are those of the model and
    of raters' tastes."""
    cells = np.flatnonzero(counts)
    pair, credit = np.divmod(cells, 3)
    a, b = np.divmod(pair, n)
    weight = counts[cells].astype(float)
    theta = np.asarray(fit(a, b, credit / 2, n, weight), dtype=float)
    p = expit(theta[a] - theta[b])
    information = np.zeros((n, n))
    np.add.at(information, (a, b), -weight * p * (1 - p))
    information += information.T
    np.fill_diagonal(information, -information.sum(axis=1))
    centred = np.linalg.inv(information + 2 * l2 * np.eye(n))
    centred = centred - centred.mean(axis=0)
    variance = np.diagonal(centred - centred.mean(axis=1, keepdims=True))
    return theta, np.sqrt(variance + TASTE_SD**2 / n_raters)


def _conspicuous(pairs: _Pairs, partition: Partition, group: np.ndarray, theta: Floats) -> dict[int, list[Any]]:
    """{group: [(system, direction)]} of the bets that may be won, at most MOST_BETS of a group: its share for or
    against the system is CONSPICUOUS standard deviations from that of the board."""
    used = pairs.is_decisive & np.append(partition.weight > 0, False)[group]  # -1, the last, is unknown
    a, b, of = pairs.a[used], pairs.b[used], group[used] * pairs.n
    chance = expit(theta[a] - theta[b])
    excess, variance = pairs.outcome[used] - chance, chance * (1 - chance)
    size = partition.weight.size * pairs.n
    total = np.bincount(of + a, excess, size) - np.bincount(of + b, excess, size)
    spread = np.sqrt(np.bincount(of + a, variance, size) + np.bincount(of + b, variance, size))
    deviation = np.abs(total) / np.maximum(spread, 1e-9)
    bets: dict[int, list[Any]] = {}
    for place in np.argsort(-deviation, kind="stable")[: int((deviation > CONSPICUOUS).sum())].tolist():
        number, system = divmod(place, pairs.n)
        if len(bets.setdefault(number, [])) < MOST_BETS:
            bets[number].append((system, FOR if total[place] > 0 else AGAINST))
    return bets


def _judge(
    pairs: _Pairs, own: np.ndarray, bets: list[Any], theta: Floats, stderr: Floats
) -> tuple[Evidence, np.ndarray]:
    """(evidence, raters to flag) of a group: a mean over all systems and directions, in which those not worked out
    count as lost."""
    own = own[pairs.is_decisive[own]]
    a, b, chose_b, rater = pairs.a[own], pairs.b[own], pairs.outcome[own] == 0, pairs.rater[own]
    judged = [
        together(Ballots.of(system, a, b, chose_b, rater, theta), pairs.n, float(stderr[system]), direction)
        for system, direction in bets
    ]
    log_e = float(np.logaddexp.reduce([bet.evidence.log_e for bet in judged]) - np.log(2 * pairs.n))
    most: Together = max(judged, key=lambda bet: bet.evidence.log_e)
    return replace(most.evidence, log_e=log_e), most.raters[most.belongs >= MEMBER]
