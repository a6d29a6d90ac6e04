"""Covariates: what may influence a vote besides the music. Names, units and signs.

Each is a quantity of the clip in slot A minus that of the clip in slot B, so a positive effect favours the clip that
has more of it, in logits per unit. Effects are associations, not causes: people listen longer to what they like. What
all clips of a system share is part of the system's rating. So whether a system sings lyrics is a covariate only
together with the prompt: it makes no difference where there are no lyrics to sing.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.db.models import BooleanField, Exists, Expression, ExpressionWrapper, OuterRef, Q

from annotations.models import Ledger
from arena.models import Study, System
from scoring.models import Rating

LYRICS = "lyrics"


@dataclass(frozen=True)
class Covariate:
    """unit: what one unit of the effect is. value: computes the covariate from the `fields` of a vote's ledger entry;
    None where it is unknown."""

    unit: str
    fields: tuple[str | Expression, ...]
    value: Callable[..., float | None]


def _difference(unit):
    return lambda a, b: None if a is None or b is None else (a - b) / unit


def _heard(a, b, length):
    return None if a is None or b is None or not length else (a - b) / length


def _sings(sings_lyrics, has_lyrics, a, b):
    """1 where only A's system sings the lyrics of the prompt, -1 where only B's does, else 0; None where unknown."""
    if not has_lyrics:
        return None if has_lyrics is None else 0.0  # None: the vote was imported without its prompt
    sings = sings_lyrics.get(a), sings_lyrics.get(b)
    return None if None in sings else float(sings[0]) - float(sings[1])


COVARIATES = {
    "slot": Covariate("standing in slot A", (), lambda: 1.0),
    "first_played": Covariate(
        "being played first", ("vote__first_played",), lambda slot: {"A": 1.0, "B": -1.0}.get(slot)
    ),
    "duration": Covariate(
        "10 s more of the clip",
        ("vote__battle__clip_a__duration_ms", "vote__battle__clip_b__duration_ms"),
        _difference(10_000),
    ),
    "loudness": Covariate(
        "1 LU louder before levels are matched",
        ("vote__battle__clip_a__loudness_lufs", "vote__battle__clip_b__loudness_lufs"),
        _difference(1),
    ),
    "heard": Covariate(
        "the whole excerpt heard, against none of it",
        ("vote__heard_a_ms", "vote__heard_b_ms", "vote__battle__length_ms"),
        _heard,
    ),
    LYRICS: Covariate(
        "singing the lyrics asked for, where the other system does not sing",
        (
            ExpressionWrapper(Q(vote__battle__prompt__lyrics__gt=""), BooleanField(null=True)),
            "vote__battle__system_a__name",
            "vote__battle__system_b__name",
        ),
        _sings,
    ),
}


def covariates_of(config: Mapping[str, Any]) -> dict[str, Covariate]:
    """{name: Covariate} of a board's configuration; facts about systems are those recorded in it."""
    chosen = {name: COVARIATES[name] for name in config.get("covariates", ())}
    if LYRICS in chosen:
        chosen[LYRICS] = replace(chosen[LYRICS], value=partial(_sings, config["sings_lyrics"]))
    return chosen


def known_of_systems(study: Study, names: Collection[str]) -> dict[str, Any]:
    """The facts about the study's systems that these covariates depend on, for the board's configuration: they may be
    edited later, and an edition must rebuild as it was. {"sings_lyrics": {system: bool}}, without systems of which this
    is unknown.
    """
    if LYRICS not in names:
        return {}
    rated = Rating.objects.filter(system=OuterRef("pk"), edition__study=study)
    systems = System.objects.filter(Q(studies=study) | Exists(rated), sings_lyrics__isnull=False).distinct()
    return {"sings_lyrics": dict(systems.order_by("name").values_list("name", "sings_lyrics"))}


def in_order(names: Collection[str]) -> list[str]:
    """The names in the order of COVARIATES, so that the order in which they are chosen makes no difference."""
    return [name for name in COVARIATES if name in names]


def known_covariates(
    study: Study, up_to: int, covariates: Mapping[str, Covariate]
) -> dict[int, tuple[float | None, ...]]:
    """{seq: (value of each covariate)} of the study's votes up to a ledger `seq` that have all of them.

    covariates: {name: Covariate}, see `covariates_of`.
    """
    fields = dict.fromkeys(field for covariate in covariates.values() for field in covariate.fields)
    entries = Ledger.objects.filter(study=study, seq__lte=up_to, vote__isnull=False)
    known = {}
    for seq, *row in entries.values_list("seq", *fields).iterator(chunk_size=5000):
        value_of = dict(zip(fields, row, strict=True))
        values = tuple(
            covariate.value(*(value_of[field] for field in covariate.fields)) for covariate in covariates.values()
        )
        if None not in values:
            known[seq] = values
    return known
