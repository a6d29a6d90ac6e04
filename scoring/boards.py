"""From the votes of a study to the canonical result of an edition. No database; the same input, the same JSON."""

import json

import numpy as np

from annotations.quality import QUALITY_RULES

from . import bradley_terry

METHOD, METHOD_VERSION = "bradley-terry", 1
CONFIG = {
    "l2": 0.05,  # a young board is often not strongly connected; with a ridge every board has an answer
    "level": 0.95,
    "tie": "half a win each way",
    "both_bad": "excluded",
    "excluded_flags": ["withdrawn"],
    "cluster": "rater; a vote without rater is a cluster of its own",
    "categories": ["overall"],
}
HEAVY_RATER = 0.1  # above this share of the weight one rater can bend the intervals; the board says so


def config_for(study, reliability=None):
    """The configuration of the study's next edition. reliability: the last `Reliability` id, for weighted votes."""
    weighting = {"reliability": reliability} if study.weight_by_reliability and reliability else {}
    return {**CONFIG, "excluded_flags": excluded_flags(study), **weighting}


def settings_of(config):
    """What of a configuration somebody has set: all but which reliabilities were the last."""
    return {**config, "reliability": "reliability" in config}


def excluded_flags(study):
    """The rules that exclude a vote from the study's board; one that several flag is counted under the first."""
    return ["withdrawn", *(QUALITY_RULES if study.exclude_flagged else ())]


def compute(votes, config):
    """The board of a StudyVotes, as plain JSON: ratings in logits with their intervals, highest first within each
    group of systems that can be compared, the largest group first; and what the reader must know to trust them.
    With a ridge (`config["l2"]` > 0) every input has a board; without votes its groups are empty.
    """
    if not len(votes.outcome):
        return {"groups": [], "g_eff": 0.0, "heaviest_rater_share": 0.0, "converged": True, **_counts(votes)}
    fit = bradley_terry.fit(
        votes.a,
        votes.b,
        votes.outcome,
        len(votes.systems),
        weight=votes.weight if config.get("reliability") else None,
        cluster=votes.cluster,
        l2=config["l2"],
    )
    low, high = fit.interval(config["level"])
    groups = [
        sorted(
            (_rating(votes, system, fit, low, high) for system in group),
            key=lambda rating: (-rating["rating"], rating["system"]),
        )
        for group in fit.groups
    ]
    return {
        "groups": sorted(groups, key=lambda group: (-len(group), group[0]["system"])),
        "g_eff": round(fit.g_eff, 6),
        "heaviest_rater_share": round(_heaviest_share(votes), 6),
        "converged": bool(fit.converged),
        **_counts(votes),
    }


def _counts(votes):
    return {
        "n_votes": len(votes.outcome),
        "excluded": votes.excluded,
        "n_raters": votes.n_raters,
        "n_without_rater": votes.n_without_rater,
    }


def _rating(votes, system, fit, low, high):
    credit = np.concatenate([votes.outcome[votes.a == system], 1 - votes.outcome[votes.b == system]])
    return {
        "system": votes.systems[system],
        "rating": _rounded(fit.theta[system]),
        "stderr": _rounded(fit.stderr[system]),
        "low": _rounded(low[system]),
        "high": _rounded(high[system]),
        "n_votes": len(credit),
        "wins": int((credit == 1).sum()),
        "losses": int((credit == 0).sum()),
        "ties": int((credit == 0.5).sum()),
    }


def _rounded(value):
    return round(float(value), 6) + 0.0  # + 0.0 turns -0.0 into 0.0


def _heaviest_share(votes):
    _, rater = np.unique(votes.cluster, return_inverse=True)
    return float(np.bincount(rater, votes.weight).max() / votes.weight.sum())


def canonical_json(result):
    """The one way a result is written down, so that two computations can be compared byte by byte."""
    return json.dumps(result, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def is_due(*, n_counted, n_new_entries, n_votes, oldest_wait_s, since_last_s):
    """Whether a board should be computed again.

    n_counted: votes in the ledger at the last edition; n_votes: now; n_new_entries: votes, flags and new weights since;
    oldest_wait_s: age of the oldest uncounted one; since_last_s: age of the edition.
    """
    if not n_new_entries:
        return False
    if n_votes < 1000 or since_last_s >= 3600:
        return True
    return oldest_wait_s >= 30 and n_votes - n_counted >= 0.01 * n_counted
