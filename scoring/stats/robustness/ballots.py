"""The votes of a board with the method that rates them, so that it can be asked: and without these?"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from scoring.stats import board_method, bradley_terry, influence
from scoring.stats.rounding import rounded
from scoring.stats.votes import LedgerVotes


@dataclass(frozen=True, eq=False)
class Ballots:
    """Votes as `board_method.compute` takes them, each of weight > 0 and with what it weighs on the board, and the
    configuration of the board.

    systems: n names. a, b: int [V]. outcome: float [V], credit to a, or BOTH_BAD. weight: float [V].
    cluster: int [V], one label per rater; below 0: a vote without rater. covariates: {name: float [V]}.
    """

    systems: list[str]
    a: np.ndarray
    b: np.ndarray
    outcome: np.ndarray
    weight: np.ndarray
    cluster: np.ndarray
    config: dict[str, Any]
    covariates: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, votes: LedgerVotes, config: dict[str, Any]) -> Self:
        """From a StudyVotes, or whatever has its arrays."""
        votes = influence.limited(votes, config)
        a, b, outcome, weight, cluster = map(np.asarray, (votes.a, votes.b, votes.outcome, votes.weight, votes.cluster))
        whole = cls(list(votes.systems), a, b, outcome, weight, cluster, config, dict(votes.covariates))
        return whole if (whole.weight > 0).all() else whole.kept(whole.weight > 0)

    def __len__(self) -> int:
        return len(self.outcome)

    def kept(self, which: np.ndarray) -> Self:
        """Only these votes, bool [V]; the systems stay."""
        columns = {name: getattr(self, name)[which] for name in ("a", "b", "outcome", "weight", "cluster")}
        return replace(self, **columns, covariates={name: values[which] for name, values in self.covariates.items()})

    def fit(self) -> bradley_terry.Fit:
        return board_method.fit_votes(self, self.config)

    def linearise(self, fit: bradley_terry.Fit) -> bradley_terry.Linearised:
        """`bradley_terry.Linearised` of its own fit."""
        return bradley_terry.linearise(
            fit,
            self.a,
            self.b,
            self.outcome,
            len(self.systems),
            covariates=self.covariates if self.config.get("covariates") else None,
            weight=self.weight if board_method.weighs(self.config) else None,
            l2=self.config["l2"],
        )


def leading_group(fit: bradley_terry.Fit, systems: Sequence[str]) -> list[int]:
    """Indices of the systems of the largest group (of equals the first by name), highest rating first: as on a board,
    equal ratings by name."""
    groups = [in_order(fit, group, systems) for group in fit.groups]
    return min(groups, key=lambda group: (-len(group), systems[group[0]]))


def in_order(fit: bradley_terry.Fit, group: Sequence[int], systems: Sequence[str]) -> list[int]:
    return sorted(group, key=lambda system: (-rounded(fit.theta[system]), systems[system]))
