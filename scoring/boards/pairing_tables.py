"""The pairing table of a study, written after each edition: from it `arena` draws the pairs of new battles."""

import numpy as np

from arena.models import PairingTable, Study
from scoring.inputs import StudyVotes
from scoring.models import Edition
from scoring.stats import pair_design

FAMILIAR = 20  # votes; a system with fewer is new
METHOD = {"criterion": "A, of open orders", "steps": pair_design.STEPS, "ahead": pair_design.AHEAD, "version": 1}


def write(edition: Edition, votes: StudyVotes) -> PairingTable | None:
    """The PairingTable of an edition, computed from its votes; None where the study does not draw pairs by a table.

    It has every system in service. A system without votes gets the mean rating and the full uncertainty of the board's
    ridge; until a system has FAMILIAR votes, it is drawn more often. The last few tables are kept.
    """
    study = edition.study
    if study.pairing != Study.Pairing.INFORMATIVE:
        return None
    active = dict(study.systems.filter(retired_at__isnull=True).order_by("pk").values_list("name", "pk"))
    if len(active) < 2:
        return None
    share = _share(list(active), votes, edition)
    table = PairingTable.objects.create(
        study=study,
        version=edition.number,
        systems=list(active.values()),
        cumulative=np.cumsum(share).astype("<f8").tobytes(),
        config={**METHOD, "precision": _precision(edition), "n_votes": len(votes.outcome)},
    )
    study.pairing_tables.filter(version__lte=edition.number - PairingTable.KEPT).delete()
    return table


def _share(active, votes, edition):
    """Probability of each pair of active systems, float [pairs]. active: names. Votes on retired systems count too:
    they are informative about the systems that these met."""
    names = [*active, *sorted(set(votes.systems) - set(active))]
    place = np.array([names.index(name) for name in votes.systems], dtype=np.intp)
    ratings = {rating["system"]: rating["rating"] for group in edition.result["groups"] for rating in group}
    mean = np.mean(list(ratings.values())) if ratings else 0.0
    theta = np.array([ratings.get(name, mean) for name in names])
    compared = votes.outcome >= 0  # "both bad" compares nothing
    covariance = pair_design.posterior_covariance(
        place[votes.a[compared]], place[votes.b[compared]], votes.weight[compared], theta, _precision(edition)
    )
    n = len(active)
    share = pair_design.design(theta[:n], covariance[:n, :n], len(votes.outcome))
    heard = np.bincount(place[np.append(votes.a, votes.b)], minlength=len(names))[:n]
    return pair_design.welcome(share, heard < FAMILIAR)


def _precision(edition):
    return 2 * edition.config["l2"]  # the ridge, as a normal prior
