"""What the statistics ask of votes. `scoring.inputs.StudyVotes` has it, as may anything else with these arrays."""

from collections.abc import Mapping
from dataclasses import Field
from typing import Any, ClassVar, Protocol

import numpy as np


class BoardVotes(Protocol):
    """Votes that a board can be fitted to: a, b int [V], indices into systems; outcome, weight float [V]; cluster int
    [V], one label per rater; covariates {name: float [V]}."""

    @property
    def systems(self) -> list[str]: ...
    @property
    def a(self) -> np.ndarray: ...
    @property
    def b(self) -> np.ndarray: ...
    @property
    def outcome(self) -> np.ndarray: ...
    @property
    def weight(self) -> np.ndarray: ...
    @property
    def cluster(self) -> np.ndarray: ...
    @property
    def covariates(self) -> Mapping[str, np.ndarray]: ...


class LedgerVotes(BoardVotes, Protocol):
    """A board's votes with where they stand in the ledger, and with the count of those that were left out."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def seq(self) -> np.ndarray: ...
    @property
    def connection(self) -> np.ndarray: ...  # int [V], opaque numbers of groups by how raters came, -1 where unknown
    @property
    def network(self) -> np.ndarray: ...
    @property
    def excluded(self) -> dict[str, int]: ...
    @property
    def n_raters(self) -> int: ...
    @property
    def n_without_rater(self) -> int: ...
