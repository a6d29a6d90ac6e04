"""Raters of a study who listen, or do not, and their votes as the services write them."""

from datetime import timedelta

from django.utils import timezone
from scipy.special import expit

from annotations.models import Flag, Vote
from arena.limits import Marks
from arena.models import Battle
from arena.services import give_consent
from arena.serving.stock import Stock

QUALITY = {"alder": 2.0, "birch": 1.0, "cedar": 0.0, "dogwood": -1.0, "elder": -2.0}
HEARD = {"A": [[0, 4000]], "B": [[0, 4000]]}
YESTERDAY = timedelta(days=2)


def rate(study, n_votes, decide, rng, began=None, connection=None, pace_s=12, hesitates_ms=2500):
    """A rater who has answered `n_votes` battles as `decide(battle)` says; rows as the services write them."""
    clock = began or timezone.now() - YESTERDAY
    marks = connection and Marks(connection, f"around {connection}", f"{connection} and fox")
    rater = give_consent(None, study, 1, now=clock, came_by=marks)
    stock = Stock.of(study)
    excerpts = dict(study.excerpts.filter(variant="").values_list("clip", "pk"))
    options = [option for pair in range(stock.low.size) for option in stock.candidates(pair)]
    systems = study.systems.in_bulk()
    battles, votes = [], []
    for option in rng.sample(options, n_votes):
        clock += timedelta(seconds=pace_s)
        battle = battle_of(study, rater, option, excerpts, clock, rng)
        battle.system_a, battle.system_b = systems[battle.system_a_id], systems[battle.system_b_id]
        battles.append(battle)
        votes.append(
            Vote(battle=battle, rater=rater, preference=decide(battle), heard=HEARD, first_played="A",
                 opened_ms=8400, decided_ms=8400 + hesitates_ms, received_at=clock)
        )  # fmt: skip
    Battle.objects.bulk_create(battles)
    Vote.objects.bulk_create(votes)
    return rater


def battle_of(study, rater, option, excerpts, now, rng):
    a, b = rng.choice([(0, 1), (1, 0)])
    drawn = {
        f"{name}_{slot}_id": getattr(option, f"{name}_ids")[index]
        for slot, index in (("a", a), ("b", b))
        for name in ("system", "clip")
    }
    drawn |= {f"excerpt_{slot}_id": excerpts[drawn[f"clip_{slot}_id"]] for slot in "ab"}
    return Battle(
        study=study, rater=rater, prompt_id=option.prompt_id, length_ms=option.length_ms, codec="mp3", policy="uniform",
        pair_probability=0.1, clip_probability=0.1, served_at=now, reserved_until=now, expires_at=now,
        closed_at=now, close_reason="voted", **drawn,
    )  # fmt: skip


def listens(rng):
    return lambda battle: "A" if rng.random() < expit(1.3 * margin(battle)) else "B"


def margin(battle):
    return QUALITY[battle.system_a.name] - QUALITY[battle.system_b.name]


def contrary(battle):
    return "B" if margin(battle) > 0 else "A"


def flagged(study):
    return set(Flag.objects.filter(vote__battle__study=study).values_list("vote__rater", flat=True))
