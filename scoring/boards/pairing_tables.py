"""The pairing table of a study, written after each edition: what the jury knows, for the stage to draw from."""

import numpy as np

from arena.models import PairingTable, Study
from scoring.stats import pair_design

FAMILIAR = 20  # votes, before which a system is new
METHOD = {"criterion": "A, of open orders", "steps": pair_design.STEPS, "ahead": pair_design.AHEAD, "version": 1}


def write(edition, votes):
    """The PairingTable of an edition, made of its votes, where the study draws pairs by such a table; else None.

    Every system in service is in it. One that nobody has voted on has the ratings' mean and all the uncertainty that
    the board's ridge leaves it; up to FAMILIAR votes it is welcomed. The last few tables are kept.
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
    """float [pairs] of the active systems (names). Votes on systems that have retired tell of those they met."""
    names = [*active, *sorted(set(votes.systems) - set(active))]
    place = np.array([names.index(name) for name in votes.systems], dtype=np.intp)
    ratings = {rating["system"]: rating["rating"] for group in edition.result["groups"] for rating in group}
    mean = np.mean(list(ratings.values())) if ratings else 0.0
    theta = np.array([ratings.get(name, mean) for name in names])
    told = votes.outcome >= 0  # "both bad" compares nothing
    covariance = pair_design.posterior_covariance(
        place[votes.a[told]], place[votes.b[told]], votes.weight[told], theta, _precision(edition)
    )
    n = len(active)
    share = pair_design.design(theta[:n], covariance[:n, :n], len(votes.outcome))
    heard = np.bincount(place[np.append(votes.a, votes.b)], minlength=len(names))[:n]
    return pair_design.welcome(share, heard < FAMILIAR)


def _precision(edition):
    return 2 * edition.config["l2"]  # the ridge, as a normal prior
