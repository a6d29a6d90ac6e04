"""The boards of a study's categories: what they take beside the overall board, and how often their intervals hold.

COVERAGE_BOARDS=50 makes a quick table of the second; all 500 for each row take three minutes.
"""

import os
import time
import tracemalloc
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from scoring.stats import bradley_terry, category_method, pooling

VOTES, SYSTEMS, RATERS, PROMPTS, TAGS = 1_000_000, 200, 50_000, 1000, 36
CONFIG = {**category_method.CONFIG, "l2": 0.05, "level": 0.95}

BOARDS, SPREADS = 500, (0.15, 0.4, 0.8)
SYSTEMS_AND_RATERS = ((6, 60), (6, 20), (40, 20))
SHARES = (0.5, 0.3, 0.15, 0.05)  # of the votes in each category: the smallest has 25 votes a system
VOTES_PER_SYSTEM, REACH, TASTE, TIE_WIDTH = 250, 0.8, 0.5, 0.5  # what is common to all goes from -0.8 to 0.8


def run() -> list[dict]:
    """A row of seconds, and one per number of raters and planted spread; an empty cell is a column of the other."""
    boards = int(os.environ.get("COVERAGE_BOARDS", BOARDS))
    rows = [speed(), *(coverage(spread, boards, *sizes) for sizes in SYSTEMS_AND_RATERS for spread in SPREADS)]
    columns = dict.fromkeys(column for row in rows for column in row)
    return [{column: row.get(column, "") for column in columns} for row in rows]


# ---- what they take ----


@dataclass(frozen=True)
class Study:
    """As `category_method.compute` takes votes."""

    systems: list[str]
    a: np.ndarray
    b: np.ndarray
    outcome: np.ndarray
    cluster: np.ndarray
    weight: np.ndarray


def speed() -> dict:
    """Seconds of a processor for all boards of all tags of a study, those of the overall fit with clustered intervals
    (best of three), their ratio, and the peak memory of both, in MiB, the votes not included."""
    votes, members = _tagged()
    arguments = votes.a, votes.b, votes.outcome, SYSTEMS
    fits = [_timed(bradley_terry.fit, *arguments, cluster=votes.cluster, l2=0.05) for _ in range(3)]
    seconds = _timed(category_method.compute, votes, members, CONFIG)
    return {
        "what": "all tags",
        "votes": VOTES,
        "systems": SYSTEMS,
        "raters": RATERS,
        "categories": TAGS,
        "seconds": round(seconds, 2),
        "times_overall_fit": round(seconds / min(fits), 1),
        "peak_mib": round(_peak(category_method.compute, votes, members, CONFIG)),
        "overall_fit_peak_mib": round(_peak(bradley_terry.fit, *arguments, cluster=votes.cluster, l2=0.05)),
    }


def _tagged(seed=0):
    """(votes on prompts of several tags, which move the systems by Normal(0, 0.25^2) each; {kind: {tag: inside}})."""
    rng = np.random.default_rng(seed)
    has = rng.random((PROMPTS, TAGS)) < rng.choice([0.02, 0.05, 0.1, 0.2], size=TAGS)
    rating = rng.normal(size=SYSTEMS) + has @ rng.normal(0, 0.25, (TAGS, SYSTEMS))
    prompt, a = rng.integers(PROMPTS, size=VOTES), rng.integers(SYSTEMS, size=VOTES)
    b = (a + rng.integers(1, SYSTEMS, size=VOTES)) % SYSTEMS
    outcome = (rng.random(VOTES) < expit(rating[prompt, a] - rating[prompt, b])).astype(float)
    outcome[rng.random(VOTES) < 0.1] = 0.5
    names = [f"system {i:03}" for i in range(SYSTEMS)]
    votes = Study(names, a, b, outcome, rng.integers(RATERS, size=VOTES), np.ones(VOTES))
    return votes, {category_method.TAG: {f"tag {k}": has[prompt, k] for k in range(TAGS)}}


def _timed(function, *args, **kwargs) -> float:
    start = time.process_time()
    function(*args, **kwargs)
    return time.process_time() - start


def _peak(function, *args, **kwargs) -> float:
    tracemalloc.start()
    try:
        function(*args, **kwargs)
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


# ---- whether their intervals hold ----


def coverage(spread: float, boards: int = BOARDS, n_systems: int = 6, n_raters: int = 60):
    """The share of ratings, pooled over boards, systems and categories, whose 95 % interval holds the limit; that of
    each category, the largest first; and the spread that was estimated, root mean square, beside that of the limits.

    Each category's ratings are drawn around common ones; raters have tastes of their own and tie what sounds alike.
    """
    common, n_votes = np.linspace(-REACH, REACH, n_systems), VOTES_PER_SYSTEM * n_systems
    held, found, there = np.empty((boards, len(SHARES))), np.empty(boards), np.empty(boards)
    for board in range(boards):
        rng = np.random.default_rng([11, board])
        rating = common + rng.normal(0, spread, (len(SHARES), n_systems))
        category = rng.choice(len(SHARES), n_votes, p=SHARES)
        votes = _votes(rng, rating[category], rng.integers(n_raters, size=n_votes), n_raters)
        inside = [category == k for k in range(len(SHARES))]
        limits = np.array([limit_of(one) for one in rating])
        estimate = pooling.estimate_spread(votes, inside)
        for k, limit in enumerate(limits):
            pooled = pooling.fit_pooled(votes, inside[k], spread=estimate.from_others[k], spread_df=estimate.df)
            low, high = pooled.interval(0.95)
            held[board, k] = ((low <= limit) & (limit <= high)).mean()
        found[board], there[board] = estimate.value**2, limits.var(axis=0, ddof=1).sum() / (n_systems - 1)
    return {
        "what": "coverage",
        "votes": n_votes,
        "systems": n_systems,
        "raters": n_raters,
        "categories": len(SHARES),
        "spread": spread,
        "boards": boards,
        "covered": round(float(held.mean()), 4),
        **{f"covered_{share:.0%}": round(float(one), 4) for share, one in zip(SHARES, held.mean(axis=0), strict=True)},
        "spread_found": round(float(np.sqrt(found.mean())), 3),
        "spread_there": round(float(np.sqrt(there.mean())), 3),
    }


def _votes(rng, rating, rater, n_raters):
    """One per row of rating [V, n], the ratings of the category it is in."""
    n, vote = rating.shape[1], np.arange(rater.size)
    a = rng.integers(n, size=rater.size)
    b = (a + rng.integers(1, n, size=rater.size)) % n
    liking = rating + rng.normal(0, TASTE, (n_raters, n))[rater]
    heard = liking[vote, a] - liking[vote, b] + rng.logistic(size=rater.size)
    outcome = np.where(np.abs(heard) < TIE_WIDTH, 0.5, heard > 0)
    return pooling.Votes.of(a, b, outcome, n, cluster=rater)


def limit_of(rating):
    """What the board of endlessly many such votes, each another rater's, converges to: ties and tastes move it away
    from the ratings."""
    a, b = np.triu_indices(rating.size, 1)
    tastes, share = np.polynomial.hermite_e.hermegauss(31)
    gap = (rating[a] - rating[b])[:, None] + np.sqrt(2) * TASTE * tastes
    credit = (expit(gap + TIE_WIDTH) + expit(gap - TIE_WIDTH)) / 2 @ (share / share.sum())
    return bradley_terry.fit(a, b, credit, rating.size, l2=1e-9).theta
