"""What may move a vote besides the music, as columns beside the ratings: names, units and signs.

Each is a quantity of the clip in slot A minus that of the one in slot B, so its effect is in favour of the clip that
has more of it, in logits per unit. Effects are what went along with the votes, not what caused them: people listen
longer to what they like. What every clip of a system shares (that it cannot sing, say) is part of the system's rating.
"""

from collections.abc import Callable
from dataclasses import dataclass

from annotations.models import Ledger


@dataclass(frozen=True)
class Covariate:
    """unit: what the effect is of. value: of the `fields` of a vote's ledger entry; None where it is not known."""

    unit: str
    fields: tuple[str, ...]
    value: Callable[..., float | None]


def _difference(unit):
    return lambda a, b: None if a is None or b is None else (a - b) / unit


def _heard(a, b, length):
    return None if a is None or b is None or not length else (a - b) / length


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
}


def known_covariates(study, up_to, names):
    """{seq: (value of each covariate)} of the study's votes up to a `seq` of the ledger that have all of them."""
    fields = dict.fromkeys(field for name in names for field in COVARIATES[name].fields)
    entries = Ledger.objects.filter(study=study, seq__lte=up_to, vote__isnull=False)
    known = {}
    for seq, *row in entries.values_list("seq", *fields).iterator(chunk_size=5000):
        found = dict(zip(fields, row, strict=True))
        values = tuple(COVARIATES[name].value(*(found[field] for field in COVARIATES[name].fields)) for name in names)
        if None not in values:
            known[seq] = values
    return known
