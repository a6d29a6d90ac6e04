"""Votes until a board's order is right, under each policy; and how long it takes to serve a battle.

PAIRING_SEEDS=10 makes a quick table of the first; all 100 take minutes.
"""

import os
import time
from datetime import timedelta
from statistics import median

import numpy as np
from scipy.special import expit

from scoring.stats import pair_design

SEEDS = 100
SYSTEMS, SPREADS = (20, 100), (1.0, 0.5, 2.0)
POLICIES = ("uniform", "least-voted", "informative")
EPSILON = 0.1  # of a study, unless it says otherwise
TAU = 0.9
PRECISION = 0.1  # of the prior: the ridge 0.05 of boards
STEP = 0.05  # a board is computed again after so many more votes, as a share of those there are; an arena: 0.01
MOST = 300_000  # votes; who has not got there by then counts as if they had, which flatters them

SERVED_SYSTEMS, SERVED_VOTES, SERVED_PROMPTS, SERVINGS = (20, 500), (1_000, 100_000), 20, 200


def run() -> list[dict]:
    """Both tables; an empty cell is a column of the other."""
    seeds = int(os.environ.get("PAIRING_SEEDS", SEEDS))
    rows = [row for n in SYSTEMS for spread in SPREADS for row in votes_needed(n, spread, seeds)]
    rows += [row for n in SERVED_SYSTEMS for row in serving(n)]
    columns = dict.fromkeys(column for row in rows for column in row)
    return [{column: row.get(column, "") for column in columns} for row in rows]


# ---- votes to Kendall's tau ----


def votes_needed(n: int, spread: float, seeds: int) -> list[dict]:
    """One row per policy: the median of the votes at the first board of tau >= TAU, as a share of that of `uniform`,
    and the geometric mean over seeds of the share; ratings planted N(0, spread^2)."""
    needed = {policy: [_simulate(policy, n, spread, seed) for seed in range(seeds)] for policy in POLICIES}
    uniform = np.array(needed["uniform"])
    return [
        {
            "what": f"votes to tau {TAU}", "policy": policy, "systems": n, "spread": spread, "seeds": seeds,
            "median_votes": float(np.median(votes)),
            "of_uniform": round(float(np.median(votes) / np.median(uniform)), 2),
            "of_uniform_by_seed": round(float(np.exp(np.log(votes / uniform).mean())), 2),
            "not_reached": int((np.array(votes) >= MOST).sum()),
        }
        for policy, votes in needed.items()
    ]  # fmt: skip


def _simulate(policy: str, n: int, spread: float, seed: int) -> int:
    rng = np.random.default_rng(seed)
    planted = rng.normal(0, spread, n)
    first, second = np.triu_indices(n, 1)
    p = expit(planted[first] - planted[second])
    votes, won = np.zeros(p.size), np.zeros(p.size)
    theta, covariance = np.zeros(n), np.eye(n) / PRECISION
    while votes.sum() < MOST:
        more = max(n // 2, int(STEP * votes.sum()))
        drawn = _draw(policy, more, theta, covariance, votes, rng)
        votes, won = votes + drawn, won + rng.binomial(drawn, p)
        theta, covariance = _fit(first, second, won, votes, theta)
        if _tau(theta, planted) >= TAU:
            break
    return int(votes.sum())


def _draw(policy, more, theta, covariance, votes, rng):
    """int [pairs]: how often each is drawn in `more` battles before the next board."""
    at_random = rng.binomial(more, 1.0 if policy == "uniform" else EPSILON)
    drawn = rng.multinomial(at_random, np.full(votes.size, 1 / votes.size))
    if policy == "informative":
        share = pair_design.design(theta, covariance, int(votes.sum()))
        return drawn + rng.multinomial(more - at_random, share / share.sum())
    left = more - at_random
    while left:
        fewest = np.flatnonzero((votes + drawn) == (votes + drawn).min())
        some = rng.permutation(fewest)[:left]
        drawn[some] += 1
        left -= some.size
    return drawn


def _fit(first, second, won, votes, theta):
    """Bradley-Terry with the board's ridge on counts per pair, from the ratings before; (theta, covariance)."""
    n = theta.size
    for _ in range(50):
        slope = won - votes * expit(theta[first] - theta[second])
        gradient = np.bincount(first, slope, n) - np.bincount(second, slope, n) - PRECISION * theta
        covariance = pair_design.posterior_covariance(first, second, votes, theta, PRECISION)
        step = covariance @ gradient
        reach = np.ptp(step)
        theta = theta + step * (np.log1p(reach) / reach if reach else 1)  # so much of a step surely descends
        if reach < 1e-4:
            return theta, covariance
    raise ArithmeticError("the ratings did not converge")


def _tau(one, other):
    n = one.size
    agreed = np.sign(one[:, None] - one[None, :]) * np.sign(other[:, None] - other[None, :])
    return agreed.sum() / (n * (n - 1))


# ---- serving ----


def serving(n: int) -> list[dict]:
    """One row per policy and number of votes: milliseconds of serve_battle as a whole, its transaction included, for
    raters of up to 20 battles; and of them those on the processor, outside the database. What a process finds out once
    in a while (clips, counts) has been found out. On a busy machine compare with `select_1_ms`."""
    import tests.services  # noqa: F401 - starts the databases and sets the environment for the settings

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "arena.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    call_command("migrate", verbosity=0)
    now = timezone.now()
    study, rows = _study(n), []
    for before, votes in zip((0, *SERVED_VOTES), SERVED_VOTES, strict=False):
        _add_battles(study, votes - before, now)
        for policy in POLICIES:
            study.pairing = policy
            study.save()
            rows.append({"what": "serve_battle", "policy": policy, "systems": n, "votes": votes, **_timed(study, now)})
    return rows


def _study(n):
    """n systems with a clip for each of SERVED_PROMPTS prompts, and a pairing table."""
    from arena.models import Clip, Excerpt, PairingTable, Prompt, Study, System

    study = Study.objects.create(slug=f"bench-{n}", name="Bench", excerpt_s=10, epsilon=EPSILON)
    systems = System.objects.bulk_create(System(name=f"{study.slug} {i}") for i in range(n))
    prompts = Prompt.objects.bulk_create(Prompt(text=f"{study.slug} {i}") for i in range(SERVED_PROMPTS))
    study.systems.set(systems)
    study.prompts.set(prompts)
    clips = Clip.objects.bulk_create(
        Clip(system=system, prompt=prompt, sha256=f"{system.pk}-{prompt.pk}", status="ready",
             duration_ms=12_000, loudness_lufs=-14.0)
        for system in systems for prompt in prompts
    )  # fmt: skip
    Excerpt.objects.bulk_create(
        Excerpt(study=study, clip=clip, length_ms=10_000, codec="mp3", status="ready", file="none", size=1)
        for clip in clips
    )
    share = pair_design.design(np.random.default_rng(0).normal(size=n), np.eye(n), 10 * n)
    PairingTable.objects.create(
        study=study, version=1, systems=[system.pk for system in systems], cumulative=np.cumsum(share).tobytes()
    )
    return study


def _add_battles(study, size, now):
    """Answered battles of a thousand raters, in the month before."""
    from random import Random

    from arena.models import Battle, Rater
    from arena.serving.stock import Stock

    stock, rng = Stock.of(study), Random(size)
    excerpts = dict(study.excerpts.values_list("clip", "pk"))
    raters = Rater.objects.bulk_create(Rater() for _ in range(1000))
    battles = []
    for _ in range(size):
        drawn = rng.choice(stock.candidates(rng.randrange(stock.low.size)))
        at = now - timedelta(days=1) - timedelta(days=30) * rng.random()
        battles.append(
            Battle(
                study=study, rater=rng.choice(raters), prompt_id=drawn.prompt_id, length_ms=drawn.length_ms,
                system_a_id=drawn.system_ids[0], system_b_id=drawn.system_ids[1],
                clip_a_id=drawn.clip_ids[0], clip_b_id=drawn.clip_ids[1],
                excerpt_a_id=excerpts[drawn.clip_ids[0]], excerpt_b_id=excerpts[drawn.clip_ids[1]],
                codec="mp3", policy="uniform", pair_probability=1 / stock.low.size, clip_probability=0.05,
                eligible_pairs=stock.low.size, served_at=at, reserved_until=at, expires_at=at,
                closed_at=at, close_reason="voted",
            )
        )  # fmt: skip
    Battle.objects.bulk_create(battles, batch_size=5000)


def _timed(study, now):
    from django.db import connection

    from arena.services import give_consent
    from arena.serving import process_cache, serve_battle

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE arena_battle, arena_clip, arena_excerpt")
    process_cache.forget()
    times, own, floor = [], [], []
    for number in range(SERVINGS):
        if number % 20 == 0:
            rater = give_consent(None, study, 1, now=now)
        if number == 0:
            _close(serve_battle(rater, study, now=now)[0], now)  # finds out what the process keeps
        began = time.perf_counter()
        connection.cursor().execute("SELECT 1")
        floor.append(time.perf_counter() - began)
        began, began_own = time.perf_counter(), time.thread_time()
        battle, _ = serve_battle(rater, study, now=now)
        times.append(time.perf_counter() - began)
        own.append(time.thread_time() - began_own)
        _close(battle, now)
    return {
        "median_ms": round(median(times) * 1000, 2),
        "p95_ms": round(sorted(times)[int(0.95 * len(times))] * 1000, 2),
        "own_cpu_ms": round(median(own) * 1000, 2),
        "select_1_ms": round(median(floor) * 1000, 3),
    }


def _close(battle, now):
    battle.closed_at, battle.close_reason = now, "voted"
    battle.save(update_fields=["closed_at", "close_reason"])
