"""From the votes of a study to the canonical result of an edition. No database; the same input, the same JSON.

Version 3 caps what one network weighs, where a configuration has an `influence`. Version 2 names its treatment of ties
and "both bad", and its input hash is of columns. A configuration without a treatment is of version 1, which knew only
half-ties; its result is computed as it was, its hash was of text.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from annotations.quality import QUALITY_RULES

from . import bradley_terry, influence
from .rebuilding import require_method
from .rounding import rounded
from .votes import BoardVotes, LedgerVotes


class PublishedBoard(Protocol):
    """What of an edition names the method by which it was computed."""

    method: str
    method_version: int


class StudyChoice(Protocol):
    """What of a study decides how its board is computed."""

    weight_by_reliability: bool
    exclude_flagged: bool


METHOD, METHOD_VERSION = "bradley-terry", 3
VERSIONS = (1, 2, 3)  # that `compute` still computes as they were
OVERALL = "overall"  # the category that every board has
HALF_TIE, DAVIDSON, GROUNDED = "half_tie", "davidson", "grounded"
TREATMENTS = {
    HALF_TIE: {"tie": "half a win each way", "both_bad": "excluded"},
    DAVIDSON: {"tie": "an answer of its own", "both_bad": "excluded"},
    GROUNDED: {"tie": "an answer of its own", "both_bad": "an answer of its own"},
}
FITS = {
    None: bradley_terry.fit_version_1,
    HALF_TIE: bradley_terry.fit,
    DAVIDSON: bradley_terry.fit_davidson,
    GROUNDED: bradley_terry.fit_grounded,
}
CONFIG: dict[str, Any] = {
    "treatment": HALF_TIE,
    **TREATMENTS[HALF_TIE],
    "weighting": "none",  # or "uniform_pairs": as if every pair had been as likely as any other; see pair_weights.py
    "covariates": [],  # estimated beside the ratings, which then are those of votes where all of them are 0
    "influence": {"most": 0.1, "from_connections": 5},  # of the weight, by one network; see `influence`
    "l2": 0.05,  # a young board is often not strongly connected; with a ridge every board has an answer
    "level": 0.95,
    "excluded_flags": ["withdrawn"],
    "cluster": "rater; a vote without rater is a cluster of its own",
    "categories": [OVERALL],
}


def config_for(
    study: StudyChoice,
    reliability: int | None = None,
    treatment: str = HALF_TIE,
    covariates: Sequence[str] = (),
    weighting: str = "none",
    known_of_systems: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The configuration of the study's next edition. reliability: the last `Reliability` id, for weighted votes;
    treatment: of ties and "both bad", a key of TREATMENTS; covariates: names, which only half-ties go with; weighting:
    of votes by how their pairs were drawn, one of `pair_weights.WEIGHTINGS`; known_of_systems: what the covariates rest
    on, see `covariates.known_of_systems`."""
    if covariates and treatment != HALF_TIE:
        raise ValueError(f"covariates go with the treatment {HALF_TIE}, not {treatment}")
    by_rater = {"reliability": reliability} if study.weight_by_reliability and reliability else {}
    chosen = {"treatment": treatment, **TREATMENTS[treatment], "covariates": list(covariates), "weighting": weighting}
    return {**CONFIG, **chosen, "excluded_flags": excluded_flags(study), **by_rater, **(known_of_systems or {})}


def choice_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration was chosen for the board, and stays for its next edition. Version 1 had no choice."""
    return {name: config.get(name, CONFIG[name]) for name in ("treatment", "covariates", "weighting")}


def counts_both_bad(config: Mapping[str, Any]) -> bool:
    """Whether votes BOTH_BAD are on the board."""
    return TREATMENTS[config.get("treatment", HALF_TIE)]["both_bad"] != "excluded"


def weighs(config: Mapping[str, Any]) -> bool:
    """Whether votes may weigh more and less on the board."""
    return weighs_votes(config) or "influence" in config


def weighs_votes(config: Mapping[str, Any]) -> bool:
    """Whether votes weigh more and less by themselves, whoever else has voted."""
    return bool(config.get("reliability")) or config.get("weighting", "none") != "none"


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration somebody has set: all but which reliabilities were the last."""
    return {**config, "reliability": "reliability" in config}


def excluded_flags(study: StudyChoice) -> list[str]:
    """The rules that exclude a vote from the study's board; one that several flag is counted under the first."""
    return ["withdrawn", *(QUALITY_RULES if study.exclude_flagged else ())]


def require_known(edition: PublishedBoard) -> None:
    """CannotBeRebuilt where the edition is by a method that `compute` does not know."""
    require_method(edition, (edition.method, edition.method_version), {(METHOD, version) for version in VERSIONS})


def compute(votes: LedgerVotes, config: Mapping[str, Any]) -> dict[str, Any]:
    """The board of a StudyVotes, as plain JSON: ratings in logits with their intervals, highest first within each
    group of systems that can be compared, the largest group first; and what the reader must know to trust them.
    With a ridge (`config["l2"]` > 0) every input has a board under half-ties; without votes its groups are empty.
    A treatment whose answers nobody gave raises `bradley_terry.NotOffered`, a covariate without an effect to estimate
    `bradley_terry.BadCovariate`.
    """
    if not len(votes.outcome):
        return {"groups": [], "g_eff": 0.0, "heaviest_rater_share": 0.0, "converged": True, **_counts(votes)}
    cast, votes = votes, influence.limited(votes, config)
    fit = fit_votes(votes, config)
    columns, tallies = _columns(fit, config["level"]), _tallies(votes)
    groups = [
        sorted(
            (_rating(votes, system, columns, tallies) for system in group),
            key=lambda rating: (-rating["rating"], rating["system"]),
        )
        for group in fit.groups
    ]
    return {
        "groups": sorted(groups, key=lambda group: (-len(group), group[0]["system"])),
        "g_eff": rounded(fit.g_eff),
        "heaviest_rater_share": rounded(_heaviest_share(votes)),
        "converged": bool(fit.converged),
        **_counts(votes),
        **_beside(fit, config["level"]),
        **(influence.told(cast, votes, config, fit, fit_votes) if "influence" in config else {}),
    }


def fit_votes(votes: BoardVotes, config: Mapping[str, Any]) -> bradley_terry.Fit:
    """The `bradley_terry.Fit` of the votes that the configuration names, by their weights: those of `influence.limited`
    where no network may decide too much."""
    weight = votes.weight if weighs(config) else None
    arguments = votes.a, votes.b, votes.outcome, len(votes.systems)
    settings = {"weight": weight, "cluster": votes.cluster, "l2": config["l2"]}
    if config.get("covariates"):
        return bradley_terry.fit_with_covariates(*arguments, votes.covariates, **settings)
    return FITS[config.get("treatment")](*arguments, **settings)


def _columns(fit: bradley_terry.Fit, level: float) -> dict[str, np.ndarray]:
    """{name of a figure: [n]}. A grounded board also says how often a system is bad next to one just like itself."""
    low, high = fit.interval(level)
    columns = {"rating": fit.theta, "stderr": fit.stderr, "low": low, "high": high}
    if isinstance(fit, bradley_terry.OutcomeFit) and fit.model.grounded:
        at = {"both_bad_share": fit.theta, "both_bad_low": high, "both_bad_high": low}  # it falls as ratings rise
        columns |= {name: np.exp(-np.logaddexp(0, np.log(2) + theta)) for name, theta in at.items()}
    return columns


def _beside(fit: bradley_terry.Fit, level: float) -> dict[str, Any]:
    """What a fit says besides the ratings. A model of ties: eta, with nu = e^eta or lambda = 1 + e^eta, and what a
    rating of zero is. Covariates: the effect of each, logits per unit."""
    if isinstance(fit, bradley_terry.OutcomeFit):
        eta = _figures(fit.eta, fit.eta_stderr, *fit.eta_interval(level))
        return {"eta": eta, "zero": "absolute" if fit.model.grounded else "mean"}
    if isinstance(fit, bradley_terry.CovariateFit):
        columns = zip(fit.beta, fit.beta_stderr, *fit.beta_interval(level), strict=True)
        return {"effects": {name: _figures(*row) for name, row in zip(fit.names, columns, strict=True)}}
    return {}


def _figures(value: float, stderr: float, low: float, high: float) -> dict[str, float]:
    return {"value": rounded(value), "stderr": rounded(stderr), "low": rounded(low), "high": rounded(high)}


def _counts(votes: LedgerVotes) -> dict[str, Any]:
    return {
        "n_votes": len(votes.outcome),
        "excluded": votes.excluded,
        "n_raters": votes.n_raters,
        "n_without_rater": votes.n_without_rater,
    }


def _rating(
    votes: LedgerVotes, system: int, columns: Mapping[str, np.ndarray], tallies: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    tally = {name: int(counts[system]) for name, counts in tallies.items()}
    if "both_bad_share" not in columns:
        tally.pop("both_bad")
    return {
        "system": votes.systems[system],
        **{name: rounded(values[system]) for name, values in columns.items()},
        **tally,
    }


def _tallies(votes: LedgerVotes) -> dict[str, np.ndarray]:
    """{name: int [n]}: votes of each system by what they say of it."""
    n = len(votes.systems)

    def count(of_a: float, of_b: float) -> np.ndarray:
        return np.bincount(votes.a[votes.outcome == of_a], minlength=n) + np.bincount(
            votes.b[votes.outcome == of_b], minlength=n
        )

    told = {
        "wins": count(1, 0),
        "losses": count(0, 1),
        "ties": count(0.5, 0.5),
        "both_bad": count(bradley_terry.BOTH_BAD, bradley_terry.BOTH_BAD),
    }
    return {"n_votes": np.sum(list(told.values()), axis=0), **told}


def _heaviest_share(votes: LedgerVotes) -> float:
    _, rater = np.unique(votes.cluster, return_inverse=True)
    return float(np.bincount(rater, votes.weight).max() / votes.weight.sum())


def canonical_json(result: Any) -> str:
    """The one way a result is written down, so that two computations can be compared byte by byte."""
    return json.dumps(result, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
