"""Attacks on a board with and without the rules against them: who leads, how far systems and ratings move, what it
costs.

Eight systems. Honest raters cast 30 votes each; 60 of them sit behind one address and share a taste (0.3 logits per
system). Attackers vote for one system whenever it is there, and honestly otherwise. They come among the last two fifths
of the raters: over one address, over 250 addresses of one network, or each over a network and with a browser's name of
their own. "hasty" attackers answer 100 ms after the gate and listen no longer than they must; the others take their
time. The rules here are those against groups, the one on answering times, and the cap on networks; what the limits per
connection keep out is not counted. A row is the worst of the seeds and of three targets: the worst system, the fifth
and the second.
"""

import numpy as np

from annotations.quality import decision_times, groups
from scoring.stats.bradley_terry import fit
from scoring.stats.caps import capped
from tests.casts.crowds import L2, Crowd, fit_theta, ratings

SEEDS = (1, 2)
CROWDS = (100, 1000)
ATTACKS = {"40 x 30 votes": (40, 30), "300 x 1-2 votes": (300, (1, 2)), "600 x 1-2 votes": (600, (1, 2))}
ORIGINS = ("one address", "one network", "rotating")
HALL, ADDRESSES = 60, 250
TARGETS = (0, 3, 6)  # of 8 systems, from the worst up
LISTENING_S = {False: 30, True: 10}  # a vote of who takes their time, and of who is hasty
SHARE = 0.1
TOO_FAST = 2000  # the e-value at which the rule fires; it judges from 15 answers on


def run(seeds=SEEDS, crowds=CROWDS) -> list[dict]:
    return [
        row(n_honest, name, origin, hasty, seeds)
        for n_honest in crowds
        for name in ATTACKS
        for origin in ORIGINS
        for hasty in (False, True)
        if not hasty or np.isscalar(ATTACKS[name][1])  # fewer than 15 answers are not judged by their times
    ]


def row(n_honest, name, origin, hasty, seeds) -> dict:
    found = [attack(n_honest, name, origin, hasty, seed, target) for seed in seeds for target in TARGETS]
    worst = {key: max(one[key] for one in found) for key in found[0] if key not in ("share", "attackers_flagged")}
    return {
        "honest": n_honest,
        "attack": name,
        "from": origin,
        "hasty": hasty,
        "share_of_votes": round(float(np.mean([one["share"] for one in found])), 2),
        **worst,
        "attackers_flagged": round(float(np.mean([one["attackers_flagged"] for one in found])), 2),
    }


def attack(n_honest, name, origin, hasty, seed, target) -> dict:
    rng, theta = np.random.default_rng([seed, target]), ratings(seed)
    n_attackers, n_votes = ATTACKS[name]
    honest = Crowd.of(rng, theta, n_honest - HALL, 30) + Crowd.of(rng, theta, HALL, 30, taste=0.3 * rng.normal(size=8))
    attackers = Crowd.of(rng, theta, n_attackers, n_votes, target=target)
    order = order_of_arrival(rng, n_honest, n_attackers)
    both = (honest + attackers).as_they_came(order)
    is_attacker, connection, network = origins(order, n_honest, origin)
    device = connection if origin != "rotating" else np.arange(connection.size)
    bad = flagged(both, connection, network, device)
    if hasty:
        bad |= is_attacker & too_fast(rng, n_votes)
    kept = ~is_attacker[both.rater]
    plain = [board(both, which, None) for which in (kept, kept | True)]
    ruled = [board(both, which & ~bad[both.rater], network) for which in (kept, kept | True)]
    votes = int((~kept).sum())
    return {
        "share": votes / kept.size,
        **{f"{key}_unruled": value for key, value in moved(*plain).items()},
        **{f"{key}_ruled": value for key, value in moved(*ruled).items()},
        "honest_flagged": round(float(bad[~is_attacker].mean()), 3),
        "attackers_flagged": float(bad[is_attacker].mean()),
        "addresses": len(np.unique(connection[is_attacker])),
        "votes": votes,
        "listening_min": round(votes * LISTENING_S[hasty] / 60),
    }


def order_of_arrival(rng, n_honest, n_attackers):
    """[R] the place of each rater: honest ones at random, attackers among the last two fifths."""
    moment = np.concatenate([rng.random(n_honest), 0.6 + 0.4 * rng.random(n_attackers)])
    return np.argsort(np.argsort(moment))


def origins(order, n_honest, origin):
    """(is an attacker, connection, network), each [R], by place of arrival."""
    n = order.size
    connection = np.arange(n)
    connection[n_honest - HALL : n_honest] = n_honest - HALL
    network = connection.copy()
    which = np.arange(n - n_honest)
    if origin == "one address":
        connection[n_honest:] = network[n_honest:] = n_honest
    elif origin == "one network":
        connection[n_honest:], network[n_honest:] = n_honest + which % ADDRESSES, n_honest
    by_place = np.argsort(order)
    return by_place >= n_honest, connection[by_place], network[by_place]


def flagged(crowd, connection, network, device):
    parts = groups.partitions(connection, network, device)
    found = groups.find(crowd.votes, parts, 8, fit_theta, l2=L2)
    return np.isin(np.arange(crowd.n_raters), [rater for finding in found for rater in finding.raters])


def too_fast(rng, n_votes):
    times = 100 * np.exp(0.3 * rng.normal(size=n_votes))
    return decision_times(times).evidence.e >= TOO_FAST


def board(crowd, kept, network):
    """The Fit of the votes that are kept; with network given, capped."""
    used = kept & (crowd.preference != "BOTH_BAD")
    outcome = np.select([crowd.preference == "A", crowd.preference == "TIE"], [1.0, 0.5], 0.0)[used]
    rater = crowd.rater[used]
    weight = None if network is None else capped(np.ones(used.sum()), network[rater], SHARE).weight
    return fit(crowd.a[used], crowd.b[used], outcome, 8, weight=weight, cluster=rater, l2=L2)


def moved(before, after) -> dict:
    """leader: whether another leads. places: the most that a system moves. half_widths: the largest change of a rating,
    in half-widths of its interval after. passed: systems that passed one whose interval did not overlap their own."""
    low, high = before.interval(0.95)
    apart = low[:, None] > high[None, :]
    reversed_ = after.theta[:, None] < after.theta[None, :]
    rank_before, rank_after = (np.argsort(np.argsort(-one.theta)) for one in (before, after))
    new_low, new_high = after.interval(0.95)
    return {
        "leader": int(np.argmax(before.theta) != np.argmax(after.theta)),
        "places": int(np.abs(rank_after - rank_before).max()),
        "half_widths": round(float((np.abs(after.theta - before.theta) / ((new_high - new_low) / 2)).max()), 2),
        "passed": int((apart & reversed_).sum()),
    }


if __name__ == "__main__":
    from tests.bench.__main__ import print_table

    print_table(run())
